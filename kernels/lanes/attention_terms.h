// How attention multiplies: what keys, values, queries and weights become before they meet, and the sums they
// meet in. Two ways: f32 values, and pairs of 16-bit integers (lanes/q16.h), whose products of pairs are
// summed exactly in 32 bits. A factor is a word of a query or of a row's weights; lanes are 16 words of keys
// or values. Used by lanes/attention.h; included after a column's simd.h. Tested by
// tests/kernels/attention_test.cpp.
#pragma once

#include "kernels/formats/legacy.h"
#include "kernels/kernels.h"
#include "kernels/lanes/maths.h"
#include "kernels/lanes/q16.h"

#include <math.h>

namespace ruvllm::kernels {
namespace {

constexpr size_t kKeyBlock = 64;
constexpr size_t kKeyVectors = kKeyBlock / 16;

struct ValueTerms {
  static constexpr bool kInIntegers = false;
  using Sum = Floats;
  static Sum zero() { return broadcast(0.0f); }
  static Floats factor(const float* at) { return broadcast(*at); }
  static Floats lanes(const float* at) { return load(at); }
  static Sum add(Sum sum, Floats factor, Floats lanes) { return fma(factor, lanes, sum); }
  static Floats exponential_of(Floats x) { return exponential(x); }
};
struct IntegerTerms {
  static constexpr bool kInIntegers = true;
  using Sum = Ints;
  static Sum zero() { return splat_word(0); }
  static Ints factor(const float* at) {
    int32_t pair;
    memcpy(&pair, at, sizeof pair);
    return splat_word(pair);
  }
  static Ints lanes(const float* at) { return load_ints(at); }
  static Sum add(Sum sum, Ints factor, Ints lanes) { return add_pair_products(sum, factor, lanes); }
  static Floats exponential_of(Floats x) { return rough_exponential(x); }
};
/// Words that n values are: one each, or one a pair.
template <class T>
constexpr size_t words_of(size_t n) {
  return T::kInIntegers ? (n + 1) / 2 : n;
}

/// A vector of the cache: where it lies, and its scale, where its format has one for the whole vector.
struct Stored {
  const char* bytes;
  float scale;
};

/// The keys (or values) of one block, which never crosses a page: found once, as a page's number takes a
/// division.
struct StoredBlock {
  const char* vectors;
  const float* scales;  // of q16
  size_t stride;

  StoredBlock(const void* const* pages, size_t page_tokens, size_t stride_in, KvFormat format,
              size_t first_key)
      : stride(stride_in) {
    const char* page = static_cast<const char*>(pages[first_key / page_tokens]);
    const size_t slot = first_key % page_tokens;
    vectors = page + kv_scales_bytes(format, page_tokens) + slot * stride;
    scales = reinterpret_cast<const float*>(page) + slot;
  }
  /// Vector number i of the block.
  template <KvFormat format>
  Stored at(size_t i) const {
    return {vectors + i * stride, format == KvFormat::q16 ? scales[i] : 0.0f};
  }
};

/// n_bytes of `stored` from byte `begin` on, at most `most`, the rest of them zeros.
template <size_t most>
inline void copy_padded(const char* stored, size_t begin, size_t n_bytes, char (&to)[most]) {
  memset(to, 0, most);
  memcpy(to, stored + begin, n_bytes - begin < most ? n_bytes - begin : most);
}

/// Integers d .. d + 15 of a stored vector of n, in the low halves of words.
inline Ints load_low_halves(Stored stored, size_t d, size_t n) {
  if (n - d >= 16) return load_halves(stored.bytes + d * sizeof(int16_t));
  char part[32];
  copy_padded(stored.bytes, d * sizeof(int16_t), n * sizeof(int16_t), part);
  return load_halves(part);
}

/// Values i .. i + 15 of a stored vector of n; zeros beyond it.
template <KvFormat format>
inline Floats load_stored(Stored stored, size_t i, size_t n) {
  if constexpr (format == KvFormat::f32) {
    const float* values = reinterpret_cast<const float*>(stored.bytes);
    return load_part(values, i, n);
  } else if constexpr (format == KvFormat::q16) {
    return multiply(broadcast(stored.scale), to_floats(low_halves_signed(load_low_halves(stored, i, n))));
  } else if constexpr (format == KvFormat::q8) {
    BlockQ8_0 block;
    memcpy(&block, stored.bytes + i / 32 * sizeof block, sizeof block);
    return multiply(broadcast(f16_to_f32(block.d)), load_bytes(block.qs + i % 32));
  } else {
    BlockQ4_0 block;
    memcpy(&block, stored.bytes + i / 32 * sizeof block, sizeof block);
    int8_t quants[16];
    for (int j = 0; j < 16; ++j)
      quants[j] = static_cast<int8_t>((i % 32 == 0 ? block.qs[j] & 15 : block.qs[j] >> 4) - 8);
    return multiply(broadcast(f16_to_f32(block.d)), load_bytes(quants));
  }
}

/// Calls load.operator()<format>().
template <class Load>
inline void with_format(KvFormat format, const Load& load) {
  switch (format) {
    case KvFormat::f32:
      return load.template operator()<KvFormat::f32>();
    case KvFormat::q16:
      return load.template operator()<KvFormat::q16>();
    case KvFormat::q8:
      return load.template operator()<KvFormat::q8>();
    case KvFormat::q4:
      return load.template operator()<KvFormat::q4>();
  }
}

/// 16 words of a stored vector of n values from `word` on; zeros beyond it. Integers stay as they lie.
template <class T, KvFormat format>
inline Floats load_words(Stored stored, size_t word, size_t n) {
  if constexpr (!T::kInIntegers) {
    return load_stored<format>(stored, word, n);
  } else {
    const size_t begin = word * 4, n_bytes = n * sizeof(int16_t);
    if (n_bytes - begin >= 64) return as_floats(load_ints(stored.bytes + begin));
    char part[64];
    copy_padded(stored.bytes, begin, n_bytes, part);
    return as_floats(load_ints(part));
  }
}

}  // namespace
}  // namespace ruvllm::kernels
