// Sixteen pairs of bf16 values as four NEON registers. See scalar/pairs.h for what each operation means.
#pragma once

namespace ruvllm::kernels {
namespace {

using Pairs = Ints;

inline uint32x4_t bf16_rounded(float32x4_t x) {
  const uint32x4_t bits = vreinterpretq_u32_f32(x), high = vdupq_n_u32(0xFFFF0000u);
  const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  const uint32x4_t up = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7FFF)));
  const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x00400000));
  const uint32x4_t is_number = vceqq_f32(x, x), is_normal = vtstq_u32(bits, vdupq_n_u32(0x7F800000));
  const uint32x4_t sign = vandq_u32(bits, vdupq_n_u32(0x80000000u));
  return vandq_u32(vbslq_u32(is_normal, vbslq_u32(is_number, up, quiet), sign), high);
}
inline Pairs pair_up(Floats even, Floats odd) {
  return int_quarters([&](int q) {
    return as_ints(vorrq_u32(vshrq_n_u32(bf16_rounded(even.quarter[q]), 16), bf16_rounded(odd.quarter[q])));
  });
}
inline Pairs load_pairs(const float* from) { return load_ints(from); }
inline void store_pairs(float* to, Pairs a) { store_ints(to, a); }
inline Pairs broadcast_pair(const float* from) { return splat_word(word_at(from, 0)); }
inline float32x4_t add_product(float32x4_t sum, uint32x4_t a, uint32x4_t b) {
  const float32x4_t next = vfmaq_f32(sum, vreinterpretq_f32_u32(a), vreinterpretq_f32_u32(b));
  const uint32x4_t is_small = vcltq_f32(vabsq_f32(next), vdupq_n_f32(0x1p-126f));
  const uint32x4_t all_but_sign = vandq_u32(is_small, vdupq_n_u32(0x7FFFFFFF));
  return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(next), all_but_sign));
}
inline Floats add_products(Floats sum, Pairs a, Pairs b) {
  const uint32x4_t high = vdupq_n_u32(0xFFFF0000u);
  return quarters([&](int q) {
    const uint32x4_t x = words(a.quarter[q]), y = words(b.quarter[q]);
    const float32x4_t odd = add_product(sum.quarter[q], vandq_u32(x, high), vandq_u32(y, high));
    return add_product(odd, vshlq_n_u32(x, 16), vshlq_n_u32(y, 16));
  });
}

}  // namespace
}  // namespace ruvllm::kernels
