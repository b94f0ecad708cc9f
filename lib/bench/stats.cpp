#include "bench/stats.h"

#include "base/error.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace ruvllm::bench {
namespace {

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

}  // namespace

Stats stats_of(std::span<const double> samples) {
  RUVLLM_ASSERT(!samples.empty());
  Stats stats;
  stats.median = median_of({samples.begin(), samples.end()});
  stats.least = *std::min_element(samples.begin(), samples.end());
  stats.most = *std::max_element(samples.begin(), samples.end());
  std::vector<double> distances;
  for (double sample : samples) distances.push_back(std::fabs(sample - stats.median));
  stats.deviation = median_of(std::move(distances));
  return stats;
}

}  // namespace ruvllm::bench
