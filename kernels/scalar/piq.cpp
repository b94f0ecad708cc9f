// PIQ2 and PIQ3 (formats/piq.h): what their blocks mean, one code after the other, and their products.
#include "kernels/formats/piq.h"

#include "kernels/overlays.h"
#include "kernels/scalar/activations.h"
#include "kernels/scalar/definition.h"

#include <math.h>

namespace ruvllm::kernels {
namespace {

/// A block of n values: quants, and the one scale of all.
template <class Block>
float unpack_block(const uint8_t* block, size_t n, const Grid& grid, int8_t* quants) {
  uint16_t alpha;
  memcpy(&alpha, block, sizeof alpha);
  uint8_t codes[Block::kValues];
  unpack_codes<Block::kBits>(block + sizeof alpha, n, codes);
  for (size_t i = 0; i < n; ++i) quants[i] = grid.levels[codes[i]];
  return f16_to_f32(alpha) * grid.unit;
}

template <class Block>
size_t values_of_block(size_t n_values, size_t first) {
  return n_values - first < Block::kValues ? n_values - first : Block::kValues;
}

template <class Block, Format format>
void unpack_row(const void* blocks, size_t n_values, int8_t* quants, float* scales, float*) {
  const Grid grid = uniform_grid(format);
  const uint8_t* block = static_cast<const uint8_t*>(blocks);
  for (size_t first = 0; first < n_values; first += Block::kValues, block += sizeof(Block)) {
    const size_t n = values_of_block<Block>(n_values, first);
    const float scale = unpack_block<Block>(block, n, grid, quants + first);
    for (size_t s = 0; s < n; s += Block::kSubBlock) scales[(first + s) / Block::kSubBlock] = scale;
  }
}

template <class Block>
void decode_on_grid(const void* blocks, float* values, size_t n_values, const Grid& grid) {
  const uint8_t* block = static_cast<const uint8_t*>(blocks);
  for (size_t first = 0; first < n_values; first += Block::kValues, block += sizeof(Block)) {
    const size_t n = values_of_block<Block>(n_values, first);
    int8_t quants[Block::kValues];
    const float scale = unpack_block<Block>(block, n, grid, quants);
    for (size_t i = 0; i < n; ++i) values[first + i] = scale * static_cast<float>(quants[i]);
  }
}

template <class Block, Format format>
void decode_uniform(const void* blocks, float* values, size_t n_values) {
  decode_on_grid<Block>(blocks, values, n_values, uniform_grid(format));
}

/// Rows into a panel, codes as planes.
template <class Block>
void interleave(const void* rows, size_t row_bytes, size_t n_rows, size_t n_columns, void* panel) {
  for (size_t lane = 0; lane < kPanelRows; ++lane) {
    const uint8_t* block = static_cast<const uint8_t*>(rows) + lane * row_bytes;
    uint8_t* to = static_cast<uint8_t*>(panel);
    for (size_t first = 0; first < n_columns; first += Block::kValues) {
      const size_t n = values_of_block<Block>(n_columns, first), n_units = activation_blocks(n);
      uint8_t codes[Block::kValues] = {};
      uint16_t alpha = 0;
      if (lane < n_rows) {
        memcpy(&alpha, block, sizeof alpha);
        unpack_codes<Block::kBits>(block + sizeof alpha, n, codes);
      }
      memcpy(to + 2 * lane, &alpha, sizeof alpha);
      for (size_t u = 0; u < n_units; ++u) {
        uint32_t words[Block::kBits];
        codes_to_planes<Block::kBits>(codes + 32 * u, words);
        for (size_t w = 0; w < Block::kBits; ++w)
          memcpy(to + 2 * kPanelRows + ((u * Block::kBits + w) * kPanelRows + lane) * 4, &words[w], 4);
      }
      block += sizeof(Block);
      to += kPanelRows * sizeof(Block);
    }
  }
}

/// Adds 32 values of one weight row to the results of all activation rows.
void add_products(const int8_t* quants, float scale, const Activations& x, size_t activation, float* out,
                  size_t out_stride) {
  for (size_t row = 0; row < x.n_rows; ++row) {
    const Quants block = activation_block(x, row, activation);
    int32_t dot = 0;
    for (size_t j = 0; j < kActivationBlock; ++j) dot += quants[j] * block.quants[j];
    out[row * out_stride] = fmaf(scale * block.scale, static_cast<float>(dot), out[row * out_stride]);
  }
}

/// The product of kernels.h, one weight row after the other.
template <class Block>
void matmul_on_grid(const void* panels, size_t panel_bytes, size_t n_panels, const Activations& x, float* out,
                    size_t out_stride, void*, const Grid& grid) {
  for (size_t i = 0; i < n_panels * kPanelRows; ++i) {
    const uint8_t* block = static_cast<const uint8_t*>(panels) + i / kPanelRows * panel_bytes;
    const size_t lane = i % kPanelRows;
    for (size_t row = 0; row < x.n_rows; ++row) out[row * out_stride + i] = 0.0f;
    for (size_t first = 0; first < x.n_columns;
         first += Block::kValues, block += kPanelRows * sizeof(Block)) {
      const size_t n_units = activation_blocks(values_of_block<Block>(x.n_columns, first));
      uint8_t codes[Block::kValues];
      codes_from_panel<Block::kBits>(block, lane, n_units, codes);
      int8_t quants[Block::kValues];
      for (size_t j = 0; j < 32 * n_units; ++j) quants[j] = grid.levels[codes[j]];
      uint16_t alpha;
      memcpy(&alpha, block + 2 * lane, sizeof alpha);
      const float scale = f16_to_f32(alpha) * grid.unit;
      for (size_t u = 0; u < n_units; ++u)
        add_products(quants + 32 * u, scale, x, first / kActivationBlock + u, out + i, out_stride);
    }
  }
}

template <class Block, Format format>
void matmul_uniform(const void* panels, size_t panel_bytes, size_t n_panels, const Activations& x, float* out,
                    size_t out_stride, void* scratch) {
  matmul_on_grid<Block>(panels, panel_bytes, n_panels, x, out, out_stride, scratch, uniform_grid(format));
}

template <class Block, Format format>
constexpr Definition define_grid_format() {
  return {{unpack_row<Block, format>, Block::kSubBlock, Block::kHasMin},
          decode_uniform<Block, format>,
          scalar::list_fields<Block>()};
}

template <class Block, Format format>
void overlay(KernelSet& set) {
  const uint32_t id = static_cast<uint32_t>(format);
  set.formats[id] = {decode_uniform<Block, format>, interleave<Block>, matmul_uniform<Block, format>};
  set.on_grid[id].decode = decode_on_grid<Block>;
  set.on_grid[id].matmul = matmul_on_grid<Block>;
}

}  // namespace

const Definition kPIQ2Definition = define_grid_format<BlockPIQ2, Format::PIQ2>();
const Definition kPIQ3Definition = define_grid_format<BlockPIQ3, Format::PIQ3>();
const Definition kPIQ2_64Definition = define_grid_format<BlockPIQ2_64, Format::PIQ2_64>();
const Definition kPIQ3_64Definition = define_grid_format<BlockPIQ3_64, Format::PIQ3_64>();
const Definition kPIQ2_32Definition = define_grid_format<BlockPIQ2_32, Format::PIQ2_32>();
const Definition kPIQ3_32Definition = define_grid_format<BlockPIQ3_32, Format::PIQ3_32>();

void overlay_scalar_piq(KernelSet& set) {
  overlay<BlockPIQ2, Format::PIQ2>(set);
  overlay<BlockPIQ3, Format::PIQ3>(set);
  overlay<BlockPIQ2_64, Format::PIQ2_64>(set);
  overlay<BlockPIQ3_64, Format::PIQ3_64>(set);
  overlay<BlockPIQ2_32, Format::PIQ2_32>(set);
  overlay<BlockPIQ3_32, Format::PIQ3_32>(set);
}

}  // namespace ruvllm::kernels
