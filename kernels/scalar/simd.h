// Sixteen lanes in plain C++: what avx512/simd.h, avx2/simd.h and neon/simd.h do with vectors, one lane after
// the other. The definition of every operation that kernels/lanes/ is written in.
#pragma once

#include "kernels/formats/floats.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace ruvllm::kernels {
namespace {

struct Floats {
  float lane[16];
};
struct Ints {
  int32_t lane[16];
};

/// Register tile of f32 products (lanes/gemm.h).
constexpr size_t kGemmRows = 4;
constexpr size_t kGemmVectors = 1;

template <class Vector, class Function>
inline Vector each_lane(Function function) {
  Vector out;
  for (int i = 0; i < 16; ++i) out.lane[i] = function(i);
  return out;
}

inline Floats load(const float* from) {
  Floats out;
  memcpy(out.lane, from, sizeof out.lane);
  return out;
}
inline Floats as_floats(Ints words) {
  Floats out;
  memcpy(out.lane, words.lane, sizeof out.lane);
  return out;
}
inline void store(float* to, Floats a) { memcpy(to, a.lane, sizeof a.lane); }
inline Floats broadcast(float value) {
  return each_lane<Floats>([&](int) { return value; });
}
inline Floats add(Floats a, Floats b) {
  return each_lane<Floats>([&](int i) { return a.lane[i] + b.lane[i]; });
}
inline Floats subtract(Floats a, Floats b) {
  return each_lane<Floats>([&](int i) { return a.lane[i] - b.lane[i]; });
}
inline Floats multiply(Floats a, Floats b) {
  return each_lane<Floats>([&](int i) { return a.lane[i] * b.lane[i]; });
}
inline Floats divide(Floats a, Floats b) {
  return each_lane<Floats>([&](int i) { return a.lane[i] / b.lane[i]; });
}
inline Floats square_root(Floats a) {
  return each_lane<Floats>([&](int i) { return sqrtf(a.lane[i]); });
}
/// a * b + c, rounded once.
inline Floats fma(Floats a, Floats b, Floats c) {
  return each_lane<Floats>([&](int i) { return fmaf(a.lane[i], b.lane[i], c.lane[i]); });
}
inline Floats maximum(Floats a, Floats b) {
  return each_lane<Floats>([&](int i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
}
inline Floats minimum(Floats a, Floats b) {
  return each_lane<Floats>([&](int i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; });
}
inline Floats absolute(Floats a) {
  return each_lane<Floats>([&](int i) { return fabsf(a.lane[i]); });
}
inline Floats with_sign_of(Floats magnitude, Floats sign) {
  return each_lane<Floats>([&](int i) { return copysignf(magnitude.lane[i], sign.lane[i]); });
}
/// a < b ? yes : no
inline Floats select_less(Floats a, Floats b, Floats yes, Floats no) {
  return each_lane<Floats>([&](int i) { return a.lane[i] < b.lane[i] ? yes.lane[i] : no.lane[i]; });
}
/// a * 2^n, where n is the small whole number that `rounded` = 1.5 * 2^23 + n holds in its low bits.
inline Floats scale_by_power(Floats a, Floats rounded) {
  return each_lane<Floats>(
      [&](int i) { return float_from_bits(float_bits(a.lane[i]) + (float_bits(rounded.lane[i]) << 23)); });
}
/// To the nearest whole number, ties to even; |a| < 2^22.
inline Ints round_to_ints(Floats a) {
  return each_lane<Ints>(
      [&](int i) { return static_cast<int32_t>(float_bits(a.lane[i] + 0x1.8p23f)) - 0x4B400000; });
}
/// The low byte of each lane.
inline void store_bytes(int8_t* to, Ints a) {
  for (int i = 0; i < 16; ++i) to[i] = static_cast<int8_t>(a.lane[i]);
}
/// The low half of each lane.
inline void store_halves(int16_t* to, Ints a) {
  for (int i = 0; i < 16; ++i) to[i] = static_cast<int16_t>(static_cast<uint32_t>(a.lane[i]) & 0xFFFFu);
}
inline Ints load_ints(const void* from) {
  Ints out;
  memcpy(out.lane, from, sizeof out.lane);
  return out;
}
inline void store_ints(void* to, Ints a) { memcpy(to, a.lane, sizeof a.lane); }
inline Ints splat_word(int32_t value) {
  return each_lane<Ints>([&](int) { return value; });
}
/// 16 halves, as unsigned numbers.
inline Ints load_halves(const void* from) {
  uint16_t halves[16];
  memcpy(halves, from, sizeof halves);
  return each_lane<Ints>([&](int i) { return static_cast<int32_t>(halves[i]); });
}
/// The low half of each word, as a signed number.
inline Ints low_halves_signed(Ints words) {
  return each_lane<Ints>([&](int i) {
    return static_cast<int32_t>(static_cast<int16_t>(static_cast<uint32_t>(words.lane[i]) & 0xFFFFu));
  });
}
inline Ints either(Ints a, Ints b) {
  return each_lane<Ints>([&](int i) { return a.lane[i] | b.lane[i]; });
}
template <int n>
inline Ints shift_left(Ints a) {
  return each_lane<Ints>([&](int i) { return static_cast<int32_t>(static_cast<uint32_t>(a.lane[i]) << n); });
}
inline Floats to_floats(Ints words) {
  return each_lane<Floats>([&](int i) { return static_cast<float>(words.lane[i]); });
}
/// sum + the product of the words' low halves + that of their high ones; signed, modulo 2^32.
inline Ints add_pair_products(Ints sum, Ints a, Ints b) {
  const auto product = [&](int i, int shift) {
    const auto x = static_cast<int16_t>(static_cast<uint32_t>(a.lane[i]) >> shift & 0xFFFFu);
    const auto y = static_cast<int16_t>(static_cast<uint32_t>(b.lane[i]) >> shift & 0xFFFFu);
    return static_cast<uint32_t>(x * y);
  };
  return each_lane<Ints>([&](int i) {
    return static_cast<int32_t>(static_cast<uint32_t>(sum.lane[i]) + product(i, 0) + product(i, 16));
  });
}
inline Ints subtract(Ints a, Ints b) {
  return each_lane<Ints>([&](int i) { return a.lane[i] - b.lane[i]; });
}
/// a as 256 * high + low with both in -127 .. 127: a low of -128, which has no negative, is rounded to -127.
inline Ints high_plane(Ints a) {
  return each_lane<Ints>([&](int i) { return (a.lane[i] + 128) >> 8; });
}
inline Ints low_plane(Ints a, Ints high) {
  return each_lane<Ints>([&](int i) {
    const int32_t low = a.lane[i] - high.lane[i] * 256;
    return low < -127 ? -127 : low;
  });
}
inline int32_t sum_of_lanes(Ints a) {
  int32_t sum = 0;
  for (int i = 0; i < 16; ++i) sum += a.lane[i];
  return sum;
}
inline Floats load_f16(const uint16_t* from) {
  return each_lane<Floats>([&](int i) { return f16_to_f32(from[i]); });
}
inline void store_f16(uint16_t* to, Floats a) {
  for (int i = 0; i < 16; ++i) to[i] = f32_to_f16(a.lane[i]);
}
inline Floats load_bf16(const uint16_t* from) {
  return each_lane<Floats>([&](int i) { return bf16_to_f32(from[i]); });
}
/// Signed bytes as floats.
inline Floats load_bytes(const int8_t* from) {
  return each_lane<Floats>([&](int i) { return static_cast<float>(from[i]); });
}

/// By a tree: lane i with lane i + 8, then + 4, + 2, + 1.
inline float sum_of_lanes(Floats a) {
  for (int half = 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) a.lane[i] += a.lane[i + half];
  }
  return a.lane[0];
}
inline float maximum_of_lanes(Floats a) {
  float most = a.lane[0];
  for (int i = 1; i < 16; ++i) most = a.lane[i] > most ? a.lane[i] : most;
  return most;
}

/// 16 rows of 16 lanes become 16 columns.
inline void transpose(Floats (&rows)[16]) {
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < i; ++j) {
      const float swapped = rows[i].lane[j];
      rows[i].lane[j] = rows[j].lane[i];
      rows[j].lane[i] = swapped;
    }
  }
}

/// Query rows that attention handles at once, and vectors of a tile of them.
constexpr int kAttentionRows = 2;
constexpr int kAttentionVectors = 4;

}  // namespace
}  // namespace ruvllm::kernels
