// Sixteen pairs of bf16 values as one AVX-512 register. See scalar/pairs.h for what each operation means.
// A file built for AVX512-BF16 gets vdpbf16ps and vcvtneps2bf16, which are those operations.
#pragma once

namespace ruvllm::kernels {
namespace {

using Pairs = Ints;

inline __m512i bf16_rounded(__m512 x) {
  constexpr int kDenormal = 0x20, kZeros = 0x06;
  const __m512i bits = _mm512_castps_si512(x), sign = _mm512_set1_epi32(static_cast<int32_t>(0x80000000u));
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i half = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF));
  const __m512i high = _mm512_set1_epi32(static_cast<int32_t>(0xFFFF0000u));
  const __mmask16 is_number = _mm512_cmp_ps_mask(x, x, _CMP_ORD_Q);
  const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x00400000));
  __m512i out = _mm512_mask_add_epi32(quiet, is_number, bits, half);
  const __mmask16 is_small = _mm512_fpclass_ps_mask(x, kDenormal | kZeros);
  out = _mm512_mask_and_epi32(out, is_small, bits, sign);
  return _mm512_and_si512(out, high);
}
inline Pairs pair_up(Floats even, Floats odd) {
#if defined(__AVX512BF16__)
  alignas(64) static constexpr uint16_t kInterleaved[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                            21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                            11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return _mm512_permutexvar_epi16(_mm512_load_si512(kInterleaved),
                                  reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(odd, even)));
#else
  return _mm512_or_si512(_mm512_srli_epi32(bf16_rounded(even), 16), bf16_rounded(odd));
#endif
}
inline __m256i to_bf16(Floats a) {
#if defined(__AVX512BF16__)
  return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(a));
#else
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(bf16_rounded(a), 16));
#endif
}
inline void store_bf16(uint16_t* to, Floats a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), to_bf16(a));
}
inline Pairs pair_neighbours(Floats first, Floats second) {
#if defined(__AVX512BF16__)
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first));
#else
  return _mm512_inserti64x4(_mm512_castsi256_si512(to_bf16(first)), to_bf16(second), 1);
#endif
}
inline Pairs load_pairs(const void* from) { return _mm512_loadu_si512(from); }
inline void store_pairs(void* to, Pairs a) { _mm512_storeu_si512(to, a); }
inline Pairs broadcast_pair(const void* from) {
  int32_t pair;
  memcpy(&pair, from, sizeof pair);
  return _mm512_set1_epi32(pair);
}

#if defined(__AVX512BF16__)
struct PairSums {
  static constexpr int kParts = 1;
  template <int part>
  static Pairs part_of(Pairs a) {
    return a;
  }
  static Floats add(Floats sum, Pairs a, Pairs b) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
};
template <class Products>
inline void sum_pairs(const Products& products) {
  products(PairSums{});
}
#endif

}  // namespace
}  // namespace ruvllm::kernels

#if !defined(__AVX512BF16__)
#include "kernels/avx2/flushed_pairs.h"
#endif
