// Bounds-checked little-endian reading and writing. Untrusted bytes are read through ByteReader only: it
// checks before it touches, and says which offset was short. Used by every file format; tested by
// tests/base/bytes_test.cpp.
#pragma once

#include "base/error.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace ruvllm {

static_assert(std::endian::native == std::endian::little,
              "ruvllm reads and writes little-endian files in place");

class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  uint64_t offset() const { return offset_; }
  uint64_t remaining() const { return bytes_.size() - offset_; }

  /// The next number. Throws Errc::corrupt_file, naming `what` and the offset, where the bytes end first.
  template <typename T>
  requires std::is_arithmetic_v<T> T number(std::string_view what) {
    T value;
    std::memcpy(&value, take(sizeof(T), what).data(), sizeof(T));
    return value;
  }

  /// The next `n_bytes`, as a view into the underlying bytes. Throws as number().
  std::span<const std::byte> take(uint64_t n_bytes, std::string_view what) {
    if (n_bytes > remaining())
      throw Error(Errc::corrupt_file, "{} at offset {} needs {} bytes, {} are left", what, offset_, n_bytes,
                  remaining());
    const auto taken = bytes_.subspan(offset_, n_bytes);
    offset_ += n_bytes;
    return taken;
  }

  /// The next `n_bytes` as text, unchecked for encoding.
  std::string_view text(uint64_t n_bytes, std::string_view what) {
    const auto taken = take(n_bytes, what);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }

 private:
  std::span<const std::byte> bytes_;
  uint64_t offset_ = 0;
};

class ByteWriter {
 public:
  template <typename T>
  requires std::is_arithmetic_v<T>
  void number(T value) { append(std::as_bytes(std::span(&value, 1))); }

  void append(std::span<const std::byte> more);
  void text(std::string_view more) { append(std::as_bytes(std::span(more))); }
  /// Zeros up to a multiple of `unit`.
  void pad_to(uint64_t unit);

  std::span<const std::byte> bytes() const { return bytes_; }
  std::vector<std::byte> take() && { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace ruvllm
