#include "hub/range_set.h"

#include <algorithm>

namespace ruvllm::hub {

void RangeSet::add(ByteRange range) {
  if (range.begin >= range.end) return;
  const auto first =
      std::find_if(ranges_.begin(), ranges_.end(), [&](const ByteRange& r) { return r.end >= range.begin; });
  const auto last =
      std::find_if(first, ranges_.end(), [&](const ByteRange& r) { return r.begin > range.end; });
  if (first != last) {
    range.begin = std::min(range.begin, first->begin);
    range.end = std::max(range.end, std::prev(last)->end);
  }
  ranges_.insert(ranges_.erase(first, last), range);
}

uint64_t RangeSet::covered() const {
  uint64_t sum = 0;
  for (const ByteRange& range : ranges_) sum += range.n_bytes();
  return sum;
}

uint64_t RangeSet::prefix_end() const { return ranges_.empty() || ranges_[0].begin > 0 ? 0 : ranges_[0].end; }

std::optional<ByteRange> RangeSet::first_gap(ByteRange within) const {
  for (const ByteRange& range : ranges_) {
    if (range.end <= within.begin) continue;
    if (range.begin > within.begin) {
      within.end = std::min(within.end, range.begin);
      break;
    }
    within.begin = range.end;
  }
  if (within.begin >= within.end) return std::nullopt;
  return within;
}

}  // namespace ruvllm::hub
