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

}  // namespace ruvllm::bench
