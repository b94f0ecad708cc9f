// Attention of a tile of query rows (positions x heads of a GQA group) over keys and values where they lie.
//
// Keys come in blocks of 64, counted from absolute key 0. A block's keys are transposed once for all rows, so
// that a lane is a key while scores are made, and a dimension while values are summed. A row's own sequence
// of operations is, in f32: scores by fma in order of dimension; running maximum and sum (online softmax,
// Milakov and Gimelshein 2018); values by fma in order of key. In integers (lanes/attention_terms.h) scores
// and a block's sums of values are exact, and scales join them in f32; a row's weights in a block, times the
// scales of the values that they meet, are rounded to kMostWeight parts of the largest. Rows that see nothing
// of a block skip it, and what a row does not see has no part in its scales, so neither the tile nor the
// chunk that a row is computed in changes a bit. Included after a column's simd.h. Tested by
// tests/kernels/attention_test.cpp.
#pragma once

#include "kernels/lanes/attention_terms.h"

namespace ruvllm::kernels {
namespace {

using AttentionArguments = KernelSet::AttentionArguments;

inline size_t round_up(size_t n, size_t step) { return (n + step - 1) / step * step; }

/// Where things lie in the scratch memory of one call, in words: f32 values, or pairs of integers. Each part
/// begins at a multiple of 64 bytes.
struct AttentionScratch {
  size_t key_width;     // key dimension, padded to whole vectors
  size_t value_width;   // value dimension, likewise
  float* keys;          // (words of a key, 64): transposed
  float* key_scales;    // (64): of integers
  float* values;        // (words of 64 keys, value_width)
  float* value_scales;  // (64): of integers
  float* queries;       // (rows, key_width): in f32 times score_scale
  float* query_scales;  // (rows): of integers, times score_scale
  float* weights;       // (kAttentionRows, 64): exp(score - maximum) of the rows at hand
  float* sums;          // (rows, value_width): of weights times values
  float* maxima;        // (rows)
  float* totals;        // (rows): sums of weights
  size_t n_bytes;

  AttentionScratch(void* memory, size_t n_rows, size_t key_dimension, size_t value_dimension)
      : key_width(round_up(key_dimension, 16)), value_width(round_up(value_dimension, 16)) {
    float* next = static_cast<float*>(memory);
    const auto take = [&](size_t n) {
      float* part = next;
      next += round_up(n, 16);
      return part;
    };
    keys = take(key_width * kKeyBlock);
    key_scales = take(kKeyBlock);
    values = take(kKeyBlock * value_width);
    value_scales = take(kKeyBlock);
    queries = take(n_rows * key_width);
    query_scales = take(n_rows);
    weights = take(kAttentionRows * kKeyBlock);
    sums = take(n_rows * value_width);
    maxima = take(n_rows);
    totals = take(n_rows);
    n_bytes = static_cast<size_t>(next - static_cast<float*>(memory)) * sizeof(float);
  }
};

/// n keys of a block, at most 64, as columns; the rest of them are zeros.
template <class T, KvFormat format>
inline void load_keys(const StoredBlock& block, size_t n, size_t dimension, float* keys) {
  for (size_t group = 0; group < kKeyVectors; ++group) {
    for (size_t word = 0; word < words_of<T>(dimension); word += 16) {
      Floats rows[16];
      for (size_t i = 0; i < 16; ++i) {
        const size_t key = 16 * group + i;
        rows[i] = key < n ? load_words<T, format>(block.at<format>(key), word, dimension) : broadcast(0);
      }
      transpose(rows);
      for (size_t i = 0; i < 16; ++i) store(keys + (word + i) * kKeyBlock + 16 * group, rows[i]);
    }
  }
}

/// n values of a block as rows of `width` words: in integers, those of two keys side by side.
template <class T, KvFormat format>
inline void load_values(const StoredBlock& block, size_t n, size_t dimension, float* values, size_t width) {
  for (size_t word = 0; word < words_of<T>(kKeyBlock); ++word) {
    float* to = values + word * width;
    const size_t key = T::kInIntegers ? 2 * word : word;
    if (key >= n) {
      memset(to, 0, width * sizeof(float));
      continue;
    }
    const Stored first = block.at<format>(key);
    if constexpr (!T::kInIntegers) {
      for (size_t d = 0; d < dimension; d += 16) store(to + d, load_stored<format>(first, d, dimension));
    } else {
      const bool is_alone = key + 1 == n;
      const Stored second = block.at<format>(is_alone ? key : key + 1);
      for (size_t d = 0; d < dimension; d += 16) {
        const Ints odd = is_alone ? splat_word(0) : load_low_halves(second, d, dimension);
        store_ints(to + d, either(load_low_halves(first, d, dimension), shift_left<16>(odd)));
      }
    }
  }
}

/// Scales of n keys of a block and of their values; zeros for the rest. A key whose value is no number is
/// none itself: so is what comes of every row that sees it, and no other.
inline void load_scales(const StoredBlock& keys, const StoredBlock& values, size_t n,
                        const AttentionScratch& scratch) {
  for (size_t i = 0; i < kKeyBlock; ++i) {
    const float of_key = i < n ? keys.scales[i] : 0.0f, of_value = i < n ? values.scales[i] : 0.0f;
    const bool is_number = of_value == of_value;
    scratch.key_scales[i] = is_number ? of_key : of_value;
    scratch.value_scales[i] = is_number ? of_value : 0.0f;
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

/// The register tile: n_steps words of rows of factors, factor_stride apart, with vectors of lanes.
template <class T, int n_rows, int n_vectors>
inline __attribute__((always_inline)) void add_steps(const float* factors, size_t factor_stride,
                                                     const float* lanes, size_t lane_stride, size_t n_steps,
                                                     typename T::Sum (&sums)[n_rows][n_vectors]) {
  for (size_t step = 0; step < n_steps; ++step, ++factors, lanes += lane_stride) {
    decltype(T::lanes(lanes)) vectors[n_vectors];
#pragma GCC unroll 8
    for (int v = 0; v < n_vectors; ++v) vectors[v] = T::lanes(lanes + 16 * v);
#pragma GCC unroll 8
    for (int r = 0; r < n_rows; ++r) {
      const auto factor = T::factor(factors + static_cast<size_t>(r) * factor_stride);
#pragma GCC unroll 8
      for (int v = 0; v < n_vectors; ++v) sums[r][v] = T::add(sums[r][v], factor, vectors[v]);
    }
  }
}

/// Sums of n_steps words, from `sums` on, a register tile after the other.
template <class T, int n_rows, int n_vectors>
inline __attribute__((always_inline)) void add_terms(const float* factors, size_t factor_stride,
                                                     const float* lanes, size_t lane_stride, size_t n_steps,
                                                     typename T::Sum (&sums)[n_rows][n_vectors]) {
  constexpr int kWidth = n_vectors < kAttentionVectors ? n_vectors : kAttentionVectors;
  static_assert(n_vectors % kWidth == 0);
  for (int first = 0; first < n_vectors; first += kWidth) {
    typename T::Sum here[n_rows][kWidth];  // unrolled loops keep it in registers
#pragma GCC unroll 8
    for (int r = 0; r < n_rows; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < kWidth; ++v) here[r][v] = sums[r][first + v];
    add_steps<T>(factors, factor_stride, lanes + 16 * first, lane_stride, n_steps, here);
#pragma GCC unroll 8
    for (int r = 0; r < n_rows; ++r)
#pragma GCC unroll 8
      for (int v = 0; v < kWidth; ++v) sums[r][first + v] = here[r][v];
  }
}

/// Scores of n_rows rows and 64 keys.
template <class T, int n_rows>
inline void score(const AttentionScratch& scratch, size_t row, size_t key_dimension,
                  Floats (&scores)[n_rows][kKeyVectors]) {
  typename T::Sum sums[n_rows][kKeyVectors];
#pragma GCC unroll 8
  for (auto& of_row : sums)
#pragma GCC unroll 8
    for (auto& sum : of_row) sum = T::zero();
  add_terms<T>(scratch.queries + row * scratch.key_width, scratch.key_width, scratch.keys, kKeyBlock,
               words_of<T>(key_dimension), sums);
#pragma GCC unroll 8
  for (int r = 0; r < n_rows; ++r)
#pragma GCC unroll 8
    for (size_t v = 0; v < kKeyVectors; ++v) {
      if constexpr (T::kInIntegers) {
        const Floats scale = multiply(broadcast(scratch.query_scales[row + static_cast<size_t>(r)]),
                                      load(scratch.key_scales + 16 * v));
        scores[r][v] = multiply(to_floats(sums[r][v]), scale);
      } else {
        scores[r][v] = sums[r][v];
      }
    }
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

/// Weights of a row times their values' scales as integers; returns what their sums must be multiplied by.
inline float store_integer_weights(const AttentionScratch& scratch, const Floats (&w)[kKeyVectors],
                                   float* to) {
  static_assert(kKeyVectors == 4);
  Floats scaled[kKeyVectors];
  for (size_t v = 0; v < kKeyVectors; ++v) scaled[v] = multiply(w[v], load(scratch.value_scales + 16 * v));
  const float most = maximum_of_lanes(maximum(maximum(scaled[0], scaled[1]), maximum(scaled[2], scaled[3])));
  // Where a weight is no number, so is the row's total, whatever stands here.
  const bool is_any = most >= 0x1p-100f && most < 0x1p100f;
  const Floats inverse = broadcast(is_any ? kMostWeight / most : 0.0f);
  int16_t* integers = reinterpret_cast<int16_t*>(to);
  for (size_t v = 0; v < kKeyVectors; ++v)
    store_halves(integers + 16 * v, round_to_ints(multiply(scaled[v], inverse)));
  return is_any ? most / kMostWeight : 0.0f;
}

/// What joins sums of earlier blocks and of this one: sum = earlier * factor + here * gain.
struct Joining {
  float factor;
  float gain;  // of integers
};

/// Scores of rows from `row` on to weights. One step after the other for all rows, so that no row waits for
/// its own sums over lanes.
template <class T, int n_rows>
inline void weigh(const AttentionScratch& scratch, size_t row, Floats (&scores)[n_rows][kKeyVectors],
                  Joining (&joining)[n_rows]) {
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
    const Floats(&w)[kKeyVectors] = scores[r];
    float* to = scratch.weights + static_cast<size_t>(r) * kKeyBlock;
    joining[r].factor = changes[r];
    totals[r] = totals[r] * changes[r] + sum_of_lanes(add(add(w[0], w[1]), add(w[2], w[3])));
    if constexpr (T::kInIntegers)
      joining[r].gain = store_integer_weights(scratch, w, to);
    else
      for (size_t v = 0; v < kKeyVectors; ++v) store(to + 16 * v, w[v]);
  }
}

/// sums = sums * factor + weights * values, n_vectors vectors of dimensions from d on.
template <class T, int n_rows, int n_vectors>
inline void accumulate(const AttentionScratch& scratch, size_t row, size_t d,
                       const Joining (&joining)[n_rows]) {
  const size_t width = scratch.value_width;
  float* sums = scratch.sums + row * width + d;
  typename T::Sum sum[n_rows][n_vectors];
#pragma GCC unroll 8
  for (int r = 0; r < n_rows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < n_vectors; ++v) {
      if constexpr (T::kInIntegers)
        sum[r][v] = T::zero();
      else
        sum[r][v] = fma(load(sums + static_cast<size_t>(r) * width + 16 * v), broadcast(joining[r].factor),
                        T::zero());
    }
  }
  add_terms<T>(scratch.weights, kKeyBlock, scratch.values + d, width, words_of<T>(kKeyBlock), sum);
#pragma GCC unroll 8
  for (int r = 0; r < n_rows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < n_vectors; ++v) {
      float* to = sums + static_cast<size_t>(r) * width + 16 * v;
      if constexpr (T::kInIntegers)
        store(to, fma(load(to), broadcast(joining[r].factor),
                      multiply(to_floats(sum[r][v]), broadcast(joining[r].gain))));
      else
        store(to, sum[r][v]);
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
  Joining joining[n_rows];
  weigh<T>(scratch, row, scores, joining);
  size_t d = 0;
  for (; d + 64 <= scratch.value_width; d += 64) accumulate<T, n_rows, 4>(scratch, row, d, joining);
  for (; d < scratch.value_width; d += 16) accumulate<T, n_rows, 1>(scratch, row, d, joining);
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

template <class T>
inline void begin_rows(const AttentionArguments& a, const AttentionScratch& scratch, size_t n_rows) {
  for (size_t row = 0; row < n_rows; ++row) {
    const float* query =
        a.queries + row / a.n_queries * a.position_stride + row % a.n_queries * a.key_dimension;
    float* to = scratch.queries + row * scratch.key_width;
    if constexpr (T::kInIntegers) {
      const float scale = q16_scale(query, a.key_dimension, KvRole::key);
      store_q16<true>(query, a.key_dimension, scale, reinterpret_cast<int16_t*>(to));
      scratch.query_scales[row] = scale * a.score_scale;
    } else {
      for (size_t d = 0; d < a.key_dimension; ++d) to[d] = query[d] * a.score_scale;
    }
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

/// Keys and values `begin` and on of the block that begins there, up to `end`.
template <class T>
inline void load_block(const AttentionArguments& a, size_t begin, size_t end,
                       const AttentionScratch& scratch) {
  const size_t n = end - begin < kKeyBlock ? end - begin : kKeyBlock;
  const StoredBlock keys(a.key_pages, a.page_tokens, a.key_stride, a.key_format, begin);
  const StoredBlock values(a.value_pages, a.page_tokens, a.value_stride, a.value_format, begin);
  if constexpr (T::kInIntegers) {
    load_keys<T, KvFormat::q16>(keys, n, a.key_dimension, scratch.keys);
    load_values<T, KvFormat::q16>(values, n, a.value_dimension, scratch.values, scratch.value_width);
    load_scales(keys, values, n, scratch);
  } else {
    with_format(a.key_format,
                [&]<KvFormat format>() { load_keys<T, format>(keys, n, a.key_dimension, scratch.keys); });
    with_format(a.value_format, [&]<KvFormat format>() {
      load_values<T, format>(values, n, a.value_dimension, scratch.values, scratch.value_width);
    });
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
    load_block<T>(a, block, end, scratch);
    size_t row = first_row;
    for (; row + kAttentionRows <= last_row; row += kAttentionRows)
      attend_rows<T, kAttentionRows>(a, scratch, row, block);
    attend_rest<T, kAttentionRows - 1>(a, scratch, row, last_row - row, block);
  }
  end_rows(a, scratch, n_rows);
}

void attention(const AttentionArguments& a, void* memory) {
  a.in_integers ? attend<IntegerTerms>(a, memory) : attend<ValueTerms>(a, memory);
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
