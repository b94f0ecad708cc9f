#include "kernels/piq.h"

#include "kernels/formats/piq.h"
#include "kernels/interleave.h"

#include <cmath>

namespace ruvllm::kernels {
namespace {

/// Calls task(block's first value, its values, its place in the row) for each block of a row.
template <class Block, class Task>
void for_each_block(size_t n_values, const Task& task) {
  for (size_t first = 0; first < n_values; first += Block::kValues) {
    const size_t left = n_values - first;
    task(first, left < Block::kValues ? left : Block::kValues, first / Block::kValues * sizeof(Block));
  }
}

template <class Block>
void unpack_row(const void* row, size_t n_values, float* alphas, uint8_t* codes) {
  for_each_block<Block>(n_values, [&](size_t first, size_t n, size_t place) {
    const uint8_t* bytes = static_cast<const uint8_t*>(row) + place;
    uint16_t alpha;
    memcpy(&alpha, bytes, sizeof alpha);
    if (alphas != nullptr) alphas[first / Block::kValues] = f16_to_f32(alpha);
    if (codes == nullptr) return;
    uint8_t unpacked[Block::kValues];
    unpack_codes<Block::kBits>(bytes + sizeof alpha, n, unpacked);
    memcpy(codes + first, unpacked, n);
  });
}

template <class Block>
void pack_row(const float* alphas, const uint8_t* codes, size_t n_values, void* row) {
  for_each_block<Block>(n_values, [&](size_t first, size_t n, size_t place) {
    uint8_t* bytes = static_cast<uint8_t*>(row) + place;
    const uint16_t alpha = f32_to_f16(alphas[first / Block::kValues]);
    memcpy(bytes, &alpha, sizeof alpha);
    pack_codes<Block::kBits>(codes + first, n, bytes + sizeof alpha);
  });
}

template <class Block>
void extract_row(const void* panel, size_t lane, size_t n_values, void* row) {
  for_each_block<Block>(n_values, [&](size_t, size_t n, size_t place) {
    const uint8_t* from = static_cast<const uint8_t*>(panel) + place * kPanelRows;
    uint8_t* to = static_cast<uint8_t*>(row) + place;
    memcpy(to, from + lane * 2, 2);
    uint8_t codes[Block::kValues];
    codes_from_panel<Block::kBits>(from, lane, (n + 31) / 32, codes);
    pack_codes<Block::kBits>(codes, n, to + 2);
  });
}

/// Calls task.operator()<Block>() with the format's block.
template <class Task>
void with_block(Format format, const Task& task) {
  switch (format) {
    case Format::PIQ2:
      return task.template operator()<BlockPIQ2>();
    case Format::PIQ2_64:
      return task.template operator()<BlockPIQ2_64>();
    case Format::PIQ2_32:
      return task.template operator()<BlockPIQ2_32>();
    case Format::PIQ3:
      return task.template operator()<BlockPIQ3>();
    case Format::PIQ3_64:
      return task.template operator()<BlockPIQ3_64>();
    case Format::PIQ3_32:
      return task.template operator()<BlockPIQ3_32>();
    default:
      __builtin_unreachable();
  }
}

}  // namespace

int grid_levels(Format format) {
  return format == Format::PIQ2 || format == Format::PIQ2_64 || format == Format::PIQ2_32 ? 4 : 8;
}

Grid uniform_grid(Format format, int k) {
  const int n = grid_levels(format);
  Grid grid = {};
  for (int code = 0; code < n; ++code) grid.levels[code] = static_cast<int8_t>(code - n / 2);
  grid.unit = static_cast<float>(M_PI / k);
  return grid;
}

int nearest_code(const Grid& grid, int n_levels, float value) {
  int code = 0;
  for (int i = 1; i < n_levels; ++i)
    if (value >= 0.5f * static_cast<float>(grid.levels[i - 1] + grid.levels[i])) code = i;
  return code;
}

void unpack_piq_row(Format format, const void* row, size_t n_values, float* alphas, uint8_t* codes) {
  with_block(format, [&]<class Block>() { unpack_row<Block>(row, n_values, alphas, codes); });
}

void pack_piq_row(Format format, const float* alphas, const uint8_t* codes, size_t n_values, void* row) {
  with_block(format, [&]<class Block>() { pack_row<Block>(alphas, codes, n_values, row); });
}

void extract_piq_row(Format format, const void* panel, size_t lane, size_t n_values, void* row) {
  with_block(format, [&]<class Block>() { extract_row<Block>(panel, lane, n_values, row); });
}

}  // namespace ruvllm::kernels
