// Sixteen pairs of bf16 values in plain C++: the definition. A pair is one word, the even value in its low
// half. Included after simd.h.
//
// A product of pairs is added in two steps, the odd values' first, in which operands and sums below the
// normal numbers count as zero. vdpbf16ps does both at once; elsewhere they are multiply-adds in a mode of
// the processor that costs nothing (sum_pairs). Tested by tests/kernels/matmul_test.cpp and
// training_test.cpp.
#pragma once

namespace ruvllm::kernels {
namespace {

using Pairs = Ints;

inline float bf16_rounded(float x) {
  const uint32_t bits = float_bits(x);
  if ((bits & 0x7F800000u) == 0) return float_from_bits(bits & 0x80000000u);  // zero, denormals
  if (x != x) return float_from_bits((bits | 0x00400000u) & 0xFFFF0000u);
  return float_from_bits((bits + 0x7FFFu + (bits >> 16 & 1u)) & 0xFFFF0000u);
}
/// Both rounded to the nearest bf16, ties to even; denormals become zero.
inline uint32_t pair_up(float even, float odd) {
  return float_bits(bf16_rounded(even)) >> 16 | float_bits(bf16_rounded(odd));
}
inline Pairs pair_up(Floats even, Floats odd) {
  return each_lane<Pairs>([&](int i) { return static_cast<int32_t>(pair_up(even.lane[i], odd.lane[i])); });
}
/// Values 2i and 2i + 1 of the 32 in pair i.
inline Pairs pair_neighbours(Floats first, Floats second) {
  return each_lane<Pairs>([&](int i) {
    const float* even = i < 8 ? first.lane + 2 * i : second.lane + 2 * (i - 8);
    return static_cast<int32_t>(pair_up(even[0], even[1]));
  });
}
inline Pairs load_pairs(const void* from) {
  Pairs out;
  memcpy(out.lane, from, sizeof out.lane);
  return out;
}
inline void store_pairs(void* to, Pairs a) { memcpy(to, a.lane, sizeof a.lane); }
inline Pairs broadcast_pair(const void* from) {
  int32_t pair;
  memcpy(&pair, from, sizeof pair);
  return each_lane<Pairs>([&](int) { return pair; });
}

inline float without_denormals(float x) { return fabsf(x) < 0x1p-126f ? copysignf(0.0f, x) : x; }
/// sum + a * b, rounded once; zero where that, rounded as if exponents went on, is below the normal numbers.
inline float add_product(float sum, float a, float b) {
  a = without_denormals(a);
  b = without_denormals(b);
  const float next = fmaf(a, b, sum);
  if (!(fabsf(next) <= 0x1p-126f)) return next;
  const float scaled = fmaf(a * 0x1p64f, b, sum * 0x1p64f);
  return fabsf(scaled) < 0x1p-62f ? copysignf(0.0f, next) : next;
}
/// sum + a's odd value times b's, then + a's even value times b's.
inline float add_pair(float sum, uint32_t a, uint32_t b) {
  const float odd = add_product(sum, float_from_bits(a & 0xFFFF0000u), float_from_bits(b & 0xFFFF0000u));
  return add_product(odd, float_from_bits(a << 16), float_from_bits(b << 16));
}
/// A product of pairs in kParts steps: sum = add(sum, part_of<0>(a), part_of<0>(b)), then the same of part 1.
struct PairSums {
  static constexpr int kParts = 2;
  template <int part>
  static Floats part_of(Pairs a) {
    return each_lane<Floats>([&](int i) {
      const auto pair = static_cast<uint32_t>(a.lane[i]);
      return float_from_bits(part == 0 ? pair & 0xFFFF0000u : pair << 16);
    });
  }
  static Floats add(Floats sum, Floats a, Floats b) {
    return each_lane<Floats>([&](int i) { return add_product(sum.lane[i], a.lane[i], b.lane[i]); });
  }
};
/// Calls products(PairSums{}) where PairSums adds as it should: once, or with another type again.
template <class Products>
inline void sum_pairs(const Products& products) {
  products(PairSums{});
}

}  // namespace
}  // namespace ruvllm::kernels
