// Products where weights are unpacked: codes are multiplied in registers with a slice of activation rows, one
// panel after the other in one run through memory.
//
// The same operations as in quantised.h, so the same bits: integers are exact, whatever their order and
// whether a code stands for its quant, for quant + 128 or for quant + F::kZero; float sums take one step a
// sub-block, in order of k. What decides is that nothing is stored but scales: for one row, weights are
// consumed faster than memory delivers them; for many, unpacking again for each slice mostly costs less than
// reading codes from memory (kStreamRows says where it does). Tested by tests/kernels/matmul_test.cpp.
#pragma once

#include "kernels/lanes/kind.h"
#include "kernels/lanes/unpack_plain.h"

namespace ruvllm::kernels {
namespace {

static_assert(kSliceRows >= kGroupRows && kSliceRows < 2 * kGroupRows);

/// The activation blocks of a slice of n_rows rows: a group, or the last one, or one and the rest of all
/// rows, at most kSliceRows.
template <size_t n_rows>
struct RowBlocks {
  static constexpr size_t kNear = n_rows < kGroupRows ? n_rows : kGroupRows;
  static constexpr size_t kFar = n_rows - kNear;
  const ActivationBlock* near;  // of the first group, block by block
  const ActivationBlock* far;

  RowBlocks(const Activations& x, size_t row)
      : near(x.blocks + first_block_of(x.n_columns, row)), far(nullptr) {
    if constexpr (kFar > 0) far = x.blocks + first_block_of(x.n_columns, row + kGroupRows);
  }
  const ActivationBlock& at(size_t block, size_t row) const {
    return row < kNear ? near[block * kNear + row] : far[block * kFar + row - kNear];
  }
};

/// Whether weights come from memory and are read from one end to the other, for one or two rows: only what
/// loads ask for in that order do processors fetch ahead. A compiler left to itself mixes loads, which halves
/// what memory delivers, and fetching by instructions has no more lines under way than the first-level cache
/// has buffers.
template <size_t n_rows>
constexpr bool kIsInOrder = n_rows <= 2;

/// The products of a part of a block: what StoredCodes is to tiles.
template <class F, size_t n_rows>
struct PartProducts {
  using K = KindOf<F>;
  static constexpr size_t kColumns = kIsInOrder<n_rows> ? F::kWidePart : F::kNarrowPart;
  static constexpr size_t kSums = kColumns / K::kSubBlock;
  /// Where codes are unsigned, bytes are multiplied as they are, and sums start at -kZero times the
  /// activations'.
  static constexpr int kBiasShift = __builtin_ctz(128 / F::kZero);

  const RowBlocks<n_rows>& x;
  size_t first_block;
  /// For one row, bits stay where they are in their bytes, and sums become that much smaller: fewer shifts.
  static constexpr bool kLeavesInPlace = kUnsignedCodes && n_rows == 1 && requires {
    F::place_of(size_t{0});
  };
  typename K::Product product[kSums][n_rows];

  inline __attribute__((always_inline)) PartProducts(const RowBlocks<n_rows>& blocks, size_t first)
      : x(blocks), first_block(first) {
#pragma GCC unroll 16
    for (size_t s = 0; s < kSums; ++s) {
#pragma GCC unroll 8
      for (size_t r = 0; r < n_rows; ++r)
        product[s][r].begin(bias_of<K>(x.at(first + s / K::kHalves, r), s % K::kHalves) >> kBiasShift);
    }
  }
  static Ints words(const uint8_t* panel, size_t offset, size_t unit = 0) {
    Ints loaded = words_of(panel, offset, unit);
    if constexpr (kIsInOrder<n_rows>) hide(loaded);
    return loaded;
  }
  template <int first>
  static Ints bits(Ints bytes, int mask) {
    if constexpr (kLeavesInPlace) return mask_bytes(bytes, mask << first);
    return bits_of<first>(bytes, mask);
  }
  static Ints centred(Ints bytes) { return kUnsignedCodes ? bytes : codes_from(bytes, F::kZero); }
  inline __attribute__((always_inline)) void put(size_t group, Ints codes) {
#pragma GCC unroll 8
    for (size_t r = 0; r < n_rows; ++r)
      product[group / K::kGroups][r].add(
          codes, four_activations(x.at(first_block + group / 8, r).quants + group % 8 * 4));
  }
  inline __attribute__((always_inline)) Ints total(size_t s, size_t r) {
    if constexpr (kLeavesInPlace) return product[s][r].total_of_multiples(F::place_of(s));
    return product[s][r].total();
  }
  /// The part's steps of the float sums.
  template <class Scales>
  inline __attribute__((always_inline)) void add_to(Floats (&sum)[n_rows], const Scales& scales,
                                                    size_t first_scale) {
#pragma GCC unroll 16
    for (size_t s = 0; s < kSums; ++s) {
      const Floats scale = scales.scale(first_scale + s);
      Floats min = scale;
      if constexpr (K::kHasMin) min = scales.min(first_scale + s);
#pragma GCC unroll 8
      for (size_t r = 0; r < n_rows; ++r) {
        const ActivationBlock& block = x.at(first_block + s / K::kHalves, r);
        sum[r] = fma(multiply(scale, broadcast(block.scale)), to_floats(total(s, r)), sum[r]);
        if constexpr (K::kHasMin)
          sum[r] = fma(min, broadcast(scaled_sum_of<K>(block, s % K::kHalves)), sum[r]);
      }
    }
  }
};

/// One panel times the n_rows rows from `row` on. Slice `slice` of n_slices fetches that share of what comes
/// next.
template <class F, size_t n_rows>
void stream_slice(const uint8_t* block, size_t panel_bytes, const Activations& x, size_t row, size_t slice,
                  size_t n_slices, float* out, size_t out_stride) {
  using Block = typename F::Block;
  using Products = PartProducts<F, n_rows>;
  constexpr size_t kParts = Block::kValues / Products::kColumns;
  constexpr size_t kNear = 4096, kFar = 12288;
  // Where there are more slices, the panel is near already, and the next one is fetched in equal shares.
  Fetch share = {block + panel_bytes + slice * panel_bytes / n_slices,
                 panel_bytes / (n_slices * (x.n_columns / Products::kColumns)) + 1};
  const RowBlocks<n_rows> blocks(x, row);
  Floats sum[n_rows];
  for (Floats& s : sum) s = broadcast(0.0f);
  for (size_t k = 0; k < x.n_columns; k += Block::kValues, block += sizeof(Block) * 16) {
    const auto scales = scales_of<F>(block);
    for (size_t part = 0; part < kParts; ++part) {
      if (n_slices > 1)
        share.go_on();
      else if (!kIsInOrder<n_rows>)
        fetch_ahead<Block>(block, kNear, kFar, part, kParts);
      Products products(blocks, (k + part * Products::kColumns) / kActivationBlock);
      F::quants(block, part, products);
      products.add_to(sum, scales, part * Products::kSums);
    }
  }
  for (size_t r = 0; r < n_rows; ++r) store(out + (row + r) * out_stride, sum[r]);
}

/// The slice of exactly n rows, n <= n_rows.
template <class F, size_t n_rows>
inline void stream_rows(size_t n, const uint8_t* panel, size_t panel_bytes, const Activations& x, size_t row,
                        size_t slice, size_t n_slices, float* out, size_t out_stride) {
  if constexpr (n_rows > 0) {
    if (n == n_rows)
      return stream_slice<F, n_rows>(panel, panel_bytes, x, row, slice, n_slices, out, out_stride);
    stream_rows<F, n_rows - 1>(n, panel, panel_bytes, x, row, slice, n_slices, out, out_stride);
  }
}

/// Most rows for which a stream is faster than tiles. None where a format has no stream.
template <class F>
constexpr size_t most_streamed() {
  if constexpr (requires { F::kZero; }) {
    const size_t most = F::Block::kSubBlock == 32 ? kStreamRows : kStreamRowsBy16;
    if constexpr (requires { F::kIsCostly; }) return most < kSliceRows ? most : kSliceRows;
    return most;
  }
  return 0;
}
template <class F>
constexpr bool is_streamed(size_t n_rows) {
  return n_rows <= most_streamed<F>();
}

template <class F>
void matmul_streamed(const uint8_t* panels, size_t panel_bytes, size_t n_panels, const Activations& x,
                     float* out, size_t out_stride) {
  constexpr size_t kLargest = most_streamed<F>() < kSliceRows ? most_streamed<F>() : kSliceRows;
  const size_t n_slices =
      x.n_rows <= kSliceRows ? 1 : 1 + (x.n_rows - kSliceRows + kGroupRows - 1) / kGroupRows;
  for (size_t panel = 0; panel < n_panels; ++panel) {
    for (size_t slice = 0; slice < n_slices; ++slice) {
      const size_t row = slice * kGroupRows, n = slice + 1 < n_slices ? kGroupRows : x.n_rows - row;
      stream_rows<F, kLargest>(n, panels + panel * panel_bytes, panel_bytes, x, row, slice, n_slices,
                               out + panel * kPanelRows, out_stride);
    }
  }
}

}  // namespace
}  // namespace ruvllm::kernels
