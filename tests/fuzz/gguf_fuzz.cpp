// GGUF: whatever the bytes are, they are refused with an Error or accepted; what is accepted lies inside the
// file, and is the same model again after it was written and read.
#include "fuzz.h"

#include "base/error.h"
#include "format/gguf.h"

#include <algorithm>
#include <cstring>
#include <optional>

using namespace ruvllm;

namespace {

std::optional<format::GgufImage> parse(std::span<const std::byte> file) {
  try {
    return format::parse_gguf(file, "fuzz");
  } catch (const Error& error) {
    FUZZ_CHECK(error.code() == Errc::corrupt_file);
    return std::nullopt;
  }
}

// The rules again, in arithmetic that can't overflow.
void check_place(const format::Tensor& tensor, std::span<const std::byte> file, uint64_t alignment) {
  __extension__ using uint128 = unsigned __int128;
  const kernels::Traits& traits = tensor::traits(tensor.format);
  FUZZ_CHECK(!tensor.dimensions.empty() && tensor.dimensions.size() <= 4);
  const uint64_t left = tensor.dimensions[0] % traits.block_values;
  FUZZ_CHECK(left == 0 || traits.has_grid);
  uint128 n_bytes = uint128{tensor.dimensions[0] / traits.block_values} * traits.block_bytes;
  if (left > 0) n_bytes += kernels::row_bytes(traits, left);
  for (size_t i = 1; i < tensor.dimensions.size(); ++i)
    n_bytes = std::min(n_bytes, uint128{1} << 64) * tensor.dimensions[i];
  FUZZ_CHECK(n_bytes == tensor.bytes.size());
  FUZZ_CHECK(n_bytes > 0);
  FUZZ_CHECK(tensor.file_offset % alignment == 0);
  FUZZ_CHECK(uint128{tensor.file_offset} + n_bytes <= file.size());
  FUZZ_CHECK(tensor.bytes.data() == file.data() + tensor.file_offset);
}

// Bit for bit, so that a NaN equals itself.
bool same(const format::MetadataValue& a, const format::MetadataValue& b) {
  if (a.index() != b.index()) return false;
  if (const auto* x = std::get_if<float>(&a)) return std::memcmp(x, &std::get<float>(b), sizeof *x) == 0;
  if (const auto* x = std::get_if<double>(&a)) return std::memcmp(x, &std::get<double>(b), sizeof *x) == 0;
  return a == b;
}

void check_same(const format::GgufImage& a, const format::GgufImage& b) {
  FUZZ_CHECK(a.alignment == b.alignment);
  FUZZ_CHECK(std::ranges::equal(a.metadata.entries(), b.metadata.entries(), [](const auto& x, const auto& y) {
    return x.key == y.key && same(x.value, y.value);
  }));
  FUZZ_CHECK(std::ranges::equal(a.tensors, b.tensors, [](const format::Tensor& x, const format::Tensor& y) {
    return x.name == y.name && x.format == y.format && x.dimensions == y.dimensions &&
           std::ranges::equal(x.bytes, y.bytes);
  }));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = std::as_bytes(std::span(data, size));
  const auto image = parse(file);
  if (!image) return 0;
  std::vector<format::TensorPlan> plans;
  for (const format::Tensor& tensor : image->tensors) {
    check_place(tensor, file, image->alignment);
    plans.push_back({tensor.name, tensor.format, tensor.dimensions});
  }
  const format::GgufLayout layout = format::plan_gguf(image->metadata, plans, image->alignment);
  std::vector<std::byte> written = layout.header;
  written.resize(layout.file_bytes);
  for (size_t i = 0; i < plans.size(); ++i)
    std::ranges::copy(image->tensors[i].bytes, written.begin() + static_cast<ptrdiff_t>(layout.offsets[i]));
  const auto again = parse(written);
  FUZZ_CHECK(again);
  check_same(*image, *again);
  return 0;
}
