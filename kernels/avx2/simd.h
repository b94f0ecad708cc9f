// Sixteen lanes as two AVX2 registers. See scalar/simd.h for what each operation means.
#pragma once

#include "kernels/formats/floats.h"

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace ruvllm::kernels {
namespace {

struct Floats {
  __m256 half[2];
};
struct Ints {
  __m256i half[2];
};

/// Register tile of f32 products (lanes/gemm.h): 12 registers of sums, two of B, a broadcast.
constexpr size_t kGemmRows = 6;
constexpr size_t kGemmVectors = 1;
/// Query rows that attention handles at once, and vectors of a tile of them: 8 registers of sums.
constexpr int kAttentionRows = 2;
constexpr int kAttentionVectors = 2;
/// Weight panels and activation rows of a tile of quantised products, and of float products.
constexpr size_t kTilePanels = 1;
constexpr size_t kTileRows = 3;
/// Most activation rows whose products are made where weights are unpacked (lanes/stream.h): with scales of
/// 32 values, and of 16.
constexpr size_t kStreamRows = ~size_t{0};
constexpr size_t kStreamRowsBy16 = ~size_t{0};
/// Rows of its largest slice: a group at least.
constexpr size_t kSliceRows = 6;
constexpr int kFloatPanels = 2;
constexpr int kFloatRows = 2;
/// Whether code books of 16-bit points are looked up in registers; here, points are gathered.
constexpr bool kHasBooks = false;
/// Bytes are multiplied as magnitude times signed activation (see Dot), so codes are the quants themselves.
constexpr bool kUnsignedCodes = false;

template <class Function>
inline Floats both_halves(Function function) {
  return {{function(0), function(1)}};
}
template <class Function>
inline Ints both_int_halves(Function function) {
  return {{function(0), function(1)}};
}

inline Floats load(const float* from) { return {{_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)}}; }
inline void store(float* to, Floats a) {
  _mm256_storeu_ps(to, a.half[0]);
  _mm256_storeu_ps(to + 8, a.half[1]);
}
inline Floats broadcast(float value) { return {{_mm256_set1_ps(value), _mm256_set1_ps(value)}}; }
inline Floats add(Floats a, Floats b) {
  return both_halves([&](int h) { return _mm256_add_ps(a.half[h], b.half[h]); });
}
inline Floats subtract(Floats a, Floats b) {
  return both_halves([&](int h) { return _mm256_sub_ps(a.half[h], b.half[h]); });
}
inline Floats multiply(Floats a, Floats b) {
  return both_halves([&](int h) { return _mm256_mul_ps(a.half[h], b.half[h]); });
}
inline Floats divide(Floats a, Floats b) {
  return both_halves([&](int h) { return _mm256_div_ps(a.half[h], b.half[h]); });
}
inline Floats square_root(Floats a) {
  return both_halves([&](int h) { return _mm256_sqrt_ps(a.half[h]); });
}
inline Floats fma(Floats a, Floats b, Floats c) {
  return both_halves([&](int h) { return _mm256_fmadd_ps(a.half[h], b.half[h], c.half[h]); });
}
inline Floats maximum(Floats a, Floats b) {
  return both_halves([&](int h) { return _mm256_max_ps(a.half[h], b.half[h]); });
}
inline Floats minimum(Floats a, Floats b) {
  return both_halves([&](int h) { return _mm256_min_ps(a.half[h], b.half[h]); });
}
inline Floats absolute(Floats a) {
  return both_halves([&](int h) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.half[h]); });
}
inline Floats with_sign_of(Floats magnitude, Floats sign) {
  const __m256 bit = _mm256_set1_ps(-0.0f);
  return both_halves([&](int h) {
    return _mm256_or_ps(_mm256_andnot_ps(bit, magnitude.half[h]), _mm256_and_ps(bit, sign.half[h]));
  });
}
inline Floats select_less(Floats a, Floats b, Floats yes, Floats no) {
  return both_halves([&](int h) {
    return _mm256_blendv_ps(no.half[h], yes.half[h], _mm256_cmp_ps(a.half[h], b.half[h], _CMP_LT_OQ));
  });
}
inline Floats scale_by_power(Floats a, Floats rounded) {
  return both_halves([&](int h) {
    const __m256i power = _mm256_slli_epi32(_mm256_castps_si256(rounded.half[h]), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a.half[h]), power));
  });
}
inline Ints round_to_ints(Floats a) {
  return both_int_halves([&](int h) { return _mm256_cvtps_epi32(a.half[h]); });
}
/// Four halves of 4 words, two at a time, by saturation that never happens.
inline void store_bytes(int8_t* to, Ints a) {
  __m128i eight[2];
  for (int h = 0; h < 2; ++h)
    eight[h] = _mm_packs_epi32(_mm256_castsi256_si128(a.half[h]), _mm256_extracti128_si256(a.half[h], 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm_packs_epi16(eight[0], eight[1]));
}
inline void store_halves(int16_t* to, Ints a) {
  const __m256i low = _mm256_set1_epi32(0xFFFF);
  const __m256i both =
      _mm256_packus_epi32(_mm256_and_si256(a.half[0], low), _mm256_and_si256(a.half[1], low));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_permute4x64_epi64(both, 0xD8));
}
inline Ints low_halves_signed(Ints words) {
  return both_int_halves([&](int h) { return _mm256_srai_epi32(_mm256_slli_epi32(words.half[h], 16), 16); });
}
inline Ints add_pair_products(Ints sum, Ints a, Ints b) {
  return both_int_halves(
      [&](int h) { return _mm256_add_epi32(sum.half[h], _mm256_madd_epi16(a.half[h], b.half[h])); });
}
inline Ints subtract(Ints a, Ints b) {
  return both_int_halves([&](int h) { return _mm256_sub_epi32(a.half[h], b.half[h]); });
}
inline Ints high_plane(Ints a) {
  return both_int_halves(
      [&](int h) { return _mm256_srai_epi32(_mm256_add_epi32(a.half[h], _mm256_set1_epi32(128)), 8); });
}
inline Ints low_plane(Ints a, Ints high) {
  return both_int_halves([&](int h) {
    return _mm256_max_epi32(_mm256_sub_epi32(a.half[h], _mm256_slli_epi32(high.half[h], 8)),
                            _mm256_set1_epi32(-127));
  });
}
inline int32_t sum_of_lanes(Ints a) {
  const __m256i eight = _mm256_add_epi32(a.half[0], a.half[1]);
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
  return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xB1)));
}
inline float sum_of_lanes(Floats a) {
  const __m256 eight = _mm256_add_ps(a.half[0], a.half[1]);
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_shuffle_ps(four, four, 1)));
}
inline float maximum_of_lanes(Floats a) {
  const __m256 eight = _mm256_max_ps(a.half[0], a.half[1]);
  __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  four = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(four, _mm_shuffle_ps(four, four, 1)));
}

inline __m128i load_128(const void* from) { return _mm_loadu_si128(static_cast<const __m128i*>(from)); }
inline Floats load_f16(const uint16_t* from) {
  return both_halves([&](int h) { return _mm256_cvtph_ps(load_128(from + 8 * h)); });
}
inline void store_f16(uint16_t* to, Floats a) {
  for (int h = 0; h < 2; ++h)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 8 * h),
                     _mm256_cvtps_ph(a.half[h], _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
inline Floats load_bf16(const uint16_t* from) {
  return both_halves([&](int h) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load_128(from + 8 * h)), 16));
  });
}
inline Floats load_bytes(const int8_t* from) {
  return both_halves([&](int h) {
    int64_t eight;
    memcpy(&eight, from + 8 * h, 8);
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_cvtsi64_si128(eight)));
  });
}

// ------------------------------------------------------------------ integers: 16 words, or 64 bytes

inline Ints load_ints(const void* from) {
  const __m256i* at = static_cast<const __m256i*>(from);
  return {{_mm256_loadu_si256(at), _mm256_loadu_si256(at + 1)}};
}
inline void store_ints(void* to, Ints a) {
  __m256i* at = static_cast<__m256i*>(to);
  _mm256_storeu_si256(at, a.half[0]);
  _mm256_storeu_si256(at + 1, a.half[1]);
}
inline Ints load_halves(const void* from) {
  return both_int_halves(
      [&](int h) { return _mm256_cvtepu16_epi32(load_128(static_cast<const char*>(from) + 16 * h)); });
}
inline Ints twice(__m256i a) { return {{a, a}}; }
inline Ints load_table(const int8_t* table) { return twice(_mm256_broadcastsi128_si256(load_128(table))); }
inline Ints splat_word(int32_t value) { return twice(_mm256_set1_epi32(value)); }
inline Ints splat_byte(int value) { return twice(_mm256_set1_epi8(static_cast<char>(value))); }
inline Ints both(Ints a, Ints b) {
  return both_int_halves([&](int h) { return _mm256_and_si256(a.half[h], b.half[h]); });
}
inline Ints either(Ints a, Ints b) {
  return both_int_halves([&](int h) { return _mm256_or_si256(a.half[h], b.half[h]); });
}
inline Ints differ(Ints a, Ints b) {
  return both_int_halves([&](int h) { return _mm256_xor_si256(a.half[h], b.half[h]); });
}
/// Bits of `yes` where `mask` has ones, else of `no`.
inline Ints merge(Ints mask, Ints yes, Ints no) {
  return both_int_halves([&](int h) {
    return _mm256_or_si256(_mm256_and_si256(mask.half[h], yes.half[h]),
                           _mm256_andnot_si256(mask.half[h], no.half[h]));
  });
}
inline Ints add_bytes(Ints a, Ints b) {
  return both_int_halves([&](int h) { return _mm256_add_epi8(a.half[h], b.half[h]); });
}
inline Ints add_words(Ints a, Ints b) {
  return both_int_halves([&](int h) { return _mm256_add_epi32(a.half[h], b.half[h]); });
}
template <int n>
inline Ints shift_right(Ints a) {
  return both_int_halves([&](int h) { return _mm256_srli_epi32(a.half[h], n); });
}
template <int n>
inline Ints shift_left(Ints a) {
  return both_int_halves([&](int h) { return _mm256_slli_epi32(a.half[h], n); });
}
inline Ints shift_right_each(Ints a, Ints n) {
  return both_int_halves([&](int h) { return _mm256_srlv_epi32(a.half[h], n.half[h]); });
}
inline Ints look_up(Ints table, Ints index) {
  return both_int_halves([&](int h) { return _mm256_shuffle_epi8(table.half[h], index.half[h]); });
}
inline Ints at_least(Ints a, int bound) {
  const __m256i limit = _mm256_set1_epi8(static_cast<char>(bound)), one = _mm256_set1_epi8(1);
  return both_int_halves([&](int h) {
    return _mm256_and_si256(one, _mm256_cmpeq_epi8(_mm256_max_epu8(a.half[h], limit), a.half[h]));
  });
}
/// All ones in byte j of each word where bit first + j of that word of `words` is set.
inline Ints bits_to_bytes(Ints words, int first) {
  const __m256i spread = _mm256_broadcastsi128_si256(
      _mm_add_epi8(_mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12),
                   _mm_set1_epi8(static_cast<char>(first / 8))));
  const __m256i bit = _mm256_set1_epi32(0x08040201 << first % 8);
  return both_int_halves([&](int h) {
    return _mm256_cmpeq_epi8(_mm256_and_si256(_mm256_shuffle_epi8(words.half[h], spread), bit), bit);
  });
}
inline Ints value_where_bit(Ints words, int first, int value) {
  return both(bits_to_bytes(words, first), splat_byte(value));
}
inline Ints negate_where_bit(Ints bytes, Ints words, int first) {
  const Ints mask = bits_to_bytes(words, first);
  return both_int_halves(
      [&](int h) { return _mm256_sub_epi8(_mm256_xor_si256(bytes.half[h], mask.half[h]), mask.half[h]); });
}
inline Ints gather(const void* base, Ints offsets) {
  return both_int_halves(
      [&](int h) { return _mm256_i32gather_epi32(static_cast<const int*>(base), offsets.half[h], 1); });
}
inline Floats to_floats(Ints words) {
  return both_halves([&](int h) { return _mm256_cvtepi32_ps(words.half[h]); });
}
inline Floats halves_to_floats(Ints words) {
  return both_halves([&](int h) {
    const __m128i low = _mm256_castsi256_si128(words.half[h]),
                  high = _mm256_extracti128_si256(words.half[h], 1);
    return _mm256_cvtph_ps(_mm_packus_epi32(low, high));
  });
}
inline Floats as_floats(Ints words) {
  return both_halves([&](int h) { return _mm256_castsi256_ps(words.half[h]); });
}
template <int j>
inline Ints signed_byte(Ints words) {
  return both_int_halves(
      [&](int h) { return _mm256_srai_epi32(_mm256_slli_epi32(words.half[h], 24 - 8 * j), 24); });
}

// ------------------------------------------------------------------------------------------ products

/// A sum of products of 4 bytes of 16 rows with the same 4 activations. vpmaddubsw adds pairs of unsigned
/// times signed bytes to 16 bits: magnitudes of at most `most` times activations of at most 127 leave room
/// for kPairs of them.
template <int most, bool is_signed>
struct Dot {
  static constexpr int kPairs = 32767 / (2 * most * 127);
  Ints sum;    // 32 bits
  Ints pairs;  // 16 bits, waiting
  int n_waiting;

  void begin(int32_t start) {
    sum = splat_word(start);
    pairs = splat_word(0);
    n_waiting = 0;
  }
  void add(Ints codes, Ints four) {
    const Ints products = both_int_halves([&](int h) {
      if constexpr (!is_signed) return _mm256_maddubs_epi16(codes.half[h], four.half[h]);
      return _mm256_maddubs_epi16(_mm256_abs_epi8(codes.half[h]),
                                  _mm256_sign_epi8(four.half[h], codes.half[h]));
    });
    pairs = both_int_halves([&](int h) { return _mm256_add_epi16(pairs.half[h], products.half[h]); });
    if (++n_waiting == kPairs) widen();
  }
  void widen() {
    const __m256i ones = _mm256_set1_epi16(1);
    sum = both_int_halves(
        [&](int h) { return _mm256_add_epi32(sum.half[h], _mm256_madd_epi16(pairs.half[h], ones)); });
    pairs = splat_word(0);
    n_waiting = 0;
  }
  Ints total() {
    if (n_waiting > 0) widen();
    return sum;
  }
};

/// Four activations, for all rows.
inline Ints four_activations(const int8_t* activations) {
  int32_t four;
  memcpy(&four, activations, 4);
  return splat_word(four);
}

/// Keeps the compiler from knowing what is in `a`.
inline void hide(Ints& a) { asm volatile("" : "+x"(a.half[0]), "+x"(a.half[1])); }

inline void prefetch(const void* address) { _mm_prefetch(static_cast<const char*>(address), _MM_HINT_T0); }
/// To the second-level cache.
inline void prefetch_far(const void* address) {
  _mm_prefetch(static_cast<const char*>(address), _MM_HINT_T1);
}

/// 8 rows of 8 lanes: pairs, fours, halves.
inline void transpose_eight(__m256 (&rows)[8]) {
  __m256 pairs[8], fours[8];
  for (int i = 0; i < 8; i += 2) {
    pairs[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
    pairs[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    fours[i] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0x44);
    fours[i + 1] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0xEE);
    fours[i + 2] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0x44);
    fours[i + 3] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0xEE);
  }
  for (int i = 0; i < 4; ++i) {
    rows[i] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x20);
    rows[i + 4] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x31);
  }
}

/// 16 rows of 16 lanes become 16 columns, a quarter at a time.
inline void transpose(Floats (&rows)[16]) {
  Floats columns[16];
  for (int top = 0; top < 2; ++top) {
    for (int side = 0; side < 2; ++side) {
      __m256 quarter[8];
      for (int i = 0; i < 8; ++i) quarter[i] = rows[8 * top + i].half[side];
      transpose_eight(quarter);
      for (int i = 0; i < 8; ++i) columns[8 * side + i].half[top] = quarter[i];
    }
  }
  for (int i = 0; i < 16; ++i) rows[i] = columns[i];
}

}  // namespace
}  // namespace ruvllm::kernels
