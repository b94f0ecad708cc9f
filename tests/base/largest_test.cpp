#include "base/largest.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <vector>

TEST_CASE("the largest come first, and of equals the smaller number") {
  const std::vector<float> values = {1, 3, -2, 3, 2, 3};
  std::vector<uint32_t> order(values.size(), 99);
  ruvllm::put_largest_first<float, uint32_t>(values, 4, order);
  CHECK(std::vector(order.begin(), order.begin() + 4) == std::vector<uint32_t>{1, 3, 5, 4});
  ruvllm::put_largest_first<float, uint32_t>(values, 0, order);
  ruvllm::put_largest_first<float, uint32_t>({}, 0, {});
}

TEST_CASE("what is no number comes before all") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const std::vector<float> values = {1, inf, nan, -inf, nan, 2};
  std::vector<uint32_t> order(values.size());
  ruvllm::put_largest_first<float, uint32_t>(values, values.size(), order);
  CHECK(order == std::vector<uint32_t>{2, 4, 1, 5, 0, 3});
}
