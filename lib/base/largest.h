// The numbers of the largest of a list, by one rule wherever something is chosen: of equals, the smaller
// number comes first; what is no number comes before all, so that it is met rather than passed over. Tested
// by tests/base/largest_test.cpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <span>

namespace ruvllm {

/// Numbers of `values` into `order`, which is as long: those of the n largest first, largest first. What
/// follows is in no order. n <= values.size().
template <class T, class Number>
void put_largest_first(std::span<const T> values, size_t n, std::span<Number> order) {
  std::iota(order.begin(), order.end(), Number{0});
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(n), order.end(),
                    [&](Number a, Number b) {
                      const T x = values[static_cast<size_t>(a)], y = values[static_cast<size_t>(b)];
                      if (x > y || x < y) return x > y;
                      const bool x_is_nan = x != x, y_is_nan = y != y;
                      return x_is_nan != y_is_nan ? x_is_nan : a < b;
                    });
}

}  // namespace ruvllm
