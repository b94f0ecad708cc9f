// Checked arithmetic for every count, size and offset that comes from outside: a product or sum that does not
// fit is an Error, never a wrapped number. (The GGUF advisories of reliability notes class G02 all began with
// one unchecked product.) Tested by tests/base/checked_test.cpp.
#pragma once

#include "base/error.h"

#include <concepts>
#include <limits>
#include <string_view>
#include <type_traits>

namespace ruvllm {

/// a + b, or Errc::corrupt_file naming `what`.
template <std::integral T>
T checked_add(T a, T b, std::string_view what) {
  T sum;
  if (__builtin_add_overflow(a, b, &sum))
    throw Error(Errc::corrupt_file, "{}: {} + {} overflows", what, a, b);
  return sum;
}

/// a * b, or Errc::corrupt_file naming `what`.
template <std::integral T>
T checked_mul(T a, T b, std::string_view what) {
  T product;
  if (__builtin_mul_overflow(a, b, &product))
    throw Error(Errc::corrupt_file, "{}: {} x {} overflows", what, a, b);
  return product;
}

/// `value` rounded up to a multiple of `unit` (> 0), or Errc::corrupt_file naming `what`.
template <std::unsigned_integral T>
T checked_round_up(T value, T unit, std::string_view what) {
  const T remainder = value % unit;
  return remainder == 0 ? value : checked_add(value, static_cast<T>(unit - remainder), what);
}

/// `value` as another integer type, or Errc::corrupt_file naming `what`.
template <std::integral To, std::integral From>
To checked_cast(From value, std::string_view what) {
  if (!std::in_range<To>(value)) throw Error(Errc::corrupt_file, "{}: {} is out of range", what, value);
  return static_cast<To>(value);
}

}  // namespace ruvllm
