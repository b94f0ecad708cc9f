// What is told of repeated measurements: medians and the median absolute deviation, which one disturbed run
// in five does not move. Whether two measurements differ is told by slowdown.h. Tested by
// tests/bench/stats_test.cpp.
#pragma once

#include <span>

namespace ruvllm::bench {

struct Stats {
  double median = 0;
  double least = 0;
  double most = 0;
  double deviation = 0;  ///< median absolute deviation from the median
};

/// Of at least one sample.
Stats stats_of(std::span<const double> samples);

}  // namespace ruvllm::bench
