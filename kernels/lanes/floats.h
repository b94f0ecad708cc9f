// Products with F32, F16 and BF16 weights, a lane a weight row. A step takes a word of each weight row, one
// value or a pair of 16-bit ones, times words of a group of activation rows.
//
// A few panels go together, so that sums don't wait for one another. For few activation rows weights are read
// in one run; many rows take turns with a chunk of weights that stays in the first-level cache, and their
// sums wait in scratch memory between chunks. Included after a column's simd.h and pairs.h. Tested by
// tests/kernels/matmul_test.cpp.
#pragma once

#include "kernels/kernels.h"
#include "kernels/lanes/gemm.h"
#include "kernels/lanes/quantised.h"

namespace ruvllm::kernels {
namespace {

/// Activation words of a chunk: 64-byte weight words of kFloatPanels panels fill half of a cache of 32 KiB.
constexpr size_t kChunkWords = 256 / kFloatPanels;

// How words multiply. Those of 16 weight rows lie kBytes apart; a step has kParts parts, one after the other,
// and takes kWords activation words of a row.
struct F32Words {
  static constexpr size_t kBytes = 64, kWords = 1;
  static constexpr int kParts = 1;
  template <int>
  static Floats weights(const uint8_t* at) {
    return load(reinterpret_cast<const float*>(at));
  }
  template <int>
  static Floats activation(const uint8_t* at) {
    float value;
    memcpy(&value, at, sizeof value);
    return broadcast(value);
  }
  static Floats add(Floats sum, Floats weights, Floats activation) { return fma(weights, activation, sum); }
};
/// Pairs of bf16 weights and f32 activations, column after column.
struct WideBF16Words : F32Words {
  static constexpr size_t kWords = 2;
  static constexpr int kParts = 2;
  template <int part>
  static Floats weights(const uint8_t* at) {
    const Ints pairs = load_ints(at);
    if constexpr (part == 0) return as_floats(shift_left<16>(pairs));
    return as_floats(both(pairs, splat_word(static_cast<int32_t>(0xFFFF0000u))));
  }
};
/// The same of f16 weights.
struct WideF16Words : WideBF16Words {
  template <int part>
  static Floats weights(const uint8_t* at) {
    const Ints pairs = load_ints(at);
    return halves_to_floats(part == 0 ? both(pairs, splat_word(0xFFFF)) : shift_right<16>(pairs));
  }
};
/// Pairs of bf16 weights and activations, as S adds them.
template <class S>
struct PairWords {
  static constexpr size_t kBytes = 64, kWords = 1;
  static constexpr int kParts = S::kParts;
  template <int part>
  static auto weights(const uint8_t* at) {
    return S::template part_of<part>(load_pairs(at));
  }
  template <int part>
  static auto activation(const uint8_t* at) {
    return S::template part_of<part>(broadcast_pair(at));
  }
  template <class Part>
  static Floats add(Floats sum, Part weights, Part activation) {
    return S::add(sum, weights, activation);
  }
};

/// Pairs of f16 weights, rounded to bf16: in registers for a few activation rows, a chunk at a time for many.
template <class S>
struct RoundedWords : PairWords<S> {
  using InChunks = PairWords<S>;
  static Pairs rounded(const uint8_t* at) {
    const auto* halves = reinterpret_cast<const uint16_t*>(at);
    return pair_neighbours(load_f16(halves), load_f16(halves + 16));
  }
  template <int part>
  static auto weights(const uint8_t* at) {
    return S::template part_of<part>(rounded(at));
  }
};

/// One part of a step of all sums; nothing where a step has no such part.
template <class W, int part, int n_panels, int n_rows>
inline __attribute__((always_inline)) void add_words(const uint8_t* weights, size_t panel_stride,
                                                     const uint8_t* x, size_t x_stride,
                                                     Floats (&sum)[n_panels][n_rows]) {
  if constexpr (part < W::kParts) {
    const uint8_t* words = W::kWords > 1 ? x + part * x_stride : x;
    decltype(W::template weights<part>(weights)) lanes[n_panels];
#pragma GCC unroll 8
    for (int p = 0; p < n_panels; ++p)
      lanes[p] = W::template weights<part>(weights + static_cast<size_t>(p) * panel_stride);
#pragma GCC unroll 8
    for (int r = 0; r < n_rows; ++r) {
      const auto activation = W::template activation<part>(words + 4 * r);
#pragma GCC unroll 8
      for (int p = 0; p < n_panels; ++p) sum[p][r] = W::add(sum[p][r], lanes[p], activation);
    }
  }
}

/// n_panels panels, panel_stride bytes apart, times n_rows activation rows of n words, each of which is
/// x_stride bytes after the one before.
template <class W, int n_panels, int n_rows>
inline void multiply_words(const uint8_t* weights, size_t panel_stride, const uint8_t* x, size_t x_stride,
                           size_t n, const Sums& sums) {
  Floats sum[n_panels][n_rows];  // unrolled loops keep it in registers
#pragma GCC unroll 8
  for (int r = 0; r < n_rows; ++r) {
#pragma GCC unroll 8
    for (int p = 0; p < n_panels; ++p)
      sum[p][r] = sums.from != nullptr ? load(sums.from + static_cast<size_t>(r) * sums.from_stride + 16 * p)
                                       : broadcast(0.0f);
  }
  for (size_t k = 0; k < n / W::kWords; ++k) {
    const uint8_t* lanes = weights + k * W::kBytes;
    const uint8_t* words = x + k * W::kWords * x_stride;
    add_words<W, 0>(lanes, panel_stride, words, x_stride, sum);
    add_words<W, 1>(lanes, panel_stride, words, x_stride, sum);
  }
  if (n % W::kWords != 0)
    add_words<W, 0>(weights + n / W::kWords * W::kBytes, panel_stride, x + (n - 1) * x_stride, x_stride, sum);
#pragma GCC unroll 8
  for (int r = 0; r < n_rows; ++r) {
#pragma GCC unroll 8
    for (int p = 0; p < n_panels; ++p)
      store(sums.to + static_cast<size_t>(r) * sums.to_stride + 16 * p, sum[p][r]);
  }
}

/// The tile for exactly `count` rows, count <= n_rows. Where a group fits a tile, its stride is known when
/// compiled.
template <class W, int n_panels, int n_rows>
inline void multiply_word_rows(size_t count, const uint8_t* weights, size_t panel_stride, const uint8_t* x,
                               size_t x_stride, size_t n, const Sums& sums) {
  if constexpr (n_rows > 0) {
    if (count == static_cast<size_t>(n_rows)) {
      const size_t known = kFloatRows >= kGroupRows ? 4 * static_cast<size_t>(n_rows) : x_stride;
      return multiply_words<W, n_panels, n_rows>(weights, panel_stride, x, known, n, sums);
    }
    multiply_word_rows<W, n_panels, n_rows - 1>(count, weights, panel_stride, x, x_stride, n, sums);
  }
}

/// A chunk of panels, and all activations.
struct FloatChunk {
  const uint8_t* weights;
  size_t panel_stride;  ///< bytes between panels
  const uint8_t* x;
  size_t n_words;  ///< of an activation row
  size_t n_rows;
  size_t first, n;           ///< words of the chunk
  Fetch next[kFloatPanels];  ///< of each panel what is wanted after it, shared among the tiles; or nothing
};

/// A chunk times all rows, tile by tile; tiles don't reach over groups.
template <class W, int n_panels>
void multiply_float_chunk(FloatChunk chunk, const Sums& sums) {
  constexpr size_t kMost = static_cast<size_t>(kFloatRows);
  for (size_t row = 0, n = 0; row < chunk.n_rows; row += n) {
    for (int p = 0; p < n_panels; ++p) chunk.next[p].template go_on<prefetch_far>();
    const size_t n_group = group_rows(chunk.n_rows, row), in_group = row % kGroupRows;
    n = n_group - in_group < kMost ? n_group - in_group : kMost;
    const size_t word = (row - in_group) * chunk.n_words + chunk.first * n_group + in_group;
    multiply_word_rows<W, n_panels, kFloatRows>(n, chunk.weights, chunk.panel_stride, chunk.x + 4 * word,
                                                4 * n_group, chunk.n, part_of(sums, row, 0));
  }
}

/// What a worker needs: room for a chunk that is rounded, and for the sums that wait.
struct FloatScratch {
  alignas(64) uint8_t rounded[kFloatPanels][kChunkWords * 64];
  float waiting[16];  // and so on
};

/// The same chunk as W::InChunks takes it. Meanwhile weights from `next` on are fetched: rounding them would
/// wait for each, where products go on with others.
template <class W, int n_panels>
inline FloatChunk rounded_chunk(FloatChunk chunk, const uint8_t* next, FloatScratch& scratch) {
  constexpr size_t kTiles = (kGroupRows - 1) / static_cast<size_t>(kFloatRows) + 1;  // of a group
  const size_t n_tiles = ((chunk.n_rows - 1) / kGroupRows + 1) * kTiles;
  for (size_t p = 0; p < n_panels; ++p)
    chunk.next[p] = {next + p * chunk.panel_stride, kChunkWords * W::kBytes / n_tiles + 1};
  for (int p = 0; p < n_panels; ++p)
    for (size_t k = 0; k < chunk.n; ++k)
      store_pairs(scratch.rounded[p] + k * W::kBytes,
                  W::rounded(chunk.weights + static_cast<size_t>(p) * chunk.panel_stride + k * W::kBytes));
  chunk.weights = scratch.rounded[0];
  chunk.panel_stride = sizeof scratch.rounded[0];
  return chunk;
}

/// n_panels panels times all rows, of n_words words.
template <class W, int n_panels>
void multiply_panels(const uint8_t* panels, size_t panel_bytes, const void* x, size_t n_words, size_t n_rows,
                     float* out, size_t out_stride, FloatScratch& scratch) {
  constexpr size_t kWidth = 16 * n_panels;
  const bool is_chunked = n_rows > kGroupRows;
  FloatChunk chunk = {panels, panel_bytes, static_cast<const uint8_t*>(x), n_words, n_rows, 0, 0, {}};
  for (size_t k = 0; k < n_words; k += chunk.n) {
    const size_t left = n_words - k;
    chunk.first = k;
    chunk.n = is_chunked && left > kChunkWords ? kChunkWords : left;
    chunk.weights = panels + k / W::kWords * W::kBytes;
    Sums sums = {k == 0 ? nullptr : scratch.waiting, kWidth, scratch.waiting, kWidth};
    if (chunk.n == left) {
      sums.to = out;
      sums.to_stride = out_stride;
    }
    if constexpr (requires { typename W::InChunks; }) {
      if (is_chunked) {
        const uint8_t* next =
            chunk.n < left ? chunk.weights + chunk.n * W::kBytes : panels + n_panels * panel_bytes;
        multiply_float_chunk<typename W::InChunks, n_panels>(rounded_chunk<W, n_panels>(chunk, next, scratch),
                                                             sums);
        continue;
      }
    }
    multiply_float_chunk<W, n_panels>(chunk, sums);
  }
}

/// All panels, kFloatPanels at a time and then one by one or two.
template <class W>
void multiply_floats(const void* panels, size_t panel_bytes, size_t n_panels, const void* words,
                     size_t n_words, size_t n_rows, float* out, size_t out_stride, void* scratch) {
  const uint8_t* weights = static_cast<const uint8_t*>(panels);
  const auto multiply = [&]<int n>() {
    multiply_panels<W, n>(weights, panel_bytes, words, n_words, n_rows, out, out_stride,
                          *static_cast<FloatScratch*>(scratch));
    weights += n * panel_bytes;
    out += n * kPanelRows;
    n_panels -= n;
  };
  while (n_panels >= kFloatPanels) multiply.template operator()<kFloatPanels>();
  while (kFloatPanels > 2 && n_panels >= 2) multiply.template operator()<2>();
  while (n_panels >= 1) multiply.template operator()<1>();
}

template <class W>
void matmul_values(const void* panels, size_t panel_bytes, size_t n_panels, const Activations& x, float* out,
                   size_t out_stride, void* scratch) {
  multiply_floats<W>(panels, panel_bytes, n_panels, x.values, x.n_columns, x.n_rows, out, out_stride,
                     scratch);
}

/// Paired<S> multiplies pairs of activations, Wide f32 ones.
template <template <class S> class Paired, class Wide>
void matmul_pairs(const void* panels, size_t panel_bytes, size_t n_panels, const Activations& x, float* out,
                  size_t out_stride, void* scratch) {
  if (x.pairs == nullptr)
    return matmul_values<Wide>(panels, panel_bytes, n_panels, x, out, out_stride, scratch);
  sum_pairs([&]<class S>(S) {
    multiply_floats<Paired<S>>(panels, panel_bytes, n_panels, x.pairs, activation_pairs(x.n_columns),
                               x.n_rows, out, out_stride, scratch);
  });
}

struct LanesF32 {
  static constexpr auto matmul = matmul_values<F32Words>;
};
struct LanesF16 {
  static constexpr auto matmul = matmul_pairs<RoundedWords, WideF16Words>;
};
struct LanesBF16 {
  static constexpr auto matmul = matmul_pairs<PairWords, WideBF16Words>;
};

inline size_t float_scratch_bytes(size_t n_rows) {
  return sizeof(FloatScratch) + n_rows * 16 * kFloatPanels * sizeof(float);
}

// ------------------------------------------------------------------------------------- activations

/// n_rows rows of n words, row_stride words apart, side by side.
template <size_t n_rows>
inline void group_words(size_t count, const float* x, size_t row_stride, size_t n, float* words) {
  if constexpr (n_rows == 1) {
    memcpy(words, x, n * sizeof(float));
  } else {
    if (count == n_rows) return gemm_pack<n_rows>({x, row_stride, 1, n_rows, n}, words);
    group_words<n_rows - 1>(count, x, row_stride, n, words);
  }
}

inline void group_values(const float* x, size_t n_rows, size_t n_columns, float* values) {
  group_words<kGroupRows>(n_rows, x, n_columns, n_columns, values);
}

/// n values to (n + 1) / 2 pairs; whole vectors are written.
inline void round_row(const float* x, size_t n, float* pairs) {
  uint16_t* to = reinterpret_cast<uint16_t*>(pairs);
  size_t k = 0;
  for (; k + 16 <= n; k += 16) store_bf16(to + k, load(x + k));
  if (k == n) return;
  float rest[16] = {};
  memcpy(rest, x + k, (n - k) * sizeof(float));
  store_bf16(to + k, load(rest));
}

inline void group_pairs(const float* x, size_t n_rows, size_t n_columns, uint32_t* pairs) {
  constexpr size_t kColumns = 256;
  alignas(64) float rounded[kGroupRows][kColumns / 2];
  float* to = reinterpret_cast<float*>(pairs);
  for (size_t k = 0; k < n_columns; k += kColumns) {
    const size_t n = n_columns - k < kColumns ? n_columns - k : kColumns;
    for (size_t row = 0; row < n_rows; ++row) round_row(x + row * n_columns + k, n, rounded[row]);
    group_words<kGroupRows>(n_rows, rounded[0], kColumns / 2, activation_pairs(n), to + k / 2 * n_rows);
  }
}

}  // namespace
}  // namespace ruvllm::kernels
