// Which bytes of a file are there: a sorted set of half-open ranges. Tested by tests/hub/partial_test.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace ruvllm::hub {

struct ByteRange {
  uint64_t begin = 0;
  uint64_t end = 0;  ///< one past the last
  uint64_t n_bytes() const { return end - begin; }
  bool operator==(const ByteRange&) const = default;
};

class RangeSet {
 public:
  /// Adds a range, joining what touches.
  void add(ByteRange range);
  uint64_t covered() const;
  /// How far the file is there without a gap from its first byte.
  uint64_t prefix_end() const;
  /// The part of `within` that begins at its first byte that is missing and ends where bytes are there again.
  std::optional<ByteRange> first_gap(ByteRange within) const;
  const std::vector<ByteRange>& ranges() const { return ranges_; }
  void clear() { ranges_.clear(); }

 private:
  std::vector<ByteRange> ranges_;
};

}  // namespace ruvllm::hub
