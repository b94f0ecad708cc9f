// Whether a model has become slower than it was: the test behind the gate of `ruvllm bench --baseline`.
//
// A row fails where its loss is larger than the bound, both at first and measured again, and where it is sure
// that it is slower at all. Sure by Fisher's permutation test on the samples themselves (The Design of
// Experiments, 1935, section 21): were both runs alike, each way to deal all samples into two groups of their
// sizes would be as likely as the one seen, and p is the share of the deals whose means are as far apart.
// More samples make a loss of the same size surer, whatever the noise looks like. With several rows, Holm's
// step-down bounds of p keep the chance of any false alarm in a run below kGateLevel (Scandinavian Journal of
// Statistics 6, 1979).
//
// Something else that runs on the machine only ever makes samples slower. So the samples that lie far below
// the upper half of their run, by one bound for both runs, are set aside, at most half of each, before means
// are taken or anything is dealt: a neighbour that halves a third of the samples of one run looks like no
// loss. Tested by tests/bench/slowdown_test.cpp and, by simulation, tests/bench/gate_simulation_test.cpp.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace ruvllm::bench {

/// The chance of any false alarm in a run without a change, at most.
inline constexpr double kGateLevel = 0.005;
/// With fewer samples in either run a loss of a few times the noise is rarely sure.
inline constexpr int kLeastRepetitions = 5;
/// As many samples as these a row has when it fails, with those that were measured again.
inline constexpr size_t kSureSamples = 25;

/// One kind of work in two runs; all samples are rates above 0.
struct GateRow {
  std::vector<double> before = {};  ///< the baseline's samples
  std::vector<double> now = {};     ///< today's, measured before the gate looks
  std::vector<double> again = {};   ///< today's, measured where `now` looked slower by more than the bound
  double p_value = 1;               ///< of the permutation test, where there was reason to make it
  bool slowed = false;
};

/// Measures n more samples of a row.
using MeasureAgain = std::function<std::vector<double>(size_t row, size_t n)>;

/// Fills in `again`, `p_value` and `slowed` of all rows of a run. `bound`: 0.05 is 5 %.
void judge_slowdowns(std::span<GateRow> rows, double bound, const MeasureAgain& measure_again);

/// The samples of two runs that nothing disturbed, largest first.
struct Undisturbed {
  std::vector<double> before, now;
};
/// Without those below kDisturbed of what the slower run reaches, the median of its upper half; at least the
/// upper half of each run stays.
Undisturbed undisturbed(std::span<const double> before, std::span<const double> now);

/// By how much the mean of the undisturbed samples has fallen: 0.1 is 10 %; negative where it has risen.
double loss_of(std::span<const double> before, std::span<const double> now);

/// The share of `n_deals` random deals of all samples in which `before` is faster than `now` by at least as
/// much as it is; 1 as soon as it is certain to be more than kGateLevel. The same samples give the same
/// share.
double permutation_p(std::span<const double> before, std::span<const double> now, size_t n_deals);

}  // namespace ruvllm::bench
