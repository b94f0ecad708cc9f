// Sixteen pairs of bf16 values as one AVX-512 register. See scalar/pairs.h for what each operation means.
// A file built for AVX512-BF16 gets vdpbf16ps, which is that operation; others take it apart.
#pragma once

namespace ruvllm::kernels {
namespace {

using Pairs = Ints;

inline __m512i bf16_rounded(__m512 x) {
  constexpr int kDenormal = 0x20, kZeros = 0x06;
  const __m512i bits = _mm512_castps_si512(x), sign = _mm512_set1_epi32(static_cast<int32_t>(0x80000000u));
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  __m512i out = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
  const __mmask16 is_nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  out = _mm512_mask_or_epi32(out, is_nan, bits, _mm512_set1_epi32(0x00400000));
  const __mmask16 is_small = _mm512_fpclass_ps_mask(x, kDenormal | kZeros);
  out = _mm512_mask_and_epi32(out, is_small, bits, sign);
  return _mm512_and_si512(out, _mm512_set1_epi32(static_cast<int32_t>(0xFFFF0000u)));
}
inline Pairs pair_up(Floats even, Floats odd) {
  return _mm512_or_si512(_mm512_srli_epi32(bf16_rounded(even), 16), bf16_rounded(odd));
}
inline Pairs load_pairs(const float* from) { return _mm512_loadu_si512(from); }
inline void store_pairs(float* to, Pairs a) { _mm512_storeu_si512(to, a); }
inline Pairs broadcast_pair(const float* from) {
  int32_t pair;
  memcpy(&pair, from, sizeof pair);
  return _mm512_set1_epi32(pair);
}

#if defined(__AVX512BF16__)
inline Floats add_products(Floats sum, Pairs a, Pairs b) {
  return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
}
#else
inline __m512 add_product(__m512 sum, __m512i a, __m512i b) {
  const __m512 next = _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), sum);
  const __mmask16 is_small = _mm512_cmp_ps_mask(_mm512_abs_ps(next), _mm512_set1_ps(0x1p-126f), _CMP_LT_OQ);
  return _mm512_mask_and_ps(next, is_small, next, _mm512_set1_ps(-0.0f));
}
inline Floats add_products(Floats sum, Pairs a, Pairs b) {
  const __m512i high = _mm512_set1_epi32(static_cast<int32_t>(0xFFFF0000u));
  const __m512 odd = add_product(sum, _mm512_and_si512(a, high), _mm512_and_si512(b, high));
  return add_product(odd, _mm512_slli_epi32(a, 16), _mm512_slli_epi32(b, 16));
}
#endif

}  // namespace
}  // namespace ruvllm::kernels
