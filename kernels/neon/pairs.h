// Sixteen pairs of bf16 values as four NEON registers. See scalar/pairs.h for what each operation means.
#pragma once

namespace ruvllm::kernels {
namespace {

using Pairs = Ints;

inline uint32x4_t bf16_rounded(float32x4_t x) {
  const uint32x4_t bits = vreinterpretq_u32_f32(x), high = vdupq_n_u32(0xFFFF0000u);
  const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  const uint32x4_t half = vaddq_u32(odd, vdupq_n_u32(0x7FFF)), is_number = vceqq_f32(x, x);
  const uint32x4_t up = vaddq_u32(bits, half), quiet = vorrq_u32(bits, vdupq_n_u32(0x00400000));
  const uint32x4_t is_normal = vtstq_u32(bits, vdupq_n_u32(0x7F800000));
  const uint32x4_t sign = vandq_u32(bits, vdupq_n_u32(0x80000000u));
  return vandq_u32(vbslq_u32(is_normal, vbslq_u32(is_number, up, quiet), sign), high);
}
inline Pairs pair_up(Floats even, Floats odd) {
  return int_quarters([&](int q) {
    return as_ints(vorrq_u32(vshrq_n_u32(bf16_rounded(even.quarter[q]), 16), bf16_rounded(odd.quarter[q])));
  });
}
inline uint16x4_t to_bf16(float32x4_t a) { return vshrn_n_u32(bf16_rounded(a), 16); }
inline void store_bf16(uint16_t* to, Floats a) {
  for (int q = 0; q < 4; ++q) vst1_u16(to + 4 * q, to_bf16(a.quarter[q]));
}
inline Pairs pair_neighbours(Floats first, Floats second) {
  return int_quarters([&](int q) {
    const float32x4_t* from = (q < 2 ? first : second).quarter + q % 2 * 2;
    return vreinterpretq_s32_u16(vcombine_u16(to_bf16(from[0]), to_bf16(from[1])));
  });
}
inline Pairs load_pairs(const void* from) { return load_ints(from); }
inline void store_pairs(void* to, Pairs a) { store_ints(to, a); }
inline Pairs broadcast_pair(const void* from) {
  int32_t pair;
  memcpy(&pair, from, sizeof pair);
  return splat_word(pair);
}

/// Multiply-adds, in the mode that sum_pairs sets.
struct PairSums {
  static constexpr int kParts = 2;
  template <int part>
  static Floats part_of(Pairs a) {
    const uint32x4_t high = vdupq_n_u32(0xFFFF0000u);
    return quarters([&](int q) {
      const uint32x4_t pairs = words(a.quarter[q]);
      return vreinterpretq_f32_u32(part == 0 ? vandq_u32(pairs, high) : vshlq_n_u32(pairs, 16));
    });
  }
  static Floats add(Floats sum, Floats a, Floats b) { return fma(a, b, sum); }
};
/// In the usual mode; see add_product in scalar/pairs.h.
struct CarefulSums : PairSums {
  static float32x4_t zero_where(uint32x4_t is_small, float32x4_t a) {
    return vreinterpretq_f32_u32(
        vbicq_u32(vreinterpretq_u32_f32(a), vandq_u32(is_small, vdupq_n_u32(0x7FFFFFFF))));
  }
  template <int part>
  static Floats part_of(Pairs a) {
    const Floats values = PairSums::part_of<part>(a);
    return quarters([&](int q) {
      return zero_where(vcaltq_f32(values.quarter[q], vdupq_n_f32(0x1p-126f)), values.quarter[q]);
    });
  }
  static Floats add(Floats sum, Floats a, Floats b) {
    return quarters([&](int q) {
      const float32x4_t next = vfmaq_f32(sum.quarter[q], a.quarter[q], b.quarter[q]);
      const float32x4_t scaled =
          vfmaq_f32(vmulq_n_f32(sum.quarter[q], 0x1p64f), vmulq_n_f32(a.quarter[q], 0x1p64f), b.quarter[q]);
      return zero_where(
          vandq_u32(vcaleq_f32(next, vdupq_n_f32(0x1p-126f)), vcaltq_f32(scaled, vdupq_n_f32(0x1p-62f))),
          next);
    });
  }
};
/// Apart, so that no other arithmetic gets into the mode.
template <class Products>
__attribute__((noinline)) void call_apart(const Products& products) {
  products(PairSums{});
}
/// ARM takes a sum for small before it is rounded, x86 after: where any was small, they are made again.
template <class Products>
inline void sum_pairs(const Products& products) {
  constexpr uint64_t kFlushToZero = uint64_t{1} << 24, kUnderflow = uint64_t{1} << 3;
  uint64_t mode, flags, flags_after;
  asm volatile("mrs %0, fpcr" : "=r"(mode));
  asm volatile("mrs %0, fpsr" : "=r"(flags));
  asm volatile("msr fpsr, %0" : : "r"(flags & ~kUnderflow));
  asm volatile("msr fpcr, %0" : : "r"(mode | kFlushToZero));
  call_apart(products);
  asm volatile("mrs %0, fpsr" : "=r"(flags_after));
  asm volatile("msr fpcr, %0" : : "r"(mode));
  asm volatile("msr fpsr, %0" : : "r"(flags | flags_after));
  if ((flags_after & kUnderflow) != 0) products(CarefulSums{});
}

}  // namespace
}  // namespace ruvllm::kernels
