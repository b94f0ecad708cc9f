// GGUF files in memory for tests: good ones through the writer, and bad ones field by field.
#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "format/gguf.h"

#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ruvllm::test {

using Bytes = std::vector<std::byte>;

/// The file that GgufWriter would write, without one.
inline Bytes gguf_image(const format::Metadata& metadata, const std::vector<format::TensorPlan>& tensors,
                        const std::vector<Bytes>& data, uint64_t alignment = format::kGgufDefaultAlignment) {
  const format::GgufLayout layout = format::plan_gguf(metadata, tensors, alignment);
  Bytes file = layout.header;
  file.resize(layout.file_bytes);
  for (size_t i = 0; i < data.size(); ++i)
    if (!data[i].empty()) std::memcpy(file.data() + layout.offsets[i], data[i].data(), data[i].size());
  return file;
}

/// What parse_gguf says against a file; nothing where it accepts it.
inline std::optional<std::string> refusal(std::span<const std::byte> file) {
  try {
    format::parse_gguf(file, "test.gguf");
    return std::nullopt;
  } catch (const Error& error) {
    return error.what();
  }
}

/// Writes the fields of a GGUF file as told, true or not.
class RawGguf {
 public:
  RawGguf(uint64_t n_tensors, uint64_t n_keys, uint32_t version = 3) {
    writer_.text("GGUF");
    writer_.number(version);
    writer_.number(n_tensors);
    writer_.number(n_keys);
  }

  RawGguf& text(std::string_view text) { return number<uint64_t>(text.size()).characters(text); }
  RawGguf& characters(std::string_view text) {
    writer_.text(text);
    return *this;
  }
  template <typename T>
  RawGguf& number(T value) {
    writer_.number(value);
    return *this;
  }
  RawGguf& type(format::ValueType type) { return number(static_cast<uint32_t>(type)); }

  RawGguf& tensor(std::string_view name, const std::vector<uint64_t>& dimensions, uint32_t format,
                  uint64_t offset) {
    text(name).number(static_cast<uint32_t>(dimensions.size()));
    for (const uint64_t dimension : dimensions) number(dimension);
    return number(format).number(offset);
  }

  /// Pads to `alignment`, then appends n_bytes of zero.
  RawGguf& data(uint64_t n_bytes, uint64_t alignment = format::kGgufDefaultAlignment) {
    writer_.pad_to(alignment);
    writer_.append(Bytes(n_bytes));
    return *this;
  }

  std::span<const std::byte> bytes() const { return writer_.bytes(); }
  uint64_t size() const { return writer_.bytes().size(); }

 private:
  ByteWriter writer_;
};

}  // namespace ruvllm::test
