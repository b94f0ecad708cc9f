// What is not finite is never a figure: the one place that looks for NaNs and infinities in what was measured,
// computed or read, and refuses them by name. Comparisons, std::max, std::min and std::clamp pass a NaN over in
// silence, so that numbers of a model go through here before any of those meets them. Tested by
// tests/base/finite_test.cpp.
#pragma once

#include "base/error.h"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace ruvllm {

/// "NaN" or "an infinity", of a value that is one of them.
inline std::string_view non_finite_name(double value) { return std::isnan(value) ? "NaN" : "an infinity"; }

/// The place of the first value that is no number or infinite.
inline std::optional<size_t> find_non_finite(std::span<const float> values) {
  // All exponent bits set. A block at a time without a branch inside, which compilers turn into vectors.
  constexpr uint32_t kExponent = 0x7F800000;
  constexpr size_t kBlock = 1024;
  for (size_t first = 0; first < values.size(); first += kBlock) {
    const size_t n = values.size() - first < kBlock ? values.size() - first : kBlock;
    uint32_t bad = 0;
    for (size_t i = 0; i < n; ++i) {
      uint32_t bits;
      std::memcpy(&bits, &values[first + i], sizeof bits);
      bad |= (bits & kExponent) == kExponent ? 1u : 0u;
    }
    if (bad == 0) continue;
    for (size_t i = first; i < first + n; ++i)
      if (!std::isfinite(values[i])) return i;
  }
  return std::nullopt;
}

/// Throws Errc::corrupt_file "WHAT is NaN at number N" where a value is not finite.
inline void require_finite(std::span<const float> values, std::string_view what) {
  if (const auto at = find_non_finite(values))
    throw Error(Errc::corrupt_file, "{} is {} at number {}", what, non_finite_name(values[*at]), *at);
}

/// `value`, where it is finite; else throws Errc::corrupt_file "WHAT is NaN".
inline double finite_figure(double value, std::string_view what) {
  if (!std::isfinite(value)) throw Error(Errc::corrupt_file, "{} is {}", what, non_finite_name(value));
  return value;
}

}  // namespace ruvllm
