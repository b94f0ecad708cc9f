#include "bench/stats.h"

#include <doctest/doctest.h>

#include <vector>

namespace ruvllm::bench {

TEST_CASE("medians and deviations of odd and even numbers of samples") {
  const Stats odd = stats_of(std::vector<double>{5, 1, 100});
  CHECK(odd.median == 5);
  CHECK(odd.least == 1);
  CHECK(odd.most == 100);
  CHECK(odd.deviation == 4);
  const Stats even = stats_of(std::vector<double>{1, 2, 3, 4});
  CHECK(even.median == 2.5);
  CHECK(even.deviation == 1);
  CHECK(stats_of(std::vector<double>{7}).deviation == 0);
}

TEST_CASE("slower means more than the bound and more than the noise") {
  const Stats before = {100, 99, 101, 1};
  CHECK(!is_slower(before, {96, 95, 97, 1}, 0.05));
  CHECK(is_slower(before, {90, 89, 91, 1}, 0.05));
  CHECK(!is_slower(before, {90, 70, 110, 10}, 0.05));
  CHECK(!is_slower(before, {120, 119, 121, 1}, 0.05));
}

}  // namespace ruvllm::bench
