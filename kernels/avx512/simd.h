// Sixteen lanes as one AVX-512 register. See scalar/simd.h for what each operation means.
#pragma once

#include "kernels/formats/floats.h"

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace ruvllm::kernels {
namespace {

using Floats = __m512;
using Ints = __m512i;

/// Register tile of f32 products (lanes/gemm.h): 28 accumulators, two vectors of B, a broadcast.
constexpr size_t kGemmRows = 14;
constexpr size_t kGemmVectors = 2;

inline Floats load(const float* from) { return _mm512_loadu_ps(from); }
inline void store(float* to, Floats a) { _mm512_storeu_ps(to, a); }
inline Floats broadcast(float value) { return _mm512_set1_ps(value); }
inline Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
inline Floats subtract(Floats a, Floats b) { return _mm512_sub_ps(a, b); }
inline Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
inline Floats divide(Floats a, Floats b) { return _mm512_div_ps(a, b); }
inline Floats square_root(Floats a) { return _mm512_sqrt_ps(a); }
inline Floats fma(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
inline Floats maximum(Floats a, Floats b) { return _mm512_max_ps(a, b); }
inline Floats minimum(Floats a, Floats b) { return _mm512_min_ps(a, b); }
inline Floats absolute(Floats a) { return _mm512_abs_ps(a); }
inline Floats with_sign_of(Floats magnitude, Floats sign) {
  const __m512i bit = _mm512_set1_epi32(static_cast<int32_t>(0x80000000u));
  return _mm512_castsi512_ps(
      _mm512_ternarylogic_epi32(bit, _mm512_castps_si512(sign), _mm512_castps_si512(magnitude), 0xCA));
}
inline Floats select_less(Floats a, Floats b, Floats yes, Floats no) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
}
inline Floats scale_by_power(Floats a, Floats rounded) {
  return _mm512_castsi512_ps(
      _mm512_add_epi32(_mm512_castps_si512(a), _mm512_slli_epi32(_mm512_castps_si512(rounded), 23)));
}
inline Ints round_to_ints(Floats a) {
  return _mm512_cvt_roundps_epi32(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
inline void store_bytes(int8_t* to, Ints a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(a));
}
inline void store_halves(int16_t* to, Ints a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(a));
}
inline Ints low_halves_signed(Ints words) { return _mm512_srai_epi32(_mm512_slli_epi32(words, 16), 16); }
/// Not the intrinsic, around which GCC 12 copies every sum of a register tile to the stack and back.
inline Ints add_pair_products(Ints sum, Ints a, Ints b) {
  asm("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
  return sum;
}
inline Ints subtract(Ints a, Ints b) { return _mm512_sub_epi32(a, b); }
inline Ints high_plane(Ints a) { return _mm512_srai_epi32(_mm512_add_epi32(a, _mm512_set1_epi32(128)), 8); }
inline Ints low_plane(Ints a, Ints high) {
  return _mm512_max_epi32(_mm512_sub_epi32(a, _mm512_slli_epi32(high, 8)), _mm512_set1_epi32(-127));
}
inline int32_t sum_of_lanes(Ints a) { return _mm512_reduce_add_epi32(a); }
inline Floats load_f16(const uint16_t* from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
inline void store_f16(uint16_t* to, Floats a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                      _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
inline Floats load_bf16(const uint16_t* from) {
  const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}
inline Floats load_bytes(const int8_t* from) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
}

inline float sum_of_lanes(Floats a) { return _mm512_reduce_add_ps(a); }  // the same tree
inline float maximum_of_lanes(Floats a) { return _mm512_reduce_max_ps(a); }

// ------------------------------------------------------------------ integers: 16 words, or 64 bytes

inline Ints load_ints(const void* from) { return _mm512_loadu_si512(from); }
inline void store_ints(void* to, Ints a) { _mm512_storeu_si512(to, a); }
inline Ints load_halves(const void* from) {
  return _mm512_cvtepu16_epi32(_mm256_loadu_si256(static_cast<const __m256i*>(from)));
}
/// 16 bytes, four times.
inline Ints load_table(const int8_t* table) {
  return _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
}
inline Ints splat_word(int32_t value) { return _mm512_set1_epi32(value); }
inline Ints splat_byte(int value) { return _mm512_set1_epi8(static_cast<char>(value)); }
inline Ints both(Ints a, Ints b) { return _mm512_and_si512(a, b); }
inline Ints either(Ints a, Ints b) { return _mm512_or_si512(a, b); }
inline Ints differ(Ints a, Ints b) { return _mm512_xor_si512(a, b); }
/// Bits of `yes` where `mask` has ones, else of `no`.
inline Ints merge(Ints mask, Ints yes, Ints no) { return _mm512_ternarylogic_epi32(mask, yes, no, 0xCA); }
inline Ints add_bytes(Ints a, Ints b) { return _mm512_add_epi8(a, b); }
inline Ints add_words(Ints a, Ints b) { return _mm512_add_epi32(a, b); }
template <int n>
inline Ints shift_right(Ints a) {
  return _mm512_srli_epi32(a, n);
}
template <int n>
inline Ints shift_left(Ints a) {
  return _mm512_slli_epi32(a, n);
}
/// a >> n, lane by lane
inline Ints shift_right_each(Ints a, Ints n) { return _mm512_srlv_epi32(a, n); }
inline Ints look_up(Ints table, Ints index) { return _mm512_shuffle_epi8(table, index); }
/// 1 in each byte that is at least `bound` (unsigned), else 0.
inline Ints at_least(Ints a, int bound) {
  return _mm512_maskz_set1_epi8(_mm512_cmpge_epu8_mask(a, splat_byte(bound)), 1);
}
/// Byte j of a word of the result is all ones where bit first + j of that word of `words` is set.
inline __mmask64 bits_to_bytes(Ints words, int first) {
  const Ints spread = _mm512_shuffle_epi8(
      words, _mm512_add_epi8(
                 _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12)),
                 splat_byte(first / 8)));
  return _mm512_test_epi8_mask(spread, splat_word(0x08040201 << first % 8));
}
/// `value` in byte j of each word where bit first + j of that word of `words` is set, else 0. first % 8 is 0
/// or 4.
inline Ints value_where_bit(Ints words, int first, int value) {
  return _mm512_maskz_set1_epi8(bits_to_bytes(words, first), static_cast<char>(value));
}
/// Bytes negated where value_where_bit would put a value.
inline Ints negate_where_bit(Ints bytes, Ints words, int first) {
  return _mm512_mask_sub_epi8(bytes, bits_to_bytes(words, first), _mm512_setzero_si512(), bytes);
}
/// table[n] for the number n < n_halves in each half of a word: a code book held in registers.
constexpr bool kHasBooks = true;
template <size_t n_halves>
inline Ints look_up_halves(const uint16_t* table, Ints numbers) {
  if constexpr (n_halves == 64) {
    return _mm512_permutex2var_epi16(load_ints(table), numbers, load_ints(table + 32));
  } else {
    const __mmask32 is_high = _mm512_test_epi16_mask(numbers, _mm512_set1_epi16(n_halves / 2));
    return _mm512_mask_blend_epi16(is_high, look_up_halves<n_halves / 2>(table, numbers),
                                   look_up_halves<n_halves / 2>(table + n_halves / 2, numbers));
  }
}
/// Words at `base` + offset.
inline Ints gather(const void* base, Ints offsets) { return _mm512_i32gather_epi32(offsets, base, 1); }
inline Floats to_floats(Ints words) { return _mm512_cvtepi32_ps(words); }
/// Words that hold halves in their low bits.
inline Floats halves_to_floats(Ints words) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(words)); }
inline Floats as_floats(Ints words) { return _mm512_castsi512_ps(words); }
/// Byte j of each word.
template <int j>
inline Ints signed_byte(Ints words) {
  return _mm512_srai_epi32(_mm512_slli_epi32(words, 24 - 8 * j), 24);
}

// ------------------------------------------------------------------------------------------ products

/// vpdpbusd multiplies unsigned by signed bytes, so weights are stored as quant + 128.
constexpr bool kUnsignedCodes = true;
/// Weight panels and activation rows of a tile that lives in registers: 2 x 6 sums of each kind, of 32.
constexpr size_t kTilePanels = 2;
constexpr size_t kTileRows = 6;
/// Most activation rows whose products are made where weights are unpacked (lanes/stream.h): with scales of
/// 32 values, and of 16.
constexpr size_t kStreamRows = ~size_t{0};
constexpr size_t kStreamRowsBy16 = 8;
/// Rows of its largest slice: a group at least, so that eight sequences unpack weights once.
constexpr size_t kSliceRows = 8;
/// For float weights.
constexpr int kFloatPanels = 4;
constexpr int kFloatRows = 6;

/// A sum of products of 4 bytes of 16 rows with the same 4 activations. Nothing overflows, whatever `most`
/// is.
template <int most, bool is_signed>
struct Dot {
  Ints sum;
  void begin(int32_t start) { sum = splat_word(start); }
  void add(Ints codes, Ints four) { sum = _mm512_dpbusd_epi32(sum, codes, four); }
  Ints total() const { return sum; }
  /// Where all codes were 2^places times what they stand for.
  Ints total_of_multiples(int places) const { return _mm512_srav_epi32(sum, splat_word(places)); }
};

/// Four activations, for all rows.
inline Ints four_activations(const int8_t* activations) {
  int32_t four;
  memcpy(&four, activations, 4);
  return splat_word(four);
}

/// Keeps the compiler from knowing what is in `a`.
inline void hide(Ints& a) { asm volatile("" : "+v"(a)); }

inline void prefetch(const void* address) { _mm_prefetch(static_cast<const char*>(address), _MM_HINT_T0); }
/// To the second-level cache.
inline void prefetch_far(const void* address) {
  _mm_prefetch(static_cast<const char*>(address), _MM_HINT_T1);
}

/// 16 rows of 16 lanes become 16 columns: pairs within 128 bits, then whole 128-bit quarters.
inline void transpose(Floats (&rows)[16]) {
  __m512 pairs[16], fours[16];
  for (int i = 0; i < 16; i += 2) {
    pairs[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
    pairs[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {  // fours[i + c]: rows i..i+3 of column 4 q + c in quarter q
    for (int c = 0; c < 2; ++c) {
      const __m512d low = _mm512_castps_pd(pairs[i + c]), high = _mm512_castps_pd(pairs[i + 2 + c]);
      fours[i + 2 * c] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
      fours[i + 2 * c + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
    }
  }
  for (int c = 0; c < 4; ++c) {
    const __m512 even_low = _mm512_shuffle_f32x4(fours[c], fours[4 + c], 0x88);
    const __m512 odd_low = _mm512_shuffle_f32x4(fours[c], fours[4 + c], 0xDD);
    const __m512 even_high = _mm512_shuffle_f32x4(fours[8 + c], fours[12 + c], 0x88);
    const __m512 odd_high = _mm512_shuffle_f32x4(fours[8 + c], fours[12 + c], 0xDD);
    rows[c] = _mm512_shuffle_f32x4(even_low, even_high, 0x88);
    rows[8 + c] = _mm512_shuffle_f32x4(even_low, even_high, 0xDD);
    rows[4 + c] = _mm512_shuffle_f32x4(odd_low, odd_high, 0x88);
    rows[12 + c] = _mm512_shuffle_f32x4(odd_low, odd_high, 0xDD);
  }
}

/// Query rows that attention handles at once, and vectors of a tile of them: 24 registers of sums.
constexpr int kAttentionRows = 6;
constexpr int kAttentionVectors = 4;

}  // namespace
}  // namespace ruvllm::kernels
