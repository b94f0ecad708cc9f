// Products with quantised weights: unpack a chunk of two panels to codes in the first-level cache, then
// multiply it with all activation rows, a register tile at a time.
//
// One path for any number of rows: for one, unpacking keeps up with memory; for hundreds, it costs next to
// nothing. An output's operations are those of kernels.h whatever the tile: integers are exact, and its float
// sum takes one step a sub-block, in order of k. Sums wait in scratch memory between chunks. Tested by
// tests/kernels/matmul_test.cpp.
#pragma once

#include "kernels/kernels.h"
#include "kernels/lanes/kind.h"
#include "kernels/lanes/stream.h"
#include "kernels/lanes/unpack_plain.h"

namespace ruvllm::kernels {
namespace {

constexpr size_t kChunkColumns =
    512;  // half of it for few rows, where unpacking and multiplying should alternate

/// A chunk of kTilePanels panels as codes (unpack_plain.h), and the sums of all rows so far.
struct Chunk {
  alignas(64) uint8_t codes[kTilePanels][kChunkColumns * 16];
  alignas(64) float scales[kTilePanels][kChunkColumns];  // of each 16 columns, or of each 32 and half unused
  alignas(64) float mins[kTilePanels][kChunkColumns];
};

/// A row of results: where it stands, and where it goes. `from` null: from zero.
struct Sums {
  const float* from;
  size_t from_stride;
  float* to;
  size_t to_stride;
};

/// The integers of sub-block s of a chunk: n_panels panels times n_rows rows, whose blocks begin at `block`.
template <class K, int n_panels, int n_rows>
inline __attribute__((always_inline)) void multiply_sub_block(const Chunk& chunk, size_t s,
                                                              const ActivationBlock* block,
                                                              Ints (&total)[n_panels][n_rows]) {
  const size_t half = s % K::kHalves;
  typename K::Product dot[n_panels][n_rows];
#pragma GCC unroll 8
  for (int r = 0; r < n_rows; ++r) {
    const int32_t bias = bias_of<K>(block[r], half);
#pragma GCC unroll 8
    for (int p = 0; p < n_panels; ++p) dot[p][r].begin(bias);
  }
#pragma GCC unroll 8
  for (size_t g = 0; g < K::kGroups; ++g) {
    Ints codes[n_panels];
#pragma GCC unroll 8
    for (int p = 0; p < n_panels; ++p) codes[p] = load_ints(chunk.codes[p] + (s * K::kGroups + g) * 64);
#pragma GCC unroll 8
    for (int r = 0; r < n_rows; ++r) {
      const Ints four = four_activations(block[r].quants + half * 16 + 4 * g);
#pragma GCC unroll 8
      for (int p = 0; p < n_panels; ++p) dot[p][r].add(codes[p], four);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < n_rows; ++r) {
#pragma GCC unroll 8
    for (int p = 0; p < n_panels; ++p) total[p][r] = dot[p][r].total();
  }
}

/// The same where a column multiplies two activation rows at once; an odd last row is its own partner.
template <class K, int n_panels, int n_rows>
inline __attribute__((always_inline)) void multiply_sub_block_in_pairs(const Chunk& chunk, size_t s,
                                                                       const ActivationBlock* block,
                                                                       Ints (&total)[n_panels][n_rows]) {
  constexpr int kPairs = (n_rows + 1) / 2;
  const size_t first = s % K::kHalves * 16;
#pragma GCC unroll 8
  for (int p = 0; p < n_panels; ++p) {
    typename K::Product::OfTwoRows dot[kPairs];
#pragma GCC unroll 8
    for (auto& pair : dot) pair.begin();
#pragma GCC unroll 4
    for (size_t g = 0; g < K::kGroups; g += 2) {
      const uint8_t* codes = chunk.codes[p] + (s * K::kGroups + g) * 64;
      const auto eight = K::Product::OfTwoRows::eight_columns(load_ints(codes), load_ints(codes + 64));
#pragma GCC unroll 8
      for (int i = 0; i < kPairs; ++i) {
        const int second = 2 * i + 1 < n_rows ? 2 * i + 1 : 2 * i;
        dot[i].add(eight, block[2 * i].quants + first + 4 * g, block[second].quants + first + 4 * g);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < n_rows; ++r) total[p][r] = dot[r / 2].total(r % 2);
  }
}

/// What will be unpacked after a chunk: of each panel its bytes.
struct NextChunk {
  Fetch panels[kTilePanels];
  void go_on() {
    for (Fetch& panel : panels) panel.go_on();
  }
};

/// n_blocks x 32 columns of n_panels panels times n_rows activation rows, whose blocks lie `stride` apart.
/// Meanwhile `next` is brought near, the blocks that will be wanted next, and a share of the next chunk.
template <class K, int n_panels, int n_rows>
void multiply_tile(const Chunk& chunk, const ActivationBlock* x, size_t stride, const ActivationBlock* next,
                   size_t n_blocks, NextChunk& weights, const Sums& sums) {
  constexpr size_t kHalves = K::kHalves;
  Floats sum[n_panels][n_rows];
#pragma GCC unroll 8
  for (int r = 0; r < n_rows; ++r) {
#pragma GCC unroll 8
    for (int p = 0; p < n_panels; ++p) {
      sum[p][r] = sums.from != nullptr ? load(sums.from + static_cast<size_t>(r) * sums.from_stride + 16 * p)
                                       : broadcast(0.0f);
    }
  }
  for (size_t s = 0; s < n_blocks * kHalves; ++s) {
    const ActivationBlock* block = x + s / kHalves * stride;
    const size_t half = s % kHalves;
    if (half == 0) {
      for (int r = 0; r < n_rows; ++r) prefetch(next + s / kHalves * stride + r);
      weights.go_on();
    }
    Ints total[n_panels][n_rows];
    if constexpr (n_rows > 1 && requires { typename K::Product::OfTwoRows; })
      multiply_sub_block_in_pairs<K>(chunk, s, block, total);
    else
      multiply_sub_block<K>(chunk, s, block, total);
#pragma GCC unroll 8
    for (int p = 0; p < n_panels; ++p) {
      const Floats scale = load(chunk.scales[p] + 16 * s);
#pragma GCC unroll 8
      for (int r = 0; r < n_rows; ++r) {
        const Floats factor = multiply(scale, broadcast(block[r].scale));
        sum[p][r] = fma(factor, to_floats(total[p][r]), sum[p][r]);
      }
      if constexpr (K::kHasMin) {
        const Floats min = load(chunk.mins[p] + 16 * s);
#pragma GCC unroll 8
        for (int r = 0; r < n_rows; ++r) {
          sum[p][r] = fma(min, broadcast(scaled_sum_of<K>(block[r], half)), sum[p][r]);
        }
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < n_rows; ++r) {
#pragma GCC unroll 8
    for (int p = 0; p < n_panels; ++p)
      store(sums.to + static_cast<size_t>(r) * sums.to_stride + 16 * p, sum[p][r]);
  }
}

/// The same for one panel and one row of 16-bit activations.
template <class K>
void multiply_wide(const Chunk& chunk, size_t panel, const WideActivationBlock* x, size_t stride,
                   size_t n_blocks, const Sums& sums) {
  constexpr size_t kHalves = K::kHalves, kGroups = K::kGroups;
  Floats sum = sums.from != nullptr ? load(sums.from) : broadcast(0.0f);
  for (size_t s = 0; s < n_blocks * kHalves; ++s) {
    const WideActivationBlock& block = x[s / kHalves * stride];
    const size_t half = s % kHalves;
    typename K::Product high, low;
    high.begin(0);
    low.begin(bias_of<K>(block.high, half));
    for (size_t g = 0; g < kGroups; ++g) {
      const Ints codes = load_ints(chunk.codes[panel] + (s * kGroups + g) * 64);
      high.add(codes, four_activations(block.high.quants + half * 16 + 4 * g));
      low.add(codes, four_activations(block.low + half * 16 + 4 * g));
    }
    const Ints total = add_words(shift_left<8>(high.total()), low.total());
    sum =
        fma(multiply(load(chunk.scales[panel] + 16 * s), broadcast(block.high.scale)), to_floats(total), sum);
    if constexpr (K::kHasMin)
      sum = fma(load(chunk.mins[panel] + 16 * s), broadcast(scaled_sum_of<K>(block.high, half)), sum);
  }
  store(sums.to, sum);
}

/// The tile for exactly n rows, n <= n_rows. Where a group fits a tile, its stride is known when compiled.
template <class K, int n_panels, int n_rows>
inline void multiply_rows(size_t n, const Chunk& chunk, const ActivationBlock* x, size_t stride,
                          const ActivationBlock* next, size_t n_blocks, NextChunk& weights,
                          const Sums& sums) {
  if constexpr (n_rows > 0) {
    if (n == static_cast<size_t>(n_rows)) {
      const size_t known = kTileRows >= kGroupRows ? static_cast<size_t>(n_rows) : stride;
      return multiply_tile<K, n_panels, n_rows>(chunk, x, known, next, n_blocks, weights, sums);
    }
    multiply_rows<K, n_panels, n_rows - 1>(n, chunk, x, stride, next, n_blocks, weights, sums);
  }
}

/// Sums of the rows from `row` on, of the panels from `panel` on.
inline Sums part_of(const Sums& sums, size_t row, size_t panel) {
  Sums part = sums;
  if (part.from != nullptr) part.from += row * part.from_stride + 16 * panel;
  part.to += row * part.to_stride + 16 * panel;
  return part;
}

/// All activation rows times a chunk.
template <class K>
void multiply_chunk(const Chunk& chunk, size_t n_panels, const Activations& x, size_t first_block,
                    size_t n_blocks, NextChunk& weights, const Sums& sums) {
  const size_t group_pitch = kGroupRows * activation_blocks(x.n_columns);
  size_t n = 0;
  for (size_t row = 0; row < x.n_rows; row += n) {
    const size_t stride = group_rows(x.n_rows, row);
    const size_t left = stride - row % kGroupRows;
    n = left < kTileRows ? left : kTileRows;
    const ActivationBlock* blocks = x.blocks + first_block_of(x.n_columns, row) + first_block * stride;
    const Sums of_rows = part_of(sums, row, 0);
    if (n_panels == kTilePanels) {
      multiply_rows<K, kTilePanels, kTileRows>(n, chunk, blocks, stride, blocks + group_pitch, n_blocks,
                                               weights, of_rows);
    } else {
      multiply_rows<K, 1, kTileRows>(n, chunk, blocks, stride, blocks + group_pitch, n_blocks, weights,
                                     of_rows);
    }
  }
}

template <class K>
void multiply_chunk_wide(const Chunk& chunk, size_t n_panels, const Activations& x, size_t first_block,
                         size_t n_blocks, NextChunk&, const Sums& sums) {
  for (size_t row = 0; row < x.n_rows; ++row) {
    const size_t stride = group_rows(x.n_rows, row);
    const WideActivationBlock* blocks =
        x.wide_blocks + first_block_of(x.n_columns, row) + first_block * stride;
    for (size_t p = 0; p < n_panels; ++p)
      multiply_wide<K>(chunk, p, blocks, stride, n_blocks, part_of(sums, row, p));
  }
}

/// How far ahead of unpacking weights are fetched where rows are too few to do it while they are multiplied.
constexpr size_t kAhead = 8192;

/// Columns k .. k + n - 1 of one panel. Where the format has a grid, the last block may be shorter.
template <class F>
inline void unpack_chunk(const F& format, const uint8_t* panel, size_t k, size_t n, bool is_fetching,
                         uint8_t* codes, float* scales, float* mins) {
  using Block = typename F::Block;
  for (size_t i = 0; i < n; i += Block::kValues) {
    const size_t at = i / Block::kSubBlock * 16;
    const uint8_t* block = panel + (k + i) / Block::kValues * sizeof(Block) * 16;
    if (is_fetching) Fetch{block + kAhead, sizeof(Block) * 16}.go_on();
    if constexpr (requires { format.grid; }) {
      const size_t left = n - i < Block::kValues ? n - i : Block::kValues;
      format.unpack(block, activation_blocks(left), codes + i * 16, scales + at);
    } else {
      unpack_block<F>(block, codes + i * 16, scales + at, mins + at);
    }
  }
}

/// Panel tiles that take turns with one chunk of columns, so that a chunk of many activation rows is read
/// from the second-level cache and not from beyond. Few rows are small anyway, and weights then stream best
/// in one run.
constexpr size_t kTurns = 4;
constexpr size_t kManyRows = 32;
/// So few rows that weights are taken a panel at a time, in one run through memory.
constexpr size_t kFewRows = 2;

/// Columns k .. k + n - 1 of the panels from `panel` on, in as many steps as tiles of n_rows rows have
/// blocks.
template <class F>
inline NextChunk next_chunk(const uint8_t* panel, size_t panel_bytes, size_t k, size_t n, size_t n_rows) {
  using Block = typename F::Block;
  const auto bytes_of = [](size_t columns) { return columns * sizeof(Block) * 16 / Block::kValues; };
  const size_t n_tiles = (n_rows + kGroupRows - 1) / kGroupRows * ((kGroupRows + kTileRows - 1) / kTileRows);
  const size_t step = bytes_of(n) / (n_tiles * activation_blocks(n)) + 1;
  NextChunk next;
  for (size_t p = 0; p < kTilePanels; ++p) next.panels[p] = {panel + p * panel_bytes + bytes_of(k), step};
  return next;
}

template <class F>
void multiply_quantised(const F& format, const void* panels, size_t panel_bytes, size_t n_panels,
                        const Activations& x, float* out, size_t out_stride, void* scratch) {
  using K = KindOf<F>;
  constexpr size_t kWidth = 16 * kTilePanels;
  Chunk& chunk = *static_cast<Chunk*>(scratch);
  float* waiting = reinterpret_cast<float*>(static_cast<char*>(scratch) + sizeof(Chunk));
  const auto multiply_all = x.wide_blocks != nullptr ? multiply_chunk_wide<K> : multiply_chunk<K>;
  const bool is_many = x.n_rows >= kManyRows;
  const size_t at_once = x.n_rows <= kFewRows ? 1 : kTilePanels;
  const size_t step = at_once * (is_many ? kTurns : 1);
  const size_t chunk_columns = is_many ? kChunkColumns : kChunkColumns / 2;
  const bool is_few = x.n_rows <= kFewRows || x.wide_blocks != nullptr;
  for (size_t first = 0; first < n_panels; first += step) {
    const size_t last = n_panels - first < step ? n_panels : first + step;
    for (size_t k = 0; k < x.n_columns; k += chunk_columns) {
      const size_t n = x.n_columns - k < chunk_columns ? x.n_columns - k : chunk_columns;
      for (size_t panel = first; panel < last; panel += at_once) {
        const size_t n_here = last - panel < at_once ? last - panel : at_once;
        for (size_t p = 0; p < n_here; ++p) {
          const uint8_t* bytes = static_cast<const uint8_t*>(panels) + (panel + p) * panel_bytes;
          unpack_chunk(format, bytes, k, n, is_few, chunk.codes[p], chunk.scales[p], chunk.mins[p]);
        }
        // Next come the same columns of the panels whose turn it is, then the next columns, then other
        // panels.
        const bool is_row_end = panel + at_once >= last, is_last = k + n >= x.n_columns;
        const size_t next_panel = !is_row_end ? panel + at_once : is_last ? last : first;
        NextChunk next =
            next_chunk<F>(static_cast<const uint8_t*>(panels) + next_panel * panel_bytes, panel_bytes,
                          !is_row_end ? k
                          : is_last   ? 0
                                      : k + n,
                          n, x.n_rows);
        float* of_panels = waiting + (panel - first) / kTilePanels * x.n_rows * kWidth;
        Sums sums = {k == 0 ? nullptr : of_panels, kWidth, of_panels, kWidth};
        if (k + n == x.n_columns) {
          sums.to = out + panel * kPanelRows;
          sums.to_stride = out_stride;
        }
        multiply_all(chunk, n_here, x, k / kActivationBlock, activation_blocks(n), next, sums);
      }
    }
  }
}

template <class F>
void matmul_quantised(const void* panels, size_t panel_bytes, size_t n_panels, const Activations& x,
                      float* out, size_t out_stride, void* scratch) {
  if constexpr (is_streamed<F>(1)) {
    if (x.wide_blocks == nullptr && is_streamed<F>(x.n_rows))
      return matmul_streamed<F>(static_cast<const uint8_t*>(panels), panel_bytes, n_panels, x, out,
                                out_stride);
  }
  multiply_quantised(F{}, panels, panel_bytes, n_panels, x, out, out_stride, scratch);
}

inline size_t quantised_scratch_bytes(size_t n_rows) {
  return sizeof(Chunk) + kTurns * n_rows * 16 * kTilePanels * sizeof(float);
}

}  // namespace
}  // namespace ruvllm::kernels
