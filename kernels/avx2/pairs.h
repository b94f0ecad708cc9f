// Sixteen pairs of bf16 values as two AVX2 registers. See scalar/pairs.h for what each operation means.
#pragma once

namespace ruvllm::kernels {
namespace {

using Pairs = Ints;

inline __m256i bf16_rounded(__m256 x) {
  const __m256i bits = _mm256_castps_si256(x), high = _mm256_set1_epi32(static_cast<int32_t>(0xFFFF0000u));
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i half = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7FFF));
  const __m256i up = _mm256_add_epi32(bits, half);
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
inline __m256i to_bf16(Floats a) {
  const __m256i words[2] = {_mm256_srli_epi32(bf16_rounded(a.half[0]), 16),
                            _mm256_srli_epi32(bf16_rounded(a.half[1]), 16)};
  return _mm256_permute4x64_epi64(_mm256_packus_epi32(words[0], words[1]), 0xD8);
}
inline void store_bf16(uint16_t* to, Floats a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), to_bf16(a));
}
inline Pairs pair_neighbours(Floats first, Floats second) { return {{to_bf16(first), to_bf16(second)}}; }
inline Pairs load_pairs(const void* from) { return load_ints(from); }
inline void store_pairs(void* to, Pairs a) { store_ints(to, a); }
inline Pairs broadcast_pair(const void* from) {
  int32_t pair;
  memcpy(&pair, from, sizeof pair);
  return splat_word(pair);
}

}  // namespace
}  // namespace ruvllm::kernels

#include "kernels/avx2/flushed_pairs.h"
