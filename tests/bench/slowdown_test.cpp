#include "bench/slowdown.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

namespace ruvllm::bench {
namespace {

using Samples = std::vector<double>;

/// n samples around `rate`, evenly from 2 % below to 2 % above.
Samples around(double rate, size_t n) {
  Samples samples;
  for (size_t i = 0; i < n; ++i)
    samples.push_back(
        rate * (0.98 + 0.04 * static_cast<double>(i) / static_cast<double>(std::max<size_t>(1, n - 1))));
  return samples;
}

/// Judges one row whose second measurement is around `again`.
GateRow judged(const Samples& before, const Samples& now, double again, double bound = 0.05) {
  GateRow row{.before = before, .now = now};
  judge_slowdowns({&row, 1}, bound, [&](size_t, size_t n) { return around(again, n); });
  return row;
}

}  // namespace

TEST_CASE("what lies far below the upper half is set aside, and never more than half") {
  const auto kept = [](const Samples& samples) { return undisturbed(Samples{100}, samples).now; };
  CHECK(kept({100, 50, 98, 102, 99}) == Samples{102, 100, 99, 98});
  CHECK(kept({50, 100, 45, 98, 48}) == Samples{100, 98, 50});
  CHECK(kept({3}) == Samples{3});
  CHECK(kept({10, 5}) == Samples{10});
  CHECK(kept({85, 95, 100, 90}) == Samples{100, 95, 90, 85});
  // By one bound for both runs, of the slower one.
  CHECK(undisturbed(Samples{100, 70, 100}, Samples{80, 79, 60}).before == Samples{100, 100, 70});
  CHECK(undisturbed(Samples{100, 70, 100}, Samples{80, 79, 60}).now == Samples{80, 79});
  CHECK(loss_of(Samples{100, 100, 100}, Samples{90, 40, 90}) == doctest::Approx(0.1));
  CHECK(loss_of(Samples{100}, Samples{110}) == doctest::Approx(-0.1));
}

TEST_CASE("p is the share of all deals that are as extreme") {
  // Of all ways to choose 4 of 8 one is as extreme as runs that lie apart, 1 in 70: more than the level,
  // which ends the test; of those to choose 5 of 10, 1 in 252.
  CHECK(permutation_p(Samples{99, 98, 97, 96}, Samples{95, 94, 93, 92}, 200'000) == 1);
  CHECK(permutation_p(Samples{99, 98, 97, 96, 95}, Samples{94, 93, 92, 91, 90}, 200'000) ==
        doctest::Approx(1.0 / 252).epsilon(0.1));
  // 3 of 12, from either side: 1 in 220.
  CHECK(permutation_p(Samples{99, 98, 97}, Samples{95, 94, 93, 92, 91, 90, 89, 88, 87}, 200'000) ==
        doctest::Approx(1.0 / 220).epsilon(0.1));
  CHECK(permutation_p(Samples{99, 98, 97, 96, 95, 94, 93, 92, 91}, Samples{90, 89, 88}, 200'000) ==
        doctest::Approx(1.0 / 220).epsilon(0.1));
  CHECK(permutation_p(Samples{5, 5, 5, 5, 5}, Samples{5, 5, 5, 5, 5}, 2000) == 1);
}

TEST_CASE("a row fails where it is slower by more than the bound twice, and surely") {
  CHECK(judged(around(100, 5), around(90, 5), 90).slowed);
  CHECK(judged(around(100, 5), around(90, 5), 90).p_value < kGateLevel);
  CHECK_FALSE(judged(around(100, 5), around(96, 5), 90).slowed);  // within the bound: not measured again
  CHECK(judged(around(100, 5), around(96, 5), 90).again.empty());
  CHECK_FALSE(judged(around(100, 5), around(90, 5), 97).slowed);  // a second look does not confirm it
  CHECK_FALSE(judged(around(100, 5), around(120, 5), 120).slowed);
  CHECK_FALSE(judged(around(100, 5), around(90, 5), 90, 0.2).slowed);
}

TEST_CASE("a second measurement brings a row to samples enough, and at least as many as the first") {
  CHECK(judged(around(100, 5), around(80, 1), 80).again.size() == 24);
  CHECK(judged(around(100, 5), around(80, 5), 80).again.size() == 20);
  CHECK(judged(around(100, 5), around(80, 50), 80).again.size() == 50);
}

TEST_CASE("samples too few for any p fail where the runs lie apart by the bound twice over") {
  CHECK(judged({100}, {50}, 50).slowed);
  CHECK_FALSE(judged({100}, {91}, 91).slowed);
  CHECK(judged({100, 101}, {80, 81}, 80).slowed);
}

TEST_CASE("rows of one run share one chance of a false alarm") {
  // 25 samples all slower than five are 1 in 142506: enough for one row of eight, not for one of 5000.
  const auto n_slowed = [](size_t n_rows, size_t n_bad) {
    std::vector<GateRow> rows(n_rows, {.before = around(100, 5), .now = around(100, 5)});
    for (size_t i = 0; i < n_bad; ++i) rows[i].now = around(90, 5);
    judge_slowdowns(rows, 0.05, [](size_t, size_t n) { return around(90, n); });
    return std::ranges::count(rows, true, &GateRow::slowed);
  };
  CHECK(n_slowed(1, 1) == 1);
  CHECK(n_slowed(8, 1) == 1);
  CHECK(n_slowed(5000, 1) == 0);
  CHECK(n_slowed(8, 8) == 8);
}

}  // namespace ruvllm::bench
