// Vectors as integers of 16 bits with one scale: x = scale * integer, rounded to nearest, ties to even. So
// keys and values are stored (KvFormat::q16), and queries meet them. Integers are small enough that no sum of
// products overflows 32 bits, whatever the order of additions:
//
// - Keys and queries: their norms are at most kMostNorm, so that their product, by Cauchy and Schwarz, is
// less
//   than 2^31 (rounding may add half the root of the dimension to each, 64 at most; 46 064^2 < 2^31).
// - Values times weights, 64 of them: 64 * kMostValue * kMostWeight < 2^31.
//
// A scale that is no number marks a vector that holds one that is none, or is beyond 2^63. Included after a
// column's simd.h. Tested by tests/kernels/attention_test.cpp.
#pragma once

#include "kernels/kernels.h"

#include <math.h>

namespace ruvllm::kernels {
namespace {

constexpr float kMostInteger = 32767.0f;
constexpr float kMostNorm = 46000.0f;
constexpr float kMostValue = 4095.0f;
constexpr float kMostWeight = 8191.0f;

/// Values i .. i + 15 of n; zeros beyond them.
inline Floats load_part(const float* x, size_t i, size_t n) {
  if (n - i >= 16) return load(x + i);
  float part[16] = {};
  memcpy(part, x + i, (n - i) * sizeof(float));
  return load(part);
}

/// What integers of a vector are multiplied by: 0 where all of it is (nearly) zero.
inline float q16_scale(const float* x, size_t n, KvRole role) {
  Floats most = broadcast(0.0f), squares = broadcast(0.0f);
  for (size_t i = 0; i < n; i += 16) {
    const Floats part = load_part(x, i, n);
    most = maximum(absolute(part), most);
    squares = fma(part, part, squares);
  }
  const float sum = sum_of_lanes(squares);
  if (!(sum < 0x1p126f)) return NAN;
  const float largest = maximum_of_lanes(most);
  if (largest < 0x1p-100f) return 0.0f;
  if (role == KvRole::value) return largest / kMostValue;
  const float by_norm = sqrtf(sum) / kMostNorm, by_size = largest / kMostInteger;
  return by_norm > by_size ? by_norm : by_size;
}

/// Integers of a vector with that scale, in memory up to the next multiple of 16 where is_padded.
template <bool is_padded>
inline void store_q16(const float* x, size_t n, float scale, int16_t* out) {
  const Floats inverse = broadcast(scale > 0.0f ? 1.0f / scale : 0.0f);
  for (size_t i = 0; i < n; i += 16) {
    // What is no number becomes 0, so that every column stores the same bytes.
    const Ints integers = scale > 0.0f ? round_to_ints(multiply(load_part(x, i, n), inverse)) : splat_word(0);
    if (is_padded || n - i >= 16) {
      store_halves(out + i, integers);
    } else {
      int16_t part[16];
      store_halves(part, integers);
      memcpy(out + i, part, (n - i) * sizeof(int16_t));
    }
  }
}

}  // namespace
}  // namespace ruvllm::kernels
