#include "bench/slowdown.h"

#include "base/error.h"
#include "base/random.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <utility>

namespace ruvllm::bench {
namespace {

/// Samples below this share of what their run reaches were disturbed: noise of 5 % comes here once in 10^5.
constexpr double kDisturbed = 0.8;

// So many that p is known to some quarter of its bound in the first step of Holm's procedure.
constexpr size_t kDealsPerRow = 750, kLeastDeals = 2000;

double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::vector<double> joined(std::span<const double> a, std::span<const double> b) {
  std::vector<double> all(a.begin(), a.end());
  all.insert(all.end(), b.begin(), b.end());
  return all;
}

/// The smallest p that a deal of so many samples can have: one in n over k.
double least_p(size_t n_before, size_t n_now) {
  double p = 1;
  for (size_t i = 1; i <= std::min(n_before, n_now); ++i)
    p *= static_cast<double>(i) / static_cast<double>(n_before + n_now - i + 1);
  return p;
}

/// Whether samples are too few for any p to be surely below `level`, and every one of today is slower than
/// every one of the baseline by the bound twice over.
bool is_few_and_apart(const GateRow& row, double bound, double level) {
  const auto [before, now] = undisturbed(row.before, joined(row.now, row.again));
  return 2 * least_p(before.size(), now.size()) > level &&
         now.front() < (1 - bound) * (1 - bound) * before.back();
}

/// Holm's step-down procedure: the smallest p of n is compared with level / n, the next with level / (n - 1),
/// up to the first that is larger.
void mark_sure_ones(std::span<GateRow> rows) {
  std::vector<GateRow*> order;
  for (GateRow& row : rows) order.push_back(&row);
  std::ranges::sort(order, {}, &GateRow::p_value);
  size_t n_left = rows.size();
  for (GateRow* row : order) {
    if (row->p_value > kGateLevel / static_cast<double>(n_left--)) return;
    row->slowed = true;
  }
}

/// Whether a row is slower by more than the bound each time it was measured.
bool stays_slower(const GateRow& row, double bound) {
  return loss_of(row.before, row.again) > bound && loss_of(row.before, joined(row.now, row.again)) > bound;
}

}  // namespace

Undisturbed undisturbed(std::span<const double> before, std::span<const double> now) {
  RUVLLM_ASSERT(!before.empty() && !now.empty());
  Undisturbed kept{{before.begin(), before.end()}, {now.begin(), now.end()}};
  const auto half = [](const std::vector<double>& run) { return (run.size() + 1) / 2; };
  for (std::vector<double>* run : {&kept.before, &kept.now}) std::ranges::sort(*run, std::greater<>());
  // One bound for both, so that what it takes off the tail of noise is the same in both.
  const double least =
      kDisturbed * std::min(kept.before[half(kept.before) / 2], kept.now[half(kept.now) / 2]);
  for (std::vector<double>* run : {&kept.before, &kept.now}) {
    size_t n = run->size();
    while (n > half(*run) && (*run)[n - 1] < least) --n;
    run->resize(n);
  }
  return kept;
}

double loss_of(std::span<const double> before, std::span<const double> now) {
  const Undisturbed kept = undisturbed(before, now);
  return 1 - mean_of(kept.now) / mean_of(kept.before);
}

double permutation_p(std::span<const double> before, std::span<const double> now, size_t n_deals) {
  const auto [fast, slow] = undisturbed(before, now);
  // The sum of one group tells the difference of the means, as the sum of all is the same in every deal.
  const bool deals_fast = fast.size() <= slow.size();
  const std::vector<double>& dealt = deals_fast ? fast : slow;
  const double sign = deals_fast ? 1 : -1;
  constexpr double kRounding = 1e-12;
  const double seen = std::accumulate(dealt.begin(), dealt.end(), 0.0);
  const double extreme = sign * seen - kRounding * seen;

  std::vector<double> all = joined(fast, slow);
  Random random(all.size());
  const auto most = static_cast<size_t>(kGateLevel * static_cast<double>(n_deals));
  size_t n_extreme = 0;
  for (size_t deal = 0; deal < n_deals; ++deal) {
    double sum = 0;
    uint64_t bits = 0;
    for (size_t i = 0; i < dealt.size(); ++i, bits >>= 32) {
      if (i % 2 == 0) bits = random.next();
      const size_t taken = i + static_cast<size_t>(((bits & 0xFFFFFFFF) * (all.size() - i)) >> 32);
      std::swap(all[i], all[taken]);
      sum += all[i];
    }
    if (sign * sum >= extreme && ++n_extreme > most) return 1;
  }
  return static_cast<double>(n_extreme + 1) / static_cast<double>(n_deals + 1);
}

void judge_slowdowns(std::span<GateRow> rows, double bound, const MeasureAgain& measure_again) {
  const size_t n_deals = std::max(kLeastDeals, kDealsPerRow * rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    GateRow& row = rows[i];
    if (!(loss_of(row.before, row.now) > bound)) continue;
    const size_t n = row.now.size();
    row.again = measure_again(i, std::max(n, kSureSamples - std::min(n, kSureSamples)));
    if (!stays_slower(row, bound)) continue;
    row.p_value = permutation_p(row.before, joined(row.now, row.again), n_deals);
  }
  mark_sure_ones(rows);
  for (GateRow& row : rows)
    if (!row.slowed && !row.again.empty() && stays_slower(row, bound))
      row.slowed = is_few_and_apart(row, bound, kGateLevel / static_cast<double>(rows.size()));
}

}  // namespace ruvllm::bench
