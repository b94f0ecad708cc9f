#include "bench/stats.h"

#include "base/error.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace ruvllm::bench {
namespace {

// The deviation of a normal distribution is this many median absolute deviations.
constexpr double kNormalDeviations = 1.4826;

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

bool is_slower(const Stats& before, const Stats& now, double bound) {
  const double loss = before.median - now.median;
  const double noise = 2 * kNormalDeviations * std::hypot(before.deviation, now.deviation);
  return loss > bound * before.median && loss > noise;
}

}  // namespace ruvllm::bench
