// Sixteen pairs of bf16 values in plain C++: the definition. A pair is one word, the even value in its low
// half. Included after simd.h.
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
inline Pairs pair_up(Floats even, Floats odd) {
  return each_lane<Pairs>([&](int i) {
    return static_cast<int32_t>(float_bits(bf16_rounded(even.lane[i])) >> 16 |
                                float_bits(bf16_rounded(odd.lane[i])));
  });
}
inline Pairs load_pairs(const float* from) {
  Pairs out;
  memcpy(out.lane, from, sizeof out.lane);
  return out;
}
inline void store_pairs(float* to, Pairs a) { memcpy(to, a.lane, sizeof a.lane); }
inline Pairs broadcast_pair(const float* from) {
  int32_t pair;
  memcpy(&pair, from, sizeof pair);
  return each_lane<Pairs>([&](int) { return pair; });
}
/// sum + a's odd value times b's, rounded, then + a's even value times b's, rounded; a sum below the normal
/// numbers becomes zero each time. What vdpbf16ps does.
inline Floats add_products(Floats sum, Pairs a, Pairs b) {
  const auto step = [](float s, uint32_t x, uint32_t y) {
    const float next = fmaf(float_from_bits(x), float_from_bits(y), s);
    return fabsf(next) < 0x1p-126f ? copysignf(0.0f, next) : next;
  };
  return each_lane<Floats>([&](int i) {
    const auto x = static_cast<uint32_t>(a.lane[i]), y = static_cast<uint32_t>(b.lane[i]);
    return step(step(sum.lane[i], x & 0xFFFF0000u, y & 0xFFFF0000u), x << 16, y << 16);
  });
}

}  // namespace
}  // namespace ruvllm::kernels
