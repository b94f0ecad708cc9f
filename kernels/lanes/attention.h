// Attention of a tile of query rows (positions x heads of a GQA group) over keys and values where they lie.
//
// Keys come in blocks of 64, counted from absolute key 0. A block's keys are widened and transposed once for
// all rows, so that a lane is a key while scores are made, and a dimension while values are summed. A row's
// own sequence of operations is, in f32: scores by fma in order of dimension; running maximum and sum (online
// softmax, Milakov and Gimelshein 2018); values by fma in order of key. In pairs of bf16 scores are sums over
// pairs of dimensions; weights are rounded before they are summed for the total too, so that those that meet
// values add up to one; a block's values are summed over pairs of keys, from zero, and then join what earlier
// blocks gave. Rows that see nothing of a block skip it, so neither the tile nor the chunk that a row is
// computed in changes a bit. Included after a column's simd.h and pairs.h. Tested by
// tests/kernels/attention_test.cpp.
#pragma once

#include "kernels/formats/legacy.h"
#include "kernels/kernels.h"
#include "kernels/lanes/maths.h"

#include <math.h>

namespace ruvllm::kernels {
namespace {

using AttentionArguments = KernelSet::AttentionArguments;

constexpr size_t kKeyBlock = 64;
constexpr size_t kKeyVectors = kKeyBlock / 16;

inline size_t round_up(size_t n, size_t step) { return (n + step - 1) / step * step; }

// Terms: how factors, words of a query or of a row's weights, meet lanes, words of keys or of values. A step
// takes one factor and has kParts parts, one after the other, each with a vector of lanes.
struct ValueTerms {
  static constexpr bool kInPairs = false, kPacksLanes = false;
  static constexpr int kParts = 1;
  template <int>
  static Floats factor(const float* at) {
    return broadcast(*at);
  }
  static Floats exponential_of(Floats x) { return exponential(x); }
  static Floats lanes(const float* at) { return load(at); }
  template <bool>
  static Floats lane_values(Floats x) {
    return x;
  }
  static size_t place(size_t word) { return word; }
  static Floats add(Floats sum, Floats factor, Floats lanes) { return fma(factor, lanes, sum); }
};
/// Pairs of bf16, as S adds them. Where S adds a pair's odd value and then its even one, lanes are floats in
/// that order.
template <class S>
struct PairTerms {
  static constexpr bool kInPairs = true;
  static constexpr int kParts = S::kParts;
  static constexpr bool kPacksLanes = kParts == 1;
  static Floats exponential_of(Floats x) { return rough_exponential(x); }
  template <int part>
  static auto part_of(Pairs pairs) {
    return S::template part_of<part>(pairs);
  }
  template <int part>
  static auto factor(const float* at) {
    return part_of<part>(broadcast_pair(at));
  }
  static auto lanes(const float* at) {
    if constexpr (kPacksLanes)
      return load_pairs(at);
    else
      return load(at);
  }
  template <bool is_usual>
  static Floats lane_values(Floats x) {
    return round_to_bf16<is_usual>(x);
  }
  static size_t place(size_t word) { return kPacksLanes ? word : word ^ 1; }
  template <class Part>
  static Floats add(Floats sum, Part factor, Part lanes) {
    return S::add(sum, factor, lanes);
  }
};
/// Calls products(terms) where terms add as they should: once, or with another type again.
template <class T, class Products>
inline __attribute__((always_inline)) void sum_terms(const Products& products) {
  if constexpr (T::kInPairs)
    sum_pairs([&]<class S>(S) __attribute__((always_inline)) { products(PairTerms<S>{}); });
  else
    products(T{});
}
/// Steps that n values are.
template <class T>
constexpr size_t steps_of(size_t n) {
  return T::kInPairs ? (n + 1) / 2 : n;
}
/// Words of lanes that n values are.
template <class T>
constexpr size_t words_of(size_t n) {
  return T::kPacksLanes ? (n + 1) / 2 : n;
}

/// Where things lie in the scratch memory of one call, in words: f32 values, or pairs. Each part begins at a
/// multiple of 64 bytes.
struct AttentionScratch {
  size_t key_width;    // key dimension, padded to whole vectors
  size_t value_width;  // value dimension, likewise
  float* keys;         // (steps of a key, parts, 64): transposed
  float* values;       // (steps of 64 keys, parts, value_width)
  float* queries;      // (rows, key_width): times score_scale
  float* weights;      // (kAttentionRows, 64): exp(score - maximum) of the rows at hand
  float* sums;         // (rows, value_width): of weights times values
  float* maxima;       // (rows)
  float* totals;       // (rows): sums of weights
  size_t n_bytes;

  AttentionScratch(void* memory, size_t n_rows, size_t key_dimension, size_t value_dimension)
      : key_width(round_up(key_dimension, 16)), value_width(round_up(value_dimension, 16)) {
    float* next = static_cast<float*>(memory);
    const auto take = [&](size_t n) {
      float* part = next;
      next += round_up(n, 16);
      return part;
    };
    keys = take(round_up(key_dimension, 32) * kKeyBlock);
    values = take(kKeyBlock * value_width);
    queries = take(n_rows * key_width);
    weights = take(kAttentionRows * kKeyBlock);
    sums = take(n_rows * value_width);
    maxima = take(n_rows);
    totals = take(n_rows);
    n_bytes = static_cast<size_t>(next - static_cast<float*>(memory)) * sizeof(float);
  }
};

/// Values i .. i + 15 of a stored vector of n; zeros beyond it.
template <KvFormat format>
inline Floats load_stored(const void* stored, size_t i, size_t n) {
  const char* bytes = static_cast<const char*>(stored);
  const size_t n_left = n - i;
  if constexpr (format == KvFormat::f32) {
    if (n_left >= 16) return load(static_cast<const float*>(stored) + i);
    float part[16] = {};
    memcpy(part, static_cast<const float*>(stored) + i, n_left * sizeof(float));
    return load(part);
  } else if constexpr (format == KvFormat::f16) {
    if (n_left >= 16) return load_f16(static_cast<const uint16_t*>(stored) + i);
    uint16_t part[16] = {};
    memcpy(part, static_cast<const uint16_t*>(stored) + i, n_left * sizeof(uint16_t));
    return load_f16(part);
  } else if constexpr (format == KvFormat::q8) {
    BlockQ8_0 block;
    memcpy(&block, bytes + i / 32 * sizeof block, sizeof block);
    return multiply(broadcast(f16_to_f32(block.d)), load_bytes(block.qs + i % 32));
  } else {
    BlockQ4_0 block;
    memcpy(&block, bytes + i / 32 * sizeof block, sizeof block);
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
    case KvFormat::f16:
      return load.template operator()<KvFormat::f16>();
    case KvFormat::q8:
      return load.template operator()<KvFormat::q8>();
    case KvFormat::q4:
      return load.template operator()<KvFormat::q4>();
  }
}

/// Lanes of a stored vector from `word` on; zeros beyond its n values.
template <class T, KvFormat format>
inline Floats load_words(const void* stored, size_t word, size_t n) {
  if constexpr (!T::kPacksLanes) {
    return T::template lane_values<format != KvFormat::f32>(load_stored<format>(stored, word, n));
  } else {
    const size_t i = 2 * word;
    const Floats first = load_stored<format>(stored, i, n);
    return as_floats(
        pair_neighbours(first, i + 16 < n ? load_stored<format>(stored, i + 16, n) : broadcast(0)));
  }
}

/// Keys begin .. begin + 63 as columns; those from `end` on are zeros.
template <class T, KvFormat format>
inline void load_keys(const AttentionArguments& a, size_t begin, size_t end, float* keys) {
  const char* page =
      static_cast<const char*>(a.key_pages[begin / a.page_tokens]) + begin % a.page_tokens * a.key_stride;
  for (size_t group = 0; group < kKeyVectors; ++group) {
    for (size_t word = 0; word < words_of<T>(a.key_dimension); word += 16) {
      Floats rows[16];
      for (size_t i = 0; i < 16; ++i) {
        const size_t key = 16 * group + i;
        rows[i] = begin + key < end ? load_words<T, format>(page + key * a.key_stride, word, a.key_dimension)
                                    : broadcast(0);
      }
      transpose(rows);
      for (size_t i = 0; i < 16; ++i) store(keys + T::place(word + i) * kKeyBlock + 16 * group, rows[i]);
    }
  }
}

/// Values of the same keys as rows of `width` words.
template <class T, KvFormat format>
inline void load_values(const AttentionArguments& a, size_t begin, size_t end, float* values, size_t width) {
  const char* page =
      static_cast<const char*>(a.value_pages[begin / a.page_tokens]) + begin % a.page_tokens * a.value_stride;
  const auto value = [&](size_t key, size_t d) {
    return begin + key < end ? load_stored<format>(page + key * a.value_stride, d, a.value_dimension)
                             : broadcast(0);
  };
  for (size_t word = 0; word < words_of<T>(kKeyBlock); ++word) {
    for (size_t d = 0; d < a.value_dimension; d += 16) {
      float* to = values + T::place(word) * width + d;
      if constexpr (T::kPacksLanes)
        store_pairs(to, pair_up(value(2 * word, d), value(2 * word + 1, d)));
      else
        store(to, T::template lane_values<format != KvFormat::f32>(value(word, d)));
    }
  }
}

/// The keys that one query position sees.
struct KeyRange {
  size_t begin, end;
};

inline KeyRange visible_keys(const AttentionArguments& a, size_t row) {
  if (!a.causal) return {0, a.n_keys};
  const size_t position = a.first_position + row / a.n_queries;
  return {a.window != 0 && position + 1 > a.window ? position + 1 - a.window : 0, position + 1};
}

/// One part of a step of all sums; nothing where a step has no such part.
template <class T, int part, int n_rows, int n_vectors>
inline __attribute__((always_inline)) void add_part(const float* factors, size_t factor_stride,
                                                    const float* lanes, Floats (&sums)[n_rows][n_vectors]) {
  if constexpr (part < T::kParts) {
    decltype(T::lanes(lanes)) vectors[n_vectors];
#pragma GCC unroll 8
    for (int v = 0; v < n_vectors; ++v) vectors[v] = T::lanes(lanes + 16 * v);
#pragma GCC unroll 8
    for (int r = 0; r < n_rows; ++r) {
      const auto factor = T::template factor<part>(factors + static_cast<size_t>(r) * factor_stride);
#pragma GCC unroll 8
      for (int v = 0; v < n_vectors; ++v) sums[r][v] = T::add(sums[r][v], factor, vectors[v]);
    }
  }
}

/// The register tile: n_steps steps of rows of factors, factor_stride apart, with vectors of lanes, of which
/// each part has lane_stride.
template <class T, int n_rows, int n_vectors>
inline __attribute__((always_inline)) void add_steps(const float* factors, size_t factor_stride,
                                                     const float* lanes, size_t lane_stride, size_t n_steps,
                                                     Floats (&sums)[n_rows][n_vectors]) {
  for (size_t step = 0; step < n_steps; ++step, ++factors, lanes += T::kParts * lane_stride) {
    add_part<T, 0>(factors, factor_stride, lanes, sums);
    add_part<T, 1>(factors, factor_stride, lanes + lane_stride, sums);
  }
}

/// Sums of n_steps steps, from `sums` on, a register tile after the other.
template <class T, int n_rows, int n_vectors>
inline __attribute__((always_inline)) void add_terms(const float* factors, size_t factor_stride,
                                                     const float* lanes, size_t lane_stride, size_t n_steps,
                                                     Floats (&sums)[n_rows][n_vectors]) {
  constexpr int kWidth = n_vectors < kAttentionVectors ? n_vectors : kAttentionVectors;
  static_assert(n_vectors % kWidth == 0);
  Floats made[n_rows][n_vectors];
  sum_terms<T>([&]<class Terms>(Terms) __attribute__((always_inline)) {
    for (int first = 0; first < n_vectors; first += kWidth) {
      Floats here[n_rows][kWidth];  // unrolled loops keep it in registers
#pragma GCC unroll 8
      for (int r = 0; r < n_rows; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < kWidth; ++v) here[r][v] = sums[r][first + v];
      add_steps<Terms>(factors, factor_stride, lanes + 16 * first, lane_stride, n_steps, here);
#pragma GCC unroll 8
      for (int r = 0; r < n_rows; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < kWidth; ++v) made[r][first + v] = here[r][v];
    }
  });
#pragma GCC unroll 8
  for (int r = 0; r < n_rows; ++r)
#pragma GCC unroll 8
    for (int v = 0; v < n_vectors; ++v) sums[r][v] = made[r][v];
}

/// Scores of n_rows rows and 64 keys.
template <class T, int n_rows>
inline void score(const AttentionScratch& scratch, size_t row, size_t key_dimension,
                  Floats (&scores)[n_rows][kKeyVectors]) {
#pragma GCC unroll 8
  for (auto& of_row : scores)
#pragma GCC unroll 8
    for (Floats& s : of_row) s = broadcast(0.0f);
  add_terms<T>(scratch.queries + row * scratch.key_width, scratch.key_width, scratch.keys, kKeyBlock,
               steps_of<T>(key_dimension), scores);
}

/// Soft cap, ALiBi and the mask.
inline void adjust(const AttentionArguments& a, size_t row, size_t block, Floats (&scores)[kKeyVectors]) {
  alignas(64) static constexpr float kIota[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const KeyRange keys = visible_keys(a, row);
  const size_t position = a.first_position + row / a.n_queries;
  const bool is_partial = keys.begin > block || keys.end < block + kKeyBlock;
  const float first = keys.begin > block ? static_cast<float>(keys.begin - block) : 0.0f;
  const float last =
      keys.end < block + kKeyBlock ? static_cast<float>(keys.end - block) : static_cast<float>(kKeyBlock);
  for (size_t v = 0; v < kKeyVectors; ++v) {
    Floats s = scores[v];
    const Floats offset = add(load(kIota), broadcast(static_cast<float>(16 * v)));
    if (a.soft_cap != 0.0f) {
      const Floats cap = broadcast(a.soft_cap);
      s = multiply(cap, hyperbolic_tangent(divide(s, cap)));
    }
    if (a.alibi_slopes != nullptr) {
      const Floats distance =
          add(offset, broadcast(static_cast<float>(block) - static_cast<float>(position)));
      s = fma(broadcast(a.alibi_slopes[row % a.n_queries]), distance, s);
    }
    if (is_partial) {
      s = select_less(offset, broadcast(first), broadcast(-INFINITY), s);
      s = select_less(offset, broadcast(last), s, broadcast(-INFINITY));
    }
    scores[v] = s;
  }
}

/// Weights of a row as factors, and their sum.
template <class T>
inline float store_weights(const Floats (&w)[kKeyVectors], float* to) {
  static_assert(kKeyVectors == 4);
  if constexpr (!T::kInPairs) {
    for (size_t v = 0; v < kKeyVectors; ++v) store(to + 16 * v, w[v]);
    return sum_of_lanes(add(add(w[0], w[1]), add(w[2], w[3])));
  } else {
    // Rounded weights are normal numbers or zero, and so are their sums: no mode of the processor matters.
    const Pairs ones = pair_up(broadcast(1.0f), broadcast(1.0f));
    Floats sum = broadcast(0.0f);
    for (size_t v = 0; v < kKeyVectors; v += 2) {
      const Pairs pairs = pair_neighbours(w[v], w[v + 1]);
      store_pairs(to + 8 * v, pairs);
      sum = T::add(sum, T::template part_of<0>(pairs), T::template part_of<0>(ones));
      if constexpr (T::kParts == 2)
        sum = T::add(sum, T::template part_of<1>(pairs), T::template part_of<1>(ones));
    }
    return sum_of_lanes(sum);
  }
}

/// Scores of rows from `row` on to weights; factors: what the rows' earlier sums must be scaled by. One step
/// after the other for all rows, so that no row waits for its own sums over lanes.
template <class T, int n_rows>
inline void weigh(const AttentionScratch& scratch, size_t row, Floats (&scores)[n_rows][kKeyVectors],
                  float (&factors)[n_rows]) {
  static_assert(n_rows <= 16);
  float* maxima = scratch.maxima + row;
  float* totals = scratch.totals + row;
  float changes[16] = {};
  for (int r = 0; r < n_rows; ++r) {
    const Floats(&of_row)[kKeyVectors] = scores[r];
    const float here =
        maximum_of_lanes(maximum(maximum(of_row[0], of_row[1]), maximum(of_row[2], of_row[3])));
    changes[r] = here > maxima[r] ? maxima[r] - here : 0.0f;
    maxima[r] = here > maxima[r] ? here : maxima[r];
  }
  for (int r = 0; r < n_rows; ++r) {
    const Floats most = broadcast(maxima[r]);
    for (Floats& s : scores[r]) s = T::exponential_of(subtract(s, most));
  }
  store(changes, exponential(load(changes)));
  for (int r = 0; r < n_rows; ++r) {
    factors[r] = changes[r];
    totals[r] = totals[r] * factors[r] +
                store_weights<T>(scores[r], scratch.weights + static_cast<size_t>(r) * kKeyBlock);
  }
}

/// sums = sums * factor + weights * values, n_vectors vectors of dimensions from d on.
template <class T, int n_rows, int n_vectors>
inline void accumulate(const AttentionScratch& scratch, size_t row, size_t d,
                       const float (&factors)[n_rows]) {
  const size_t width = scratch.value_width;
  float* sums = scratch.sums + row * width + d;
  Floats sum[n_rows][n_vectors];
#pragma GCC unroll 8
  for (int r = 0; r < n_rows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < n_vectors; ++v) {
      const float* earlier = sums + static_cast<size_t>(r) * width + 16 * v;
      sum[r][v] = T::kInPairs ? broadcast(0.0f) : fma(load(earlier), broadcast(factors[r]), broadcast(0.0f));
    }
  }
  add_terms<T>(scratch.weights, kKeyBlock, scratch.values + d, width, steps_of<T>(kKeyBlock), sum);
#pragma GCC unroll 8
  for (int r = 0; r < n_rows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < n_vectors; ++v) {
      float* to = sums + static_cast<size_t>(r) * width + 16 * v;
      store(to, T::kInPairs ? fma(load(to), broadcast(factors[r]), sum[r][v]) : sum[r][v]);
    }
  }
}

/// n_rows rows from `row` on against the block of keys in scratch.
template <class T, int n_rows>
void attend_rows(const AttentionArguments& a, const AttentionScratch& scratch, size_t row, size_t block) {
  Floats scores[n_rows][kKeyVectors];
  score<T, n_rows>(scratch, row, a.key_dimension, scores);
  const bool sees_all = visible_keys(a, row).end >= block + kKeyBlock &&
                        visible_keys(a, row + static_cast<size_t>(n_rows) - 1).begin <= block;
  if (!sees_all || a.soft_cap != 0.0f || a.alibi_slopes != nullptr)
    for (int r = 0; r < n_rows; ++r) adjust(a, row + static_cast<size_t>(r), block, scores[r]);
  float factors[n_rows];
  weigh<T>(scratch, row, scores, factors);
  size_t d = 0;
  for (; d + 64 <= scratch.value_width; d += 64) accumulate<T, n_rows, 4>(scratch, row, d, factors);
  for (; d < scratch.value_width; d += 16) accumulate<T, n_rows, 1>(scratch, row, d, factors);
}

/// Fewer than kAttentionRows rows: the instance for exactly that many.
template <class T, int n_rows>
inline void attend_rest(const AttentionArguments& a, const AttentionScratch& scratch, size_t row, size_t n,
                        size_t block) {
  if constexpr (n_rows > 0) {
    if (n == static_cast<size_t>(n_rows)) return attend_rows<T, n_rows>(a, scratch, row, block);
    attend_rest<T, n_rows - 1>(a, scratch, row, n, block);
  }
}

/// A query times `factor` as factors.
template <class T>
inline void store_query(const float* query, size_t n, float factor, float* to) {
  if constexpr (!T::kInPairs) {
    for (size_t d = 0; d < n; ++d) to[d] = query[d] * factor;
  } else {
    for (size_t d = 0; d < n; d += 32) {
      float part[32] = {};
      memcpy(part, query + d, (n - d < 32 ? n - d : 32) * sizeof(float));
      const Floats f = broadcast(factor);
      store_pairs(to + d / 2, pair_neighbours(multiply(load(part), f), multiply(load(part + 16), f)));
    }
  }
}

template <class T>
inline void begin_rows(const AttentionArguments& a, const AttentionScratch& scratch, size_t n_rows) {
  for (size_t row = 0; row < n_rows; ++row) {
    const float* query =
        a.queries + row / a.n_queries * a.position_stride + row % a.n_queries * a.key_dimension;
    store_query<T>(query, a.key_dimension, a.score_scale, scratch.queries + row * scratch.key_width);
    scratch.maxima[row] = -INFINITY;
    scratch.totals[row] = 0.0f;
  }
  memset(scratch.sums, 0, n_rows * scratch.value_width * sizeof(float));
}

inline void end_rows(const AttentionArguments& a, const AttentionScratch& scratch, size_t n_rows) {
  for (size_t row = 0; row < n_rows; ++row) {
    float* out = a.out + row / a.n_queries * a.position_stride + row % a.n_queries * a.value_dimension;
    const float factor = 1.0f / scratch.totals[row];
    for (size_t d = 0; d < a.value_dimension; ++d)
      out[d] = scratch.sums[row * scratch.value_width + d] * factor;
  }
}

template <class T>
void attend(const AttentionArguments& a, void* memory) {
  const size_t n_rows = a.n_positions * a.n_queries;
  const AttentionScratch scratch(memory, n_rows, a.key_dimension, a.value_dimension);
  begin_rows<T>(a, scratch, n_rows);
  const size_t end = visible_keys(a, n_rows - 1).end;
  size_t first_row = 0;  // rows before it have seen their last key; rows are in order of position
  for (size_t block = visible_keys(a, 0).begin / kKeyBlock * kKeyBlock; block < end; block += kKeyBlock) {
    while (visible_keys(a, first_row).end <= block) ++first_row;
    size_t last_row = n_rows;  // rows from it on have this block behind their window
    while (visible_keys(a, last_row - 1).begin >= block + kKeyBlock) --last_row;
    with_format(a.key_format, [&]<KvFormat format>() { load_keys<T, format>(a, block, end, scratch.keys); });
    with_format(a.value_format, [&]<KvFormat format>() {
      load_values<T, format>(a, block, end, scratch.values, scratch.value_width);
    });
    size_t row = first_row;
    for (; row + kAttentionRows <= last_row; row += kAttentionRows)
      attend_rows<T, kAttentionRows>(a, scratch, row, block);
    attend_rest<T, kAttentionRows - 1>(a, scratch, row, last_row - row, block);
  }
  end_rows(a, scratch, n_rows);
}

void attention(const AttentionArguments& a, void* memory) {
  a.in_pairs ? attend<PairTerms<PairSums>>(a, memory) : attend<ValueTerms>(a, memory);
}

size_t attention_scratch_bytes(size_t n_positions, size_t n_queries, size_t key_dimension,
                               size_t value_dimension) {
  return AttentionScratch(nullptr, n_positions * n_queries, key_dimension, value_dimension).n_bytes;
}

void overlay_attention(KernelSet& set) {
  set.attention = attention;
  set.attention_scratch_bytes = attention_scratch_bytes;
}

}  // namespace
}  // namespace ruvllm::kernels
