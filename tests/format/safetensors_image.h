// Safetensors files in memory for tests.
#pragma once

#include "base/bytes.h"

#include <fmt/ranges.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::test {

/// A header as given, true or not, and n_data bytes counting up from 0.
inline std::vector<std::byte> safetensors_image(std::string_view header, uint64_t n_data) {
  ByteWriter writer;
  writer.number<uint64_t>(header.size());
  writer.text(header);
  for (uint64_t i = 0; i < n_data; ++i) writer.number(static_cast<uint8_t>(i));
  return std::move(writer).take();
}

/// Writes well-formed files tensor by tensor.
class SafetensorsBuilder {
 public:
  SafetensorsBuilder& add(const std::string& name, const std::string& type,
                          const std::vector<uint64_t>& shape, std::span<const std::byte> bytes) {
    header_ += fmt::format("{}\"{}\":{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}",
                           header_.empty() ? "" : ",", name, type, fmt::join(shape, ","),
                           data_.bytes().size(), data_.bytes().size() + bytes.size());
    data_.append(bytes);
    return *this;
  }
  template <typename T>
  SafetensorsBuilder& add(const std::string& name, const std::string& type,
                          const std::vector<uint64_t>& shape, const std::vector<T>& values) {
    return add(name, type, shape, std::as_bytes(std::span(values)));
  }

  std::string file() const {
    std::string header = "{" + header_ + "}";
    header.resize((header.size() + 7) / 8 * 8, ' ');
    ByteWriter writer;
    writer.number<uint64_t>(header.size());
    writer.text(header);
    writer.append(data_.bytes());
    return {reinterpret_cast<const char*>(writer.bytes().data()), writer.bytes().size()};
  }

 private:
  std::string header_;
  ByteWriter data_;
};

}  // namespace ruvllm::test
