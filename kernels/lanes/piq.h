// PIQ2 and PIQ3 decoded and multiplied, on any grid (formats/piq.h). Panels hold codes as planes; a table
// look-up makes quants of them. Included after a column's simd.h. Tested by tests/kernels/piq_test.cpp and
// matmul_test.cpp.
#pragma once

#include "kernels/formats/piq.h"
#include "kernels/lanes/quantised.h"
#include "kernels/lanes/unpack_plain.h"

namespace ruvllm::kernels {
namespace {

/// Byte-wise a >> n, for n from -2 (to the left) to 7, of bits that stay inside their bytes once masked.
template <int n>
inline Ints shifted(Ints a) {
  if constexpr (n >= 0) return shift_right<n>(a);
  return shift_left<(n < 0 ? -n : 0)>(a);
}

/// `most`: no level of the grid is larger.
template <class Block_, int most>
struct LanesPiq : PlainFormat<Block_, most> {
  using Block = Block_;
  Grid grid;

  void unpack(const uint8_t* block, size_t n_units, uint8_t* codes, float* scales) const {
    alignas(16) int8_t levels[16] = {};
    memcpy(levels, grid.levels, sizeof(grid.levels));
    const Ints table = codes_from_signed(load_table(levels));
    const Floats scale = multiply(halves_of(block, 0), broadcast(grid.unit));
    for (size_t u = 0; u < n_units; ++u) {
      put(scales, u, scale);
      unpack_words<0>(block, u, table, codes + u * 512);
      unpack_words<1>(block, u, table, codes + u * 512);
    }
  }

 private:
  /// Four groups of four columns of unit u: those whose low bits are in word w.
  template <int w>
  static void unpack_words(const uint8_t* block, size_t u, Ints table, uint8_t* codes) {
    const Ints low = words_of(block, 2, u * Block::kBits + w);
    if constexpr (Block::kBits == 2) {
      put(codes, 4 * w, look_up(table, mask_bytes(low, 3)));
      put(codes, 4 * w + 1, look_up(table, mask_bytes(shift_right<2>(low), 3)));
      put(codes, 4 * w + 2, look_up(table, mask_bytes(shift_right<4>(low), 3)));
      put(codes, 4 * w + 3, look_up(table, mask_bytes(shift_right<6>(low), 3)));
    } else {
      const Ints high = words_of(block, 2, u * Block::kBits + 2);
      put(codes, 4 * w, three_bits<4 * w, 0>(table, low, high));
      put(codes, 4 * w + 1, three_bits<4 * w + 1, 2>(table, low, high));
      put(codes, 4 * w + 2, three_bits<4 * w + 2, 4>(table, low, high));
      put(codes, 4 * w + 3, three_bits<4 * w + 3, 6>(table, low, high));
    }
  }
  template <int group, int shift>
  static Ints three_bits(Ints table, Ints low, Ints high) {
    return look_up(table,
                   either(mask_bytes(shift_right<shift>(low), 3), mask_bytes(shifted<group - 2>(high), 4)));
  }
};

/// The uniform grid's quants are small, which some columns multiply faster.
inline bool is_small(const Grid& grid) {
  for (const int8_t level : grid.levels)
    if (level < -4 || level > 4) return false;
  return true;
}

template <class Block>
void matmul_on_grid(const void* panels, size_t panel_bytes, size_t n_panels, const Activations& x, float* out,
                    size_t out_stride, void* scratch, const Grid& grid) {
  if (is_small(grid))
    multiply_quantised(LanesPiq<Block, 4>{{}, grid}, panels, panel_bytes, n_panels, x, out, out_stride,
                       scratch);
  else
    multiply_quantised(LanesPiq<Block, 128>{{}, grid}, panels, panel_bytes, n_panels, x, out, out_stride,
                       scratch);
}

template <class Block, Format format>
void matmul_uniform(const void* panels, size_t panel_bytes, size_t n_panels, const Activations& x, float* out,
                    size_t out_stride, void* scratch) {
  matmul_on_grid<Block>(panels, panel_bytes, n_panels, x, out, out_stride, scratch, uniform_grid(format));
}

/// Sixteen codes from two runs of eight, one in the low bits of each word.
template <int bits>
inline Ints sixteen_codes(const uint8_t* codes, size_t first, size_t n_bytes) {
  alignas(64) static constexpr int32_t kFirstEight[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
  alignas(64) static constexpr int32_t kShifts[16] = {
      0, bits, 2 * bits, 3 * bits, 4 * bits, 5 * bits, 6 * bits, 7 * bits,
      0, bits, 2 * bits, 3 * bits, 4 * bits, 5 * bits, 6 * bits, 7 * bits};
  const size_t g = first / 8;
  const Ints mask = load_ints(kFirstEight);
  const Ints eight = splat_word(static_cast<int32_t>(load_eight_codes<bits>(codes, g, n_bytes)));
  const Ints next = splat_word(static_cast<int32_t>(load_eight_codes<bits>(codes, g + 1, n_bytes)));
  const Ints words = either(both(eight, mask), both(next, differ(mask, splat_word(-1))));
  return both(shift_right_each(words, load_ints(kShifts)), splat_word((1 << bits) - 1));
}

template <class Block>
void decode_on_grid(const void* blocks, float* values, size_t n_values, const Grid& grid) {
  constexpr int bits = Block::kBits;
  alignas(16) int8_t levels[16] = {};
  memcpy(levels, grid.levels, sizeof(grid.levels));
  const Ints table = load_table(levels);
  const uint8_t* block = static_cast<const uint8_t*>(blocks);
  for (size_t first = 0; first < n_values; first += Block::kValues, block += sizeof(Block)) {
    const size_t n = n_values - first < Block::kValues ? n_values - first : Block::kValues;
    const size_t n_bytes = code_bytes<bits>(n);
    uint16_t alpha;
    memcpy(&alpha, block, sizeof alpha);
    const float scale = f16_to_f32(alpha) * grid.unit;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
      const Ints quants = signed_byte<0>(look_up(table, sixteen_codes<bits>(block + 2, i, n_bytes)));
      store(values + first + i, multiply(broadcast(scale), to_floats(quants)));
    }
    if (i == n) continue;
    uint8_t codes[Block::kValues];
    unpack_codes<bits>(block + 2, n, codes);
    for (; i < n; ++i) values[first + i] = scale * static_cast<float>(levels[codes[i]]);
  }
}

template <class Block, Format format>
void decode_uniform(const void* blocks, float* values, size_t n_values) {
  decode_on_grid<Block>(blocks, values, n_values, uniform_grid(format));
}

/// What overlay_matmul knows a format with a grid by.
template <class Block_, Format format>
struct GridFormat {
  using Block = Block_;
  static constexpr Format kFormat = format;
};
using LanesPIQ2 = GridFormat<BlockPIQ2, Format::PIQ2>;
using LanesPIQ3 = GridFormat<BlockPIQ3, Format::PIQ3>;
using LanesPIQ2_64 = GridFormat<BlockPIQ2_64, Format::PIQ2_64>;
using LanesPIQ3_64 = GridFormat<BlockPIQ3_64, Format::PIQ3_64>;
using LanesPIQ2_32 = GridFormat<BlockPIQ2_32, Format::PIQ2_32>;
using LanesPIQ3_32 = GridFormat<BlockPIQ3_32, Format::PIQ3_32>;

template <class F>
void overlay_grid_format(KernelSet& set) {
  const uint32_t id = static_cast<uint32_t>(F::kFormat);
  set.on_grid[id].decode = decode_on_grid<typename F::Block>;
  set.on_grid[id].matmul = matmul_on_grid<typename F::Block>;
  set.formats[id].decode = decode_uniform<typename F::Block, F::kFormat>;
  set.formats[id].matmul = matmul_uniform<typename F::Block, F::kFormat>;
}

}  // namespace
}  // namespace ruvllm::kernels
