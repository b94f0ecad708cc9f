// Safetensors: whatever the bytes are, they are refused with an Error or accepted; what is accepted covers
// the file, and each tensor's bytes are what its type and shape take.
#include "fuzz.h"

#include "base/error.h"
#include "format/safetensors.h"

#include <algorithm>
#include <set>

using namespace ruvllm;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  __extension__ using uint128 = unsigned __int128;
  const auto file = std::as_bytes(std::span(data, size));
  format::SafetensorsImage image;
  try {
    image = format::parse_safetensors(file, "fuzz");
  } catch (const Error& error) {
    FUZZ_CHECK(error.code() == Errc::corrupt_file);
    return 0;
  }
  std::set<std::string> names;
  uint64_t end = 0;
  for (const format::SafetensorsEntry& tensor : image.tensors) {
    FUZZ_CHECK(names.insert(tensor.name).second);
    uint128 n_bits = safetensors_type_bits(tensor.type);
    for (const uint64_t dimension : tensor.shape) n_bits = std::min(n_bits * dimension, uint128{1} << 63);
    FUZZ_CHECK(n_bits == 8 * uint128{tensor.bytes.size()});
    FUZZ_CHECK(end == 0 || tensor.file_offset == end);
    FUZZ_CHECK(tensor.bytes.data() == file.data() + tensor.file_offset);
    end = tensor.file_offset + tensor.bytes.size();
  }
  FUZZ_CHECK(image.tensors.empty() || end == size);
  return 0;
}
