// Sixteen pairs of bf16 values as two AVX2 registers. See scalar/pairs.h for what each operation means.
#pragma once

namespace ruvllm::kernels {
namespace {

using Pairs = Ints;

inline __m256i bf16_rounded(__m256 x) {
  const __m256i bits = _mm256_castps_si256(x), high = _mm256_set1_epi32(static_cast<int32_t>(0xFFFF0000u));
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i up = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF)));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x00400000));
  const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  const __m256i exponent = _mm256_and_si256(bits, _mm256_set1_epi32(0x7F800000));
  const __m256i is_small = _mm256_cmpeq_epi32(exponent, _mm256_setzero_si256());
  const __m256i sign = _mm256_and_si256(bits, _mm256_set1_epi32(static_cast<int32_t>(0x80000000u)));
  const __m256i usual = _mm256_blendv_epi8(up, quiet, is_nan);
  return _mm256_and_si256(_mm256_blendv_epi8(usual, sign, is_small), high);
}
inline Pairs pair_up(Floats even, Floats odd) {
  return both_int_halves([&](int h) {
    return _mm256_or_si256(_mm256_srli_epi32(bf16_rounded(even.half[h]), 16), bf16_rounded(odd.half[h]));
  });
}
inline Pairs load_pairs(const float* from) { return load_ints(from); }
inline void store_pairs(float* to, Pairs a) { store_ints(to, a); }
inline Pairs broadcast_pair(const float* from) {
  int32_t pair;
  memcpy(&pair, from, sizeof pair);
  return splat_word(pair);
}
inline __m256 add_product(__m256 sum, __m256i a, __m256i b) {
  const __m256 next = _mm256_fmadd_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), sum);
  const __m256 sign = _mm256_set1_ps(-0.0f);
  const __m256 is_kept = _mm256_cmp_ps(_mm256_andnot_ps(sign, next), _mm256_set1_ps(0x1p-126f), _CMP_NLT_UQ);
  return _mm256_and_ps(next, _mm256_or_ps(is_kept, sign));
}
inline Floats add_products(Floats sum, Pairs a, Pairs b) {
  const __m256i high = _mm256_set1_epi32(static_cast<int32_t>(0xFFFF0000u));
  return both_halves([&](int h) {
    const __m256 odd =
        add_product(sum.half[h], _mm256_and_si256(a.half[h], high), _mm256_and_si256(b.half[h], high));
    return add_product(odd, _mm256_slli_epi32(a.half[h], 16), _mm256_slli_epi32(b.half[h], 16));
  });
}

}  // namespace
}  // namespace ruvllm::kernels
