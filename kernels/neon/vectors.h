// Sixteen lanes as four NEON registers: what the columns of 64-bit ARM have in common. See scalar/simd.h for
// what each operation means. A column's simd.h adds how it multiplies bytes.
#pragma once

#include "kernels/formats/floats.h"

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace ruvllm::kernels {
namespace {

struct Floats {
  float32x4_t quarter[4];
};
/// 16 words, or 64 bytes.
struct Ints {
  int32x4_t quarter[4];
};

/// Whether code books of 16-bit points are looked up in registers; here, points are gathered.
constexpr bool kHasBooks = false;
/// Register tile of f32 products (lanes/gemm.h): 24 registers of sums, four of B, a broadcast, of 32.
constexpr size_t kGemmRows = 6;
constexpr size_t kGemmVectors = 1;
/// Query rows that attention handles at once, and vectors of a tile of them: 16 registers of sums.
constexpr int kAttentionRows = 1;
constexpr int kAttentionVectors = 4;
/// Panels and activation rows of a tile of float products: 24 registers of sums.
constexpr int kFloatPanels = 2;
constexpr int kFloatRows = 3;

template <class Function>
inline Floats quarters(Function function) {
  return {{function(0), function(1), function(2), function(3)}};
}
template <class Function>
inline Ints int_quarters(Function function) {
  return {{function(0), function(1), function(2), function(3)}};
}
/// The same of bytes.
template <class Function>
inline Ints byte_quarters(Function function) {
  return int_quarters([&](int q) { return vreinterpretq_s32_u8(function(q)); });
}
inline uint8x16_t bytes(int32x4_t a) { return vreinterpretq_u8_s32(a); }
inline int8x16_t signed_bytes(int32x4_t a) { return vreinterpretq_s8_s32(a); }
inline uint32x4_t words(int32x4_t a) { return vreinterpretq_u32_s32(a); }
inline int32x4_t as_ints(uint32x4_t a) { return vreinterpretq_s32_u32(a); }
inline int32x4_t as_ints(float32x4_t a) { return vreinterpretq_s32_f32(a); }

inline Floats load(const float* from) {
  return quarters([&](int q) { return vld1q_f32(from + 4 * q); });
}
inline void store(float* to, Floats a) {
  for (int q = 0; q < 4; ++q) vst1q_f32(to + 4 * q, a.quarter[q]);
}
inline Floats broadcast(float value) {
  return quarters([&](int) { return vdupq_n_f32(value); });
}
inline Floats add(Floats a, Floats b) {
  return quarters([&](int q) { return vaddq_f32(a.quarter[q], b.quarter[q]); });
}
inline Floats subtract(Floats a, Floats b) {
  return quarters([&](int q) { return vsubq_f32(a.quarter[q], b.quarter[q]); });
}
inline Floats multiply(Floats a, Floats b) {
  return quarters([&](int q) { return vmulq_f32(a.quarter[q], b.quarter[q]); });
}
inline Floats divide(Floats a, Floats b) {
  return quarters([&](int q) { return vdivq_f32(a.quarter[q], b.quarter[q]); });
}
inline Floats square_root(Floats a) {
  return quarters([&](int q) { return vsqrtq_f32(a.quarter[q]); });
}
inline Floats fma(Floats a, Floats b, Floats c) {
  return quarters([&](int q) { return vfmaq_f32(c.quarter[q], a.quarter[q], b.quarter[q]); });
}
/// By comparison: of zeros with different signs, and of what is no number, fmax takes another than `b`.
inline float32x4_t maximum(float32x4_t a, float32x4_t b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
inline Floats maximum(Floats a, Floats b) {
  return quarters([&](int q) { return maximum(a.quarter[q], b.quarter[q]); });
}
inline Floats minimum(Floats a, Floats b) {
  return quarters(
      [&](int q) { return vbslq_f32(vcltq_f32(a.quarter[q], b.quarter[q]), a.quarter[q], b.quarter[q]); });
}
inline Floats absolute(Floats a) {
  return quarters([&](int q) { return vabsq_f32(a.quarter[q]); });
}
inline Floats with_sign_of(Floats magnitude, Floats sign) {
  const uint32x4_t bit = vdupq_n_u32(0x80000000u);
  return quarters([&](int q) { return vbslq_f32(bit, sign.quarter[q], magnitude.quarter[q]); });
}
inline Floats select_less(Floats a, Floats b, Floats yes, Floats no) {
  return quarters(
      [&](int q) { return vbslq_f32(vcltq_f32(a.quarter[q], b.quarter[q]), yes.quarter[q], no.quarter[q]); });
}
inline Floats scale_by_power(Floats a, Floats rounded) {
  return quarters([&](int q) {
    const int32x4_t power = vshlq_n_s32(as_ints(rounded.quarter[q]), 23);
    return vreinterpretq_f32_s32(vaddq_s32(as_ints(a.quarter[q]), power));
  });
}
inline Ints round_to_ints(Floats a) {
  return int_quarters([&](int q) { return vcvtnq_s32_f32(a.quarter[q]); });
}
inline int16x8_t low_halves(int32x4_t a, int32x4_t b) { return vcombine_s16(vmovn_s32(a), vmovn_s32(b)); }
inline void store_bytes(int8_t* to, Ints a) {
  const int8x8_t first = vmovn_s16(low_halves(a.quarter[0], a.quarter[1]));
  vst1q_s8(to, vcombine_s8(first, vmovn_s16(low_halves(a.quarter[2], a.quarter[3]))));
}
inline void store_halves(int16_t* to, Ints a) {
  vst1q_s16(to, low_halves(a.quarter[0], a.quarter[1]));
  vst1q_s16(to + 8, low_halves(a.quarter[2], a.quarter[3]));
}
inline Ints low_halves_signed(Ints words) {
  return int_quarters([&](int q) { return vshrq_n_s32(vshlq_n_s32(words.quarter[q], 16), 16); });
}
inline Ints add_pair_products(Ints sum, Ints a, Ints b) {
  return int_quarters([&](int q) {
    const int16x8_t x = vreinterpretq_s16_s32(a.quarter[q]), y = vreinterpretq_s16_s32(b.quarter[q]);
    const int32x4_t first = vmull_s16(vget_low_s16(x), vget_low_s16(y)), second = vmull_high_s16(x, y);
    return vaddq_s32(sum.quarter[q], vpaddq_s32(first, second));
  });
}
inline Ints subtract(Ints a, Ints b) {
  return int_quarters([&](int q) { return vsubq_s32(a.quarter[q], b.quarter[q]); });
}
inline Ints high_plane(Ints a) {
  return int_quarters([&](int q) { return vshrq_n_s32(vaddq_s32(a.quarter[q], vdupq_n_s32(128)), 8); });
}
inline Ints low_plane(Ints a, Ints high) {
  return int_quarters([&](int q) {
    return vmaxq_s32(vsubq_s32(a.quarter[q], vshlq_n_s32(high.quarter[q], 8)), vdupq_n_s32(-127));
  });
}
inline int32_t sum_of_lanes(Ints a) {
  return vaddvq_s32(vaddq_s32(vaddq_s32(a.quarter[0], a.quarter[2]), vaddq_s32(a.quarter[1], a.quarter[3])));
}
inline float sum_of_lanes(Floats a) {
  const float32x4_t four =
      vaddq_f32(vaddq_f32(a.quarter[0], a.quarter[2]), vaddq_f32(a.quarter[1], a.quarter[3]));
  const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
  return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}
inline float maximum_of_lanes(Floats a) {
  const float32x4_t four = maximum(maximum(a.quarter[0], a.quarter[2]), maximum(a.quarter[1], a.quarter[3]));
  const float32x4_t two = maximum(four, vextq_f32(four, four, 2));
  return vgetq_lane_f32(maximum(two, vextq_f32(two, two, 1)), 0);
}

inline Floats load_f16(const uint16_t* from) {
  return quarters([&](int q) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from + 4 * q))); });
}
inline void store_f16(uint16_t* to, Floats a) {
  for (int q = 0; q < 4; ++q) vst1_u16(to + 4 * q, vreinterpret_u16_f16(vcvt_f16_f32(a.quarter[q])));
}
inline Floats load_bf16(const uint16_t* from) {
  return quarters([&](int q) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(from + 4 * q), 16)); });
}
inline Floats load_bytes(const int8_t* from) {
  const int8x16_t all = vld1q_s8(from);
  const int16x8_t low = vmovl_s8(vget_low_s8(all)), high = vmovl_high_s8(all);
  return {{vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
           vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))}};
}

// ------------------------------------------------------------------ integers: 16 words, or 64 bytes

inline Ints load_ints(const void* from) {
  return byte_quarters([&](int q) { return vld1q_u8(static_cast<const uint8_t*>(from) + 16 * q); });
}
inline void store_ints(void* to, Ints a) {
  for (int q = 0; q < 4; ++q) vst1q_u8(static_cast<uint8_t*>(to) + 16 * q, bytes(a.quarter[q]));
}
inline Ints load_halves(const void* from) {
  return int_quarters([&](int q) {
    const uint8x8_t four = vld1_u8(static_cast<const uint8_t*>(from) + 8 * q);
    return as_ints(vmovl_u16(vreinterpret_u16_u8(four)));
  });
}
inline Ints load_table(const int8_t* table) {
  const int32x4_t once = vreinterpretq_s32_s8(vld1q_s8(table));
  return {{once, once, once, once}};
}
inline Ints splat_word(int32_t value) {
  return int_quarters([&](int) { return vdupq_n_s32(value); });
}
inline Ints splat_byte(int value) {
  return byte_quarters([&](int) { return vdupq_n_u8(static_cast<uint8_t>(value)); });
}
inline Ints both(Ints a, Ints b) {
  return int_quarters([&](int q) { return vandq_s32(a.quarter[q], b.quarter[q]); });
}
inline Ints either(Ints a, Ints b) {
  return int_quarters([&](int q) { return vorrq_s32(a.quarter[q], b.quarter[q]); });
}
inline Ints differ(Ints a, Ints b) {
  return int_quarters([&](int q) { return veorq_s32(a.quarter[q], b.quarter[q]); });
}
/// Bits of `yes` where `mask` has ones, else of `no`.
inline Ints merge(Ints mask, Ints yes, Ints no) {
  return int_quarters(
      [&](int q) { return vbslq_s32(words(mask.quarter[q]), yes.quarter[q], no.quarter[q]); });
}
inline Ints add_bytes(Ints a, Ints b) {
  return byte_quarters([&](int q) { return vaddq_u8(bytes(a.quarter[q]), bytes(b.quarter[q])); });
}
inline Ints add_words(Ints a, Ints b) {
  return int_quarters([&](int q) { return vaddq_s32(a.quarter[q], b.quarter[q]); });
}
template <int n>
inline Ints shift_right(Ints a) {
  if constexpr (n == 0) return a;
  return int_quarters([&](int q) { return as_ints(vshrq_n_u32(words(a.quarter[q]), n == 0 ? 1 : n)); });
}
template <int n>
inline Ints shift_left(Ints a) {
  return int_quarters([&](int q) { return vshlq_n_s32(a.quarter[q], n); });
}
inline Ints shift_right_each(Ints a, Ints n) {
  return int_quarters(
      [&](int q) { return as_ints(vshlq_u32(words(a.quarter[q]), vnegq_s32(n.quarter[q]))); });
}
inline Ints look_up(Ints table, Ints index) {
  return byte_quarters([&](int q) { return vqtbl1q_u8(bytes(table.quarter[q]), bytes(index.quarter[q])); });
}
inline Ints at_least(Ints a, int bound) {
  const uint8x16_t limit = vdupq_n_u8(static_cast<uint8_t>(bound)), one = vdupq_n_u8(1);
  return byte_quarters([&](int q) { return vandq_u8(vcgeq_u8(bytes(a.quarter[q]), limit), one); });
}
/// All ones in byte j of each word where bit first + j of that word of `words` is set.
inline Ints bits_to_bytes(Ints from, int first) {
  alignas(16) static constexpr uint8_t kFirstBytes[16] = {0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12};
  const uint8x16_t spread = vaddq_u8(vld1q_u8(kFirstBytes), vdupq_n_u8(static_cast<uint8_t>(first / 8)));
  const uint8x16_t bit = vreinterpretq_u8_u32(vdupq_n_u32(0x08040201u << first % 8));
  return byte_quarters([&](int q) { return vtstq_u8(vqtbl1q_u8(bytes(from.quarter[q]), spread), bit); });
}
inline Ints value_where_bit(Ints from, int first, int value) {
  return both(bits_to_bytes(from, first), splat_byte(value));
}
inline Ints negate_where_bit(Ints from, Ints signs, int first) {
  const Ints mask = bits_to_bytes(signs, first);
  return byte_quarters([&](int q) {
    const uint8x16_t m = bytes(mask.quarter[q]);
    return vsubq_u8(veorq_u8(bytes(from.quarter[q]), m), m);
  });
}
inline int32_t word_at(const void* base, int32_t offset) {
  int32_t word;
  memcpy(&word, static_cast<const char*>(base) + offset, sizeof word);
  return word;
}
inline Ints gather(const void* base, Ints offsets) {
  return int_quarters([&](int q) {
    const int32x4_t at = offsets.quarter[q];
    int32x4_t found = vdupq_n_s32(word_at(base, vgetq_lane_s32(at, 0)));
    found = vsetq_lane_s32(word_at(base, vgetq_lane_s32(at, 1)), found, 1);
    found = vsetq_lane_s32(word_at(base, vgetq_lane_s32(at, 2)), found, 2);
    return vsetq_lane_s32(word_at(base, vgetq_lane_s32(at, 3)), found, 3);
  });
}
inline Floats to_floats(Ints a) {
  return quarters([&](int q) { return vcvtq_f32_s32(a.quarter[q]); });
}
inline Floats halves_to_floats(Ints a) {
  return quarters([&](int q) { return vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32(words(a.quarter[q])))); });
}
inline Floats as_floats(Ints a) {
  return quarters([&](int q) { return vreinterpretq_f32_s32(a.quarter[q]); });
}
template <int j>
inline Ints signed_byte(Ints a) {
  return int_quarters([&](int q) { return vshrq_n_s32(vshlq_n_s32(a.quarter[q], 24 - 8 * j), 24); });
}

/// Four activations, for all rows.
inline Ints four_activations(const int8_t* activations) { return splat_word(word_at(activations, 0)); }

/// Keeps the compiler from knowing what is in `a`.
inline void hide(Ints& a) {
  asm volatile("" : "+w"(a.quarter[0]), "+w"(a.quarter[1]), "+w"(a.quarter[2]), "+w"(a.quarter[3]));
}

inline void prefetch(const void* address) { __builtin_prefetch(address); }
/// To the second-level cache.
inline void prefetch_far(const void* address) { __builtin_prefetch(address, 0, 2); }

/// 4 rows of 4 lanes become 4 columns: pairs, then halves.
inline void transpose_four(float32x4_t& a, float32x4_t& b, float32x4_t& c, float32x4_t& d) {
  const float32x4x2_t ab = vtrnq_f32(a, b), cd = vtrnq_f32(c, d);
  a = vcombine_f32(vget_low_f32(ab.val[0]), vget_low_f32(cd.val[0]));
  b = vcombine_f32(vget_low_f32(ab.val[1]), vget_low_f32(cd.val[1]));
  c = vcombine_f32(vget_high_f32(ab.val[0]), vget_high_f32(cd.val[0]));
  d = vcombine_f32(vget_high_f32(ab.val[1]), vget_high_f32(cd.val[1]));
}

/// 16 rows of 16 lanes become 16 columns, a sixteenth at a time.
inline void transpose(Floats (&rows)[16]) {
  Floats columns[16];
  for (int top = 0; top < 4; ++top) {
    for (int side = 0; side < 4; ++side) {
      float32x4_t part[4];
      for (int i = 0; i < 4; ++i) part[i] = rows[4 * top + i].quarter[side];
      transpose_four(part[0], part[1], part[2], part[3]);
      for (int i = 0; i < 4; ++i) columns[4 * side + i].quarter[top] = part[i];
    }
  }
  for (int i = 0; i < 16; ++i) rows[i] = columns[i];
}

}  // namespace
}  // namespace ruvllm::kernels
