// A stretch of a text, by bytes.
#pragma once

#include <cstddef>

namespace ruvllm::text {

/// Bytes [begin, end) of a text.
struct ByteRange {
  size_t begin;
  size_t end;
  bool operator==(const ByteRange&) const = default;
};

}  // namespace ruvllm::text
