// Attention of a tile of query rows (positions x heads of a GQA group) over keys and values where they lie.
//
// Keys come in blocks of 64, counted from absolute key 0. A block's keys are widened to f32 and transposed
// once for all rows, so that a lane is a key while scores are made, and a dimension while values are summed.
// A row's own sequence of operations is: scores by fma in order of dimension; running maximum and sum (online
// softmax, Milakov and Gimelshein 2018); values by fma in order of key. Rows that see nothing of a block skip
// it, so neither the tile nor the chunk that a row is computed in changes a bit. Tested by
// tests/kernels/attention_test.cpp.
#pragma once

#include "kernels/formats/legacy.h"
#include "kernels/kernels.h"
#include "kernels/lanes/vector.h"

#include <math.h>

namespace ruvllm::kernels {
namespace {

using AttentionArguments = KernelSet::AttentionArguments;

constexpr size_t kKeyBlock = 64;
constexpr size_t kKeyVectors = kKeyBlock / 16;

inline size_t round_up(size_t n, size_t step) { return (n + step - 1) / step * step; }

/// Where things lie in the scratch memory of one call, in floats. Each part begins at a multiple of 64 bytes.
struct AttentionScratch {
  size_t value_width;  // value dimension, padded to whole vectors
  float* keys;         // (key dimension padded, 64): transposed
  float* values;       // (64, value_width)
  float* queries;      // (rows, key dimension): times score_scale
  float* weights;      // (kAttentionRows, 64): exp(score - maximum) of the rows at hand
  float* sums;         // (rows, value_width): of weights times values
  float* maxima;       // (rows)
  float* totals;       // (rows): sums of weights
  size_t n_bytes;

  AttentionScratch(void* memory, size_t n_rows, size_t key_dimension, size_t value_dimension)
      : value_width(round_up(value_dimension, 16)) {
    float* next = static_cast<float*>(memory);
    const auto take = [&](size_t n) {
      float* part = next;
      next += round_up(n, 16);
      return part;
    };
    keys = take(round_up(key_dimension, 16) * kKeyBlock);
    values = take(kKeyBlock * value_width);
    queries = take(n_rows * key_dimension);
    weights = take(kAttentionRows * kKeyBlock);
    sums = take(n_rows * value_width);
    maxima = take(n_rows);
    totals = take(n_rows);
    n_bytes = static_cast<size_t>(next - static_cast<float*>(memory)) * sizeof(float);
  }
};

/// Values i .. i + 15 of a stored vector of n; zeros beyond it.
inline Floats load_stored(const void* stored, KvFormat format, size_t i, size_t n) {
  const char* bytes = static_cast<const char*>(stored);
  const size_t n_left = n - i;
  switch (format) {
    case KvFormat::f32: {
      float part[16] = {};
      if (n_left >= 16) return load(static_cast<const float*>(stored) + i);
      memcpy(part, static_cast<const float*>(stored) + i, n_left * sizeof(float));
      return load(part);
    }
    case KvFormat::f16: {
      uint16_t part[16] = {};
      if (n_left >= 16) return load_f16(static_cast<const uint16_t*>(stored) + i);
      memcpy(part, static_cast<const uint16_t*>(stored) + i, n_left * sizeof(uint16_t));
      return load_f16(part);
    }
    case KvFormat::q8: {
      BlockQ8_0 block;
      memcpy(&block, bytes + i / 32 * sizeof block, sizeof block);
      return multiply(broadcast(f16_to_f32(block.d)), load_bytes(block.qs + i % 32));
    }
    case KvFormat::q4:
      break;
  }
  BlockQ4_0 block;
  memcpy(&block, bytes + i / 32 * sizeof block, sizeof block);
  int8_t quants[16];
  for (int j = 0; j < 16; ++j)
    quants[j] = static_cast<int8_t>((i % 32 == 0 ? block.qs[j] & 15 : block.qs[j] >> 4) - 8);
  return multiply(broadcast(f16_to_f32(block.d)), load_bytes(quants));
}

/// Keys begin .. begin + 63 as columns; those from `end` on are zeros.
inline void load_keys(const AttentionArguments& a, size_t begin, size_t end, float* keys) {
  const char* page =
      static_cast<const char*>(a.key_pages[begin / a.page_tokens]) + begin % a.page_tokens * a.key_stride;
  for (size_t group = 0; group < kKeyVectors; ++group) {
    for (size_t d = 0; d < a.key_dimension; d += 16) {
      Floats rows[16];
      for (size_t i = 0; i < 16; ++i) {
        const size_t key = 16 * group + i;
        rows[i] = begin + key < end ? load_stored(page + key * a.key_stride, a.key_format, d, a.key_dimension)
                                    : broadcast(0);
      }
      transpose(rows);
      for (size_t i = 0; i < 16; ++i) store(keys + (d + i) * kKeyBlock + 16 * group, rows[i]);
    }
  }
}

inline void load_values(const AttentionArguments& a, size_t begin, size_t end, float* values, size_t width) {
  const char* page =
      static_cast<const char*>(a.value_pages[begin / a.page_tokens]) + begin % a.page_tokens * a.value_stride;
  for (size_t key = 0; key < kKeyBlock; ++key) {
    for (size_t d = 0; d < a.value_dimension; d += 16) {
      const bool is_there = begin + key < end;
      store(values + key * width + d,
            is_there ? load_stored(page + key * a.value_stride, a.value_format, d, a.value_dimension)
                     : broadcast(0));
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

/// Scores of n_rows rows and 64 keys: by fma in order of dimension.
template <int n_rows>
inline void score(const AttentionScratch& scratch, size_t row, size_t key_dimension,
                  Floats (&scores)[n_rows][kKeyVectors]) {
  const float* queries = scratch.queries + row * key_dimension;
  for (auto& of_row : scores) {
    for (Floats& s : of_row) s = broadcast(0.0f);
  }
  for (size_t d = 0; d < key_dimension; ++d) {
    Floats keys[kKeyVectors];
    for (size_t v = 0; v < kKeyVectors; ++v) keys[v] = load(scratch.keys + d * kKeyBlock + 16 * v);
    for (int r = 0; r < n_rows; ++r) {
      const Floats q = broadcast(queries[static_cast<size_t>(r) * key_dimension + d]);
      for (size_t v = 0; v < kKeyVectors; ++v) scores[r][v] = fma(q, keys[v], scores[r][v]);
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

/// Scores of rows from `row` on to weights; factors: what the rows' earlier sums must be scaled by. One step
/// after the other for all rows, so that no row waits for its own sums over lanes.
template <int n_rows>
inline void weigh(const AttentionScratch& scratch, size_t row, Floats (&scores)[n_rows][kKeyVectors],
                  float (&factors)[n_rows]) {
  float* maxima = scratch.maxima + row;
  float* totals = scratch.totals + row;
  for (int r = 0; r < n_rows; ++r) {
    const Floats(&of_row)[kKeyVectors] = scores[r];
    const float here =
        maximum_of_lanes(maximum(maximum(of_row[0], of_row[1]), maximum(of_row[2], of_row[3])));
    factors[r] = here > maxima[r] ? maxima[r] - here : 0.0f;
    maxima[r] = here > maxima[r] ? here : maxima[r];
  }
  for (int r = 0; r < n_rows; ++r) {
    const Floats most = broadcast(maxima[r]);
    for (size_t v = 0; v < kKeyVectors; ++v) {
      scores[r][v] = exponential(subtract(scores[r][v], most));
      store(scratch.weights + static_cast<size_t>(r) * kKeyBlock + 16 * v, scores[r][v]);
    }
  }
  for (int r = 0; r < n_rows; ++r) {
    if (factors[r] == 0.0f) {
      factors[r] = 1.0f;
      continue;
    }
    float lanes[16];
    store(lanes, exponential(broadcast(factors[r])));
    factors[r] = lanes[0];
  }
  for (int r = 0; r < n_rows; ++r) {
    const Floats(&w)[kKeyVectors] = scores[r];
    totals[r] = totals[r] * factors[r] + sum_of_lanes(add(add(w[0], w[1]), add(w[2], w[3])));
  }
}

/// sums = sums * factor + weights * values, n_vectors vectors of dimensions from d on.
template <int n_rows, int n_vectors>
inline void accumulate(const AttentionScratch& scratch, size_t row, size_t d,
                       const float (&factors)[n_rows]) {
  const size_t width = scratch.value_width;
  float* sums = scratch.sums + row * width + d;
  Floats sum[n_rows][n_vectors];
  for (int r = 0; r < n_rows; ++r) {
    for (int v = 0; v < n_vectors; ++v) {
      sum[r][v] =
          fma(load(sums + static_cast<size_t>(r) * width + 16 * v), broadcast(factors[r]), broadcast(0.0f));
    }
  }
  for (size_t key = 0; key < kKeyBlock; ++key) {
    Floats values[n_vectors];
    for (int v = 0; v < n_vectors; ++v) values[v] = load(scratch.values + key * width + d + 16 * v);
    for (int r = 0; r < n_rows; ++r) {
      const Floats weight = broadcast(scratch.weights[static_cast<size_t>(r) * kKeyBlock + key]);
      for (int v = 0; v < n_vectors; ++v) sum[r][v] = fma(weight, values[v], sum[r][v]);
    }
  }
  for (int r = 0; r < n_rows; ++r) {
    for (int v = 0; v < n_vectors; ++v) store(sums + static_cast<size_t>(r) * width + 16 * v, sum[r][v]);
  }
}

/// n_rows rows from `row` on against the block of keys in scratch.
template <int n_rows>
void attend_rows(const AttentionArguments& a, const AttentionScratch& scratch, size_t row, size_t block) {
  Floats scores[n_rows][kKeyVectors];
  score<n_rows>(scratch, row, a.key_dimension, scores);
  for (int r = 0; r < n_rows; ++r) adjust(a, row + static_cast<size_t>(r), block, scores[r]);
  float factors[n_rows];
  weigh(scratch, row, scores, factors);
  size_t d = 0;
  for (; d + 64 <= scratch.value_width; d += 64) accumulate<n_rows, 4>(scratch, row, d, factors);
  for (; d < scratch.value_width; d += 16) accumulate<n_rows, 1>(scratch, row, d, factors);
}

/// Fewer than kAttentionRows rows: the instance for exactly that many.
template <int n_rows>
inline void attend_rest(const AttentionArguments& a, const AttentionScratch& scratch, size_t row, size_t n,
                        size_t block) {
  if constexpr (n_rows > 0) {
    if (n == static_cast<size_t>(n_rows)) return attend_rows<n_rows>(a, scratch, row, block);
    attend_rest<n_rows - 1>(a, scratch, row, n, block);
  }
}

inline void begin_rows(const AttentionArguments& a, const AttentionScratch& scratch, size_t n_rows) {
  for (size_t row = 0; row < n_rows; ++row) {
    const float* query =
        a.queries + row / a.n_queries * a.position_stride + row % a.n_queries * a.key_dimension;
    for (size_t d = 0; d < a.key_dimension; ++d)
      scratch.queries[row * a.key_dimension + d] = query[d] * a.score_scale;
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

void attention(const AttentionArguments& a, void* memory) {
  const size_t n_rows = a.n_positions * a.n_queries;
  const AttentionScratch scratch(memory, n_rows, a.key_dimension, a.value_dimension);
  begin_rows(a, scratch, n_rows);
  const size_t end = visible_keys(a, n_rows - 1).end;
  size_t first_row = 0;  // rows before it have seen their last key; rows are in order of position
  for (size_t block = visible_keys(a, 0).begin / kKeyBlock * kKeyBlock; block < end; block += kKeyBlock) {
    while (visible_keys(a, first_row).end <= block) ++first_row;
    size_t last_row = n_rows;  // rows from it on have this block behind their window
    while (visible_keys(a, last_row - 1).begin >= block + kKeyBlock) --last_row;
    load_keys(a, block, end, scratch.keys);
    load_values(a, block, end, scratch.values, scratch.value_width);
    size_t row = first_row;
    for (; row + kAttentionRows <= last_row; row += kAttentionRows)
      attend_rows<kAttentionRows>(a, scratch, row, block);
    attend_rest<kAttentionRows - 1>(a, scratch, row, last_row - row, block);
  }
  end_rows(a, scratch, n_rows);
}

size_t attention_scratch_bytes(size_t n_positions, size_t n_queries, size_t key_dimension,
                               size_t value_dimension) {
  return AttentionScratch(nullptr, n_positions * n_queries, key_dimension, value_dimension).n_bytes;
}

inline void store_q8(const float* x, char* out, size_t n) {
  for (size_t i = 0; i < n; i += 32) {
    BlockQ8_0 block;
    Ints quants[2];
    float block_scale;
    round_block(x + i, 127.0f, quants, &block_scale);
    for (size_t half = 0; half < 2; ++half) store_bytes(block.qs + 16 * half, quants[half]);
    block.d = f32_to_f16(block_scale);
    memcpy(out + i / 32 * sizeof block, &block, sizeof block);
  }
}

/// As Q4_0 has it: the value of greatest magnitude becomes -8.
inline void store_q4(const float* x, char* out, size_t n) {
  for (size_t i = 0; i < n; i += 32) {
    float most = 0.0f;
    for (size_t j = 0; j < 32; ++j) most = fabsf(x[i + j]) > fabsf(most) ? x[i + j] : most;
    const float inverse = most != 0.0f ? -8.0f / most : 0.0f;
    BlockQ4_0 block;
    block.d = f32_to_f16(most / -8.0f);
    const auto quant = [&](size_t j) {
      const int q = static_cast<int>(x[i + j] * inverse + 8.5f);
      return q > 15 ? 15 : q;
    };
    for (size_t j = 0; j < 16; ++j) block.qs[j] = static_cast<uint8_t>(quant(j) | quant(j + 16) << 4);
    memcpy(out + i / 32 * sizeof block, &block, sizeof block);
  }
}

void store_kv(const float* x, void* out, size_t n, KvFormat format) {
  switch (format) {
    case KvFormat::f32:
      memcpy(out, x, n * sizeof(float));
      break;
    case KvFormat::f16: {
      uint16_t* halves = static_cast<uint16_t*>(out);
      size_t i = 0;
      for (; i + 16 <= n; i += 16) store_f16(halves + i, load(x + i));
      for (; i < n; ++i) halves[i] = f32_to_f16(x[i]);
      break;
    }
    case KvFormat::q8:
      store_q8(x, static_cast<char*>(out), n);
      break;
    case KvFormat::q4:
      store_q4(x, static_cast<char*>(out), n);
      break;
  }
}

void overlay_attention(KernelSet& set) {
  set.attention = attention;
  set.attention_scratch_bytes = attention_scratch_bytes;
  set.store_kv = store_kv;
}

}  // namespace
}  // namespace ruvllm::kernels
