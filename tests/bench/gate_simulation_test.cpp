// The gate on rows made of random numbers: how often a loss is seen, and how often one that isn't there. Each
// figure is of 20 000 pairs of runs of a row (A/A: 2500 runs of eight rows), seeded.
#include "base/random.h"
#include "bench/slowdown.h"

#include <doctest/doctest.h>

#include <vector>

namespace ruvllm::bench {
namespace {

constexpr size_t kPairs = 20'000, kRows = 8;
constexpr double kBound = 0.05;

/// A machine whose samples have normal noise, and a neighbour that slows some of them.
struct Machine {
  double noise = 0.05;
  double slow_before = 0, slow_now = 0;  ///< shares of the samples of either run that it slows
  double slow_rate = 0.5;                ///< to this part of their rate
};

std::vector<double> measure(Random& random, double rate, const Machine& machine, double slow, size_t n) {
  std::vector<double> samples;
  for (size_t i = 0; i < n; ++i) {
    const double sample = rate * (1 + machine.noise * random.normal());
    samples.push_back(random.uniform() < slow ? machine.slow_rate * sample : sample);
  }
  return samples;
}

/// The share of n_runs in which the first row (with `loss`) or, of a run without loss, any row fails.
double share_of_alarms(size_t n_runs, size_t repetitions, double loss, const Machine& machine) {
  Random random(1);
  size_t n_alarms = 0;
  for (size_t run = 0; run < n_runs; ++run) {
    const auto rate = [&](size_t row) { return row == 0 ? 100 * (1 - loss) : 100.0; };
    std::vector<GateRow> rows(kRows);
    for (size_t i = 0; i < kRows; ++i) {
      rows[i].before = measure(random, 100, machine, machine.slow_before, repetitions);
      rows[i].now = measure(random, rate(i), machine, machine.slow_now, repetitions);
    }
    judge_slowdowns(rows, kBound, [&](size_t i, size_t n) {
      return measure(random, rate(i), machine, machine.slow_now, n);
    });
    for (const GateRow& row : rows)
      if (row.slowed) {
        n_alarms += loss == 0 || &row == &rows[0];
        break;
      }
  }
  return static_cast<double>(n_alarms) / static_cast<double>(n_runs);
}

}  // namespace

TEST_CASE("a loss of 10 % at 5 % noise is seen, and the surer the more samples there are") {
  const double with_5 = share_of_alarms(kPairs, 5, 0.1, {});
  const double with_20 = share_of_alarms(kPairs, 20, 0.1, {});
  MESSAGE("seen with -r 5: ", 100 * with_5, " %, with -r 20: ", 100 * with_20, " %");
  CHECK(with_5 >= 0.60);
  CHECK(with_20 >= 0.95);
}

TEST_CASE("runs that are alike give an alarm in 1 % at most, whatever a neighbour does") {
  for (const size_t repetitions : {size_t{3}, size_t{5}, size_t{20}})
    for (const Machine& machine :
         {Machine{}, Machine{.noise = 0.01}, Machine{.slow_now = 0.1}, Machine{.slow_now = 0.3},
          Machine{.slow_before = 0.1, .slow_now = 0.1}, Machine{.slow_before = 0.3, .slow_now = 0.3},
          Machine{.slow_before = 0.3}, Machine{.noise = 0.02, .slow_before = 0.2, .slow_now = 0.2},
          Machine{.slow_now = 0.3, .slow_rate = 0.75}}) {
      const double alarms = share_of_alarms(kPairs / kRows, repetitions, 0, machine);
      MESSAGE("-r ", repetitions, ", noise ", machine.noise, ", slow ", machine.slow_before, " and ",
              machine.slow_now, ": ", 100 * alarms, " % of runs");
      CHECK(alarms <= 0.01);
    }
}

TEST_CASE("a loss is seen beside a neighbour, too") {
  CHECK(share_of_alarms(kPairs / kRows, 20, 0.1, {.slow_before = 0.2, .slow_now = 0.2}) >= 0.9);
}

}  // namespace ruvllm::bench
