#include "tensor/matmul.h"

#include "base/error.h"
#include "kernels/interleave.h"
#include "kernels/piq.h"
#include "kernels/unpack.h"

#include <algorithm>

namespace ruvllm::tensor {
namespace {

using kernels::kActivationBlock;
using kernels::kPanelRows;

// Bytes of weights that one thread packs at a time: small enough that what was read is given back soon.
constexpr uint64_t kPackBytes = uint64_t{1} << 20;
// Most activation rows of a tile, whole groups: they stay in the second-level cache while panels stream past.
constexpr uint64_t kTileRows = 22 * kernels::kGroupRows;
// Multiply-adds of a tile, about: long against the cost of handing it out, short against a time slice.
constexpr uint64_t kTileWork = uint64_t{40} << 20;
// Panels of a tile at least: kernels take two at a time, of float weights four, and more let them reuse
// activations.
constexpr uint64_t kLeastPanels = 4;
// Blocks of activations that one thread quantises at a time.
constexpr size_t kQuantiseBlocks = 512;
// Values of activations that one thread puts in groups at a time.
constexpr size_t kGroupValues = 16384;
// Bytes of weights of a tile when rows are few: what is left, cut in so many tiles a thread, within bounds.
// Memory delivers most in long runs; towards the end they get shorter, so that all threads finish together.
constexpr uint64_t kTilesLeft = 2;
constexpr uint64_t kMostTileBytes = uint64_t{1} << 20, kLeastTileBytes = uint64_t{64} << 10;

uint64_t divide_up(uint64_t n, uint64_t step) { return (n + step - 1) / step; }

/// Rows of a tile, as even as whole groups allow: a tile of a few rows would unpack its weights for next to
/// nothing.
uint64_t rows_per_tile(uint64_t n_rows) {
  const uint64_t n_tiles = divide_up(n_rows, kTileRows);
  return divide_up(divide_up(n_rows, n_tiles), kernels::kGroupRows) * kernels::kGroupRows;
}

/// Panels of a tile of n_rows rows that should read tile_bytes of weights.
uint64_t panels_per_tile(const PackedMatrix& weight, uint64_t panel_bytes, uint64_t n_rows,
                         uint64_t tile_bytes) {
  const uint64_t by_work = kTileWork / (n_rows * weight.n_columns() * kPanelRows + 1);
  const uint64_t by_bytes = tile_bytes / panel_bytes + 1;
  const uint64_t at_once = traits(weight.format()).is_quantised ? 2 : 4;
  return std::max(kLeastPanels, std::min(by_work, by_bytes)) / at_once * at_once;
}

}  // namespace

PackedMatrix::PackedMatrix(ThreadPool& pool, const MatrixView& matrix,
                           const std::function<void(std::span<const std::byte>)>& give_back)
    : format_(matrix.format),
      n_rows_(matrix.n_rows),
      n_columns_(matrix.n_columns),
      grid_(matrix.grid),
      rotation_(matrix.rotation),
      scale_(matrix.scale) {
  RUVLLM_ASSERT(!rotation_ || rotation_->n_columns() == n_columns_);
  const uint64_t bytes_of_row = row_bytes(format_, n_columns_);
  RUVLLM_ASSERT(matrix.bytes.size() == checked_mul<uint64_t>(n_rows_, bytes_of_row, "matrix size"));
  panel_bytes_ = checked_mul<uint64_t>(
      row_bytes(format_, kernels::panel_columns(traits(format_), n_columns_)), kPanelRows, "panel size");
  const uint64_t n_panels = divide_up(n_rows_, kPanelRows);
  buffer_ = WeightBuffer(checked_mul<uint64_t>(n_panels, panel_bytes_, "matrix size"));
  const auto interleave = kernels::active()[format_].interleave;
  const uint64_t panels_per_tile = kPackBytes / panel_bytes_ + 1;
  pool.for_each_tile(divide_up(n_panels, panels_per_tile), [&](size_t tile, int) {
    const uint64_t first = tile * panels_per_tile;
    const uint64_t last = std::min(n_panels, first + panels_per_tile);
    for (uint64_t panel = first; panel < last; ++panel) {
      const uint64_t row = panel * kPanelRows;
      interleave(&matrix.bytes[row * bytes_of_row], bytes_of_row,
                 std::min<uint64_t>(kPanelRows, n_rows_ - row), n_columns_,
                 &buffer_.bytes()[panel * panel_bytes_]);
    }
    const uint64_t begin = first * kPanelRows * bytes_of_row;
    const uint64_t end = std::min<uint64_t>(matrix.bytes.size(), last * kPanelRows * bytes_of_row);
    if (give_back) give_back(matrix.bytes.subspan(begin, end - begin));
  });
}

void PackedMatrix::decode_row(uint64_t row, std::span<float> out) const {
  RUVLLM_ASSERT(row < n_rows_ && out.size() == n_columns_);
  decode_unscaled(row, out);
  if (scale_ != 1.0f)
    for (float& value : out) value *= scale_;
}

void PackedMatrix::decode_unscaled(uint64_t row, std::span<float> out) const {
  const kernels::Traits& shape = traits(format_);
  if (shape.has_grid) {
    decode_grid_row(row, out);
    if (rotation_) rotation_->undo(out);
    return;
  }
  if (shape.is_paired) return decode_pairs(row, out);
  const uint64_t n_blocks = n_columns_ / shape.block_values;
  // A block at a time, so that no row of any length needs memory.
  alignas(8) std::byte block[512];
  RUVLLM_ASSERT(shape.block_bytes <= sizeof block);
  const std::byte* panel = &buffer_.bytes()[row / kPanelRows * panel_bytes_];
  const auto decode = kernels::active()[format_].decode;
  for (uint64_t b = 0; b < n_blocks; ++b) {
    kernels::extract_row(kernels::fields_of(format_), shape.block_bytes,
                         panel + b * shape.block_bytes * kPanelRows, row % kPanelRows, 1, block);
    decode(block, &out[b * shape.block_values], shape.block_values);
  }
}

void PackedMatrix::decode_pairs(uint64_t row, std::span<float> out) const {
  const std::byte* panel = &buffer_.bytes()[row / kPanelRows * panel_bytes_];
  const auto decode = kernels::active()[format_].decode;
  for (uint64_t k = 0; k < n_columns_; ++k)
    decode(panel + kernels::paired_offset(row % kPanelRows, k), &out[k], 1);
}

void PackedMatrix::decode_grid_row(uint64_t row, std::span<float> out) const {
  const kernels::Traits& shape = traits(format_);
  alignas(8) std::byte block[512];
  RUVLLM_ASSERT(shape.block_bytes <= sizeof block);
  const std::byte* panel = &buffer_.bytes()[row / kPanelRows * panel_bytes_];
  const auto decode = kernels::active().on_grid[static_cast<uint32_t>(format_)].decode;
  for (uint64_t first = 0; first < n_columns_; first += shape.block_values) {
    const uint64_t n = std::min<uint64_t>(shape.block_values, n_columns_ - first);
    kernels::extract_piq_row(format_, panel + first / shape.block_values * shape.block_bytes * kPanelRows,
                             row % kPanelRows, n, block);
    decode(block, &out[first], n, grid_);
  }
}

void Multiplier::quantise(std::span<const float> x, kernels::Activations& activations) {
  const bool is_wide = precision_ == ActivationPrecision::exact;
  const size_t n_columns = activations.n_columns, n_rows = activations.n_rows;
  const size_t block_bytes =
      is_wide ? sizeof(kernels::WideActivationBlock) : sizeof(kernels::ActivationBlock);
  const size_t n_blocks = kernels::activation_blocks(n_columns);
  const size_t needed = n_rows * n_blocks * block_bytes;
  if (blocks_.bytes().size() < needed) blocks_ = WeightBuffer(needed);
  auto* blocks = reinterpret_cast<kernels::ActivationBlock*>(blocks_.bytes().data());
  auto* wide_blocks = reinterpret_cast<kernels::WideActivationBlock*>(blocks_.bytes().data());
  const size_t rows_per_tile = divide_up(kQuantiseBlocks, n_blocks);
  pool_.for_each_tile(divide_up(n_rows, rows_per_tile), [&](size_t tile, int) {
    const size_t end = std::min(n_rows, (tile + 1) * rows_per_tile);
    for (size_t row = tile * rows_per_tile; row < end; ++row) {
      const size_t first = kernels::first_block_of(n_columns, row), stride = kernels::group_rows(n_rows, row);
      const float* from = &x[row * n_columns];
      if (is_wide)
        kernels::active().quantise_wide(from, n_columns, wide_blocks + first, stride);
      else
        kernels::active().quantise(from, n_columns, blocks + first, stride);
    }
  });
  if (is_wide)
    activations.wide_blocks = wide_blocks;
  else
    activations.blocks = blocks;
}

void Multiplier::group(std::span<const float> x, bool as_values, bool as_pairs,
                       kernels::Activations& activations) {
  const size_t n_columns = activations.n_columns, n_rows = activations.n_rows;
  const size_t n_pairs = kernels::activation_pairs(n_columns);
  if (as_values && n_rows == 1) {  // a group of its own as it is
    activations.values = x.data();
    as_values = false;
  }
  const size_t n_values = as_values ? n_rows * n_columns : 0;
  const size_t needed = (n_values + (as_pairs ? n_rows * n_pairs : 0)) * sizeof(float);
  if (groups_.bytes().size() < needed) groups_ = WeightBuffer(needed);
  auto* values = reinterpret_cast<float*>(groups_.bytes().data());
  auto* pairs = reinterpret_cast<uint32_t*>(values + n_values);
  if (as_values) activations.values = values;
  if (as_pairs) activations.pairs = pairs;
  if (needed == 0) return;
  const size_t rows_per_tile = divide_up(kGroupValues, n_columns * kernels::kGroupRows) * kernels::kGroupRows;
  pool_.for_each_tile(divide_up(n_rows, rows_per_tile), [&](size_t tile, int) {
    const size_t end = std::min(n_rows, (tile + 1) * rows_per_tile);
    for (size_t row = tile * rows_per_tile; row < end; row += kernels::kGroupRows) {
      const size_t n = kernels::group_rows(n_rows, row);
      const float* from = &x[row * n_columns];
      if (as_values) kernels::active().group_values(from, n, n_columns, values + row * n_columns);
      if (as_pairs) kernels::active().group_pairs(from, n, n_columns, pairs + row * n_pairs);
    }
  });
}

void Multiplier::multiply_tile(const kernels::Activations& x, const Product& product, const Tile& tile,
                               int worker) {
  const PackedMatrix& weight = *product.weight;
  const auto matmul = [&](const std::byte* panels, uint64_t n_panels, const kernels::Activations& rows,
                          float* out, uint64_t stride, void* scratch) {
    const kernels::KernelSet& set = kernels::active();
    if (traits(weight.format()).has_grid)
      set.on_grid[static_cast<uint32_t>(weight.format())].matmul(panels, weight.panel_bytes_, n_panels, rows,
                                                                 out, stride, scratch, weight.grid_);
    else
      set[weight.format()].matmul(panels, weight.panel_bytes_, n_panels, rows, out, stride, scratch);
  };
  const uint64_t n_columns = x.n_columns;
  kernels::Activations rows = x;
  rows.n_rows = tile.n_rows;
  if (rows.values != nullptr) rows.values += tile.first_row * n_columns;
  if (rows.pairs != nullptr) rows.pairs += tile.first_row * kernels::activation_pairs(n_columns);
  const uint64_t first_block = tile.first_row * kernels::activation_blocks(n_columns);
  if (rows.blocks != nullptr) rows.blocks += first_block;
  if (rows.wide_blocks != nullptr) rows.wide_blocks += first_block;

  std::byte* scratch = scratch_[static_cast<size_t>(worker)].bytes().data();
  const std::byte* panels = &weight.buffer_.bytes()[tile.first_panel * weight.panel_bytes_];
  const uint64_t n_whole = std::min(tile.n_panels, weight.n_rows() / kPanelRows - tile.first_panel);
  const uint64_t first_column = tile.first_panel * kPanelRows;
  float* out = &product.out[tile.first_row * product.out_stride + first_column];
  if (n_whole > 0) matmul(panels, n_whole, rows, out, product.out_stride, scratch + tail_bytes_);
  uint64_t n_tile_columns = n_whole * kPanelRows;
  if (n_whole < tile.n_panels) {  // the last panel has fewer rows than lanes
    float* tail = reinterpret_cast<float*>(scratch);
    matmul(panels + n_whole * weight.panel_bytes_, 1, rows, tail, kPanelRows, scratch + tail_bytes_);
    const uint64_t n_left = weight.n_rows() % kPanelRows;
    for (uint64_t row = 0; row < tile.n_rows; ++row)
      std::copy_n(tail + row * kPanelRows, n_left, out + row * product.out_stride + n_tile_columns);
    n_tile_columns += n_left;
  }
  if (weight.scale_ != 1.0f)
    for (uint64_t row = 0; row < tile.n_rows; ++row)
      for (uint64_t i = 0; i < n_tile_columns; ++i) out[row * product.out_stride + i] *= weight.scale_;
  if (product.bias.empty()) return;
  for (uint64_t row = 0; row < tile.n_rows; ++row)
    kernels::active().add(out + row * product.out_stride, &product.bias[first_column], n_tile_columns);
}

void Multiplier::reserve_scratch(uint64_t n_columns, uint64_t n_rows) {
  tail_bytes_ = n_rows * kPanelRows * sizeof(float);
  const size_t needed = tail_bytes_ + kernels::active().matmul_scratch_bytes(n_columns, n_rows);
  scratch_.resize(static_cast<size_t>(pool_.n_threads()));
  for (WeightBuffer& buffer : scratch_)
    if (buffer.bytes().size() < needed) buffer = WeightBuffer(needed);
}

void Multiplier::rotate(const Rotation& rotation, std::span<const float> x, uint64_t n_rows) {
  rotated_.assign(x.begin(), x.end());
  pool_.for_each_tile(n_rows, [&](size_t row, int) {
    rotation.apply(std::span(rotated_).subspan(row * rotation.n_columns(), rotation.n_columns()));
  });
}

void Multiplier::multiply(std::span<const float> x, uint64_t n_rows, std::span<const Product> products) {
  if (observer_ && n_rows > 0)
    for (const Product& product : products) observer_(*product.weight, x, n_rows);
  const auto is_unrotated = [](const Product& product) { return !product.weight->rotation_; };
  if (std::ranges::all_of(products, is_unrotated)) return multiply_unrotated(x, n_rows, products);
  // Rotations of one width and seed are one object: at most two turns, of those with it and those without.
  for (size_t first = 0; first < products.size(); ++first) {
    const Rotation* rotation = products[first].weight->rotation_.get();
    const auto is_same = [&](const Product& other) { return other.weight->rotation_.get() == rotation; };
    if (std::ranges::any_of(products.first(first), is_same)) continue;
    same_rotation_.clear();
    std::ranges::copy_if(products, std::back_inserter(same_rotation_), is_same);
    if (rotation) rotate(*rotation, x, n_rows);
    multiply_unrotated(rotation ? std::span<const float>(rotated_).first(x.size()) : x, n_rows,
                       same_rotation_);
  }
}

/// Row tiles x panel tiles, panel tiles inside.
void Multiplier::cut(std::span<const Product> products, uint64_t n_rows) {
  const uint64_t n_tile_rows = rows_per_tile(n_rows);
  uint64_t bytes_left = 0;
  for (const Product& product : products)
    bytes_left += product.weight->n_bytes() * divide_up(n_rows, n_tile_rows);
  tiles_.clear();
  for (const Product& product : products) {
    const PackedMatrix& weight = *product.weight;
    const uint64_t n_panels = divide_up(weight.n_rows(), kPanelRows);
    for (uint64_t row = 0; row < n_rows; row += n_tile_rows) {
      for (uint64_t panel = 0, n = 0; panel < n_panels; panel += n) {
        const uint64_t share = bytes_left / (kTilesLeft * static_cast<uint64_t>(pool_.n_threads()));
        n = std::min(n_panels - panel,
                     panels_per_tile(weight, weight.panel_bytes_, std::min(n_rows, n_tile_rows),
                                     std::clamp(share, kLeastTileBytes, kMostTileBytes)));
        tiles_.push_back({static_cast<uint64_t>(&product - products.data()), row,
                          std::min(n_rows - row, n_tile_rows), panel, n});
        bytes_left -= n * weight.panel_bytes_;
      }
    }
  }
}

void Multiplier::multiply_unrotated(std::span<const float> x, uint64_t n_rows,
                                    std::span<const Product> products) {
  if (n_rows == 0 || products.empty()) return;
  const uint64_t n_columns = products[0].weight->n_columns();
  RUVLLM_ASSERT(x.size() == n_rows * n_columns);
  bool any_quantised = false, any_values = false, any_pairs = false;
  for (const Product& product : products) {
    RUVLLM_ASSERT(product.weight->n_columns() == n_columns && product.out_stride >= product.weight->n_rows());
    RUVLLM_ASSERT(product.out.size() >= (n_rows - 1) * product.out_stride + product.weight->n_rows());
    RUVLLM_ASSERT(product.bias.empty() || product.bias.size() == product.weight->n_rows());
    const kernels::Traits& shape = traits(product.weight->format());
    const bool is_paired = shape.is_paired && precision_ == ActivationPrecision::fast;
    any_pairs |= is_paired;
    any_quantised |= shape.is_quantised;
    any_values |= !is_paired && !shape.is_quantised;
  }
  kernels::Activations activations;
  activations.n_rows = n_rows;
  activations.n_columns = n_columns;
  if (any_quantised) quantise(x, activations);
  if (any_values || any_pairs) group(x, any_values, any_pairs, activations);
  reserve_scratch(n_columns, std::min(n_rows, kTileRows));
  cut(products, n_rows);
  pool_.for_each_tile(tiles_.size(), [&](size_t i, int worker) {
    multiply_tile(activations, products[tiles_[i].product], tiles_[i], worker);
  });
}

}  // namespace ruvllm::tensor
