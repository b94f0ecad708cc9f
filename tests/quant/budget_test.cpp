#include "quant/budget.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/random.h"
#include "test_support.h"

#include <algorithm>

namespace ruvllm::quant {
namespace {

uint64_t bytes_of(const std::vector<std::vector<BudgetOption>>& lists, const std::vector<size_t>& picks) {
  uint64_t sum = 0;
  for (size_t i = 0; i < lists.size(); ++i) sum += lists[i][picks[i]].n_bytes;
  return sum;
}

double cost_of(const std::vector<std::vector<BudgetOption>>& lists, const std::vector<size_t>& picks) {
  double sum = 0;
  for (size_t i = 0; i < lists.size(); ++i) sum += lists[i][picks[i]].cost;
  return sum;
}

}  // namespace

TEST_CASE("the choice within a limit is the best of all that there are") {
  Random random(test::test_seed());
  for (int round = 0; round < 50; ++round) {
    std::vector<std::vector<BudgetOption>> lists(4);
    for (auto& list : lists)
      for (int k = 0; k < 4; ++k) list.push_back({10 + random.below(90), random.uniform()});
    const uint64_t limit = 200 + random.below(150);
    double least = 1e9;
    std::vector<size_t> picks(4);
    for (size_t number = 0; number < 256; ++number) {
      for (size_t i = 0; i < 4; ++i) picks[i] = (number >> (2 * i)) & 3;
      if (bytes_of(lists, picks) <= limit) least = std::min(least, cost_of(lists, picks));
    }
    if (least > 1e8) {
      CHECK_THROWS_AS(fit_budget(lists, limit), Error);
      continue;
    }
    const auto found = fit_budget(lists, limit);
    CHECK(bytes_of(lists, found) <= limit);
    CHECK(cost_of(lists, found) == doctest::Approx(least));
  }
}

TEST_CASE("large sizes keep the limit, and use nearly all of it") {
  Random random(test::test_seed());
  std::vector<std::vector<BudgetOption>> lists(200);
  for (auto& list : lists) {
    const uint64_t n_values = (1 + random.below(64)) << 20;
    for (const uint64_t bits : {2, 3, 4, 5, 6, 8})
      list.push_back({n_values * bits / 8, 1.0 / static_cast<double>(1u << (2 * bits))});
  }
  const uint64_t limit = 3'000'000'000;
  const auto picks = fit_budget(lists, limit);
  CHECK(bytes_of(lists, picks) <= limit);
  CHECK(bytes_of(lists, picks) > limit / 100 * 98);
}

TEST_CASE("a limit below the least size names that") {
  const std::vector<std::vector<BudgetOption>> lists = {{{1000, 1.0}, {2000, 0.5}}};
  CHECK_THROWS_AS(fit_budget(lists, 999), Error);
  CHECK(fit_budget(lists, 1000) == std::vector<size_t>{0});
  CHECK(fit_budget(lists, 2000) == std::vector<size_t>{1});
}

}  // namespace ruvllm::quant
