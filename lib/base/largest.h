// The numbers of the largest of a list, by one rule wherever something is chosen: of equals, the smaller
// number comes first. Tested by tests/base/largest_test.cpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>

namespace ruvllm {

/// Numbers of `values` into `order`, which is as long: those of the n largest first, largest first. What
/// follows is in no order. n <= values.size(); values are no NaNs.
template <class T, class Number>
void put_largest_first(std::span<const T> values, size_t n, std::span<Number> order) {
  std::iota(order.begin(), order.end(), Number{0});
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(n), order.end(),
                    [&](Number a, Number b) {
                      const T x = values[static_cast<size_t>(a)], y = values[static_cast<size_t>(b)];
                      return x != y ? x > y : a < b;
                    });
}

}  // namespace ruvllm
