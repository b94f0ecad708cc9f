#include "kernels/set_quants.h"

#include "kernels/formats/iquants.h"
#include "kernels/formats/kquants.h"
#include "kernels/formats/legacy.h"
#include "kernels/formats/microscale.h"
#include "kernels/formats/piq.h"
#include "kernels/formats/ternary.h"
#include "kernels/set_points.h"

#include <string.h>

namespace ruvllm::kernels {
namespace {

/// A byte array without its bits `mask` << shift.
void put_bits(uint8_t& byte, int shift, int mask, int bits) {
  byte = static_cast<uint8_t>((byte & ~(mask << shift)) | (bits & mask) << shift);
}

/// Low bits of value i of 256 that are stored as crumbs.
void put_crumb(uint8_t* bytes, int i, int bits) {
  put_bits(bytes[i / 128 * 32 + i % 32], i % 128 / 32 * 2, 3, bits);
}

/// Low bits of value i of 256 that are stored as nibbles, 64 values in 32 bytes.
void put_nibble(uint8_t* bytes, int i, int bits) {
  put_bits(bytes[i / 64 * 32 + i % 32], i % 64 / 32 * 4, 15, bits);
}

/// Low bits of value i of 32 that are stored as nibbles.
void put_legacy_nibble(uint8_t* bytes, int i, int bits) { put_bits(bytes[i % 16], i / 16 * 4, 15, bits); }

/// The place of a level among those that codes stand for, n of them.
int code_of(const int8_t* levels, int n, int level) {
  int code = 0;
  while (code + 1 < n && levels[code] != level) ++code;
  return code;
}

// One function a format: value i of a block becomes quant q.
void put(BlockQ4_0& block, int i, int q) { put_legacy_nibble(block.qs, i, q + 8); }
void put(BlockQ4_1& block, int i, int q) { put_legacy_nibble(block.qs, i, q); }
void put(BlockQ5_0& block, int i, int q) {
  put_legacy_nibble(block.qs, i, q + 16);
  put_bits(block.qh[i / 8], i % 8, 1, (q + 16) >> 4);
}
void put(BlockQ5_1& block, int i, int q) {
  put_legacy_nibble(block.qs, i, q);
  put_bits(block.qh[i / 8], i % 8, 1, q >> 4);
}
void put(BlockQ8_0& block, int i, int q) { block.qs[i] = static_cast<int8_t>(q); }
void put(BlockQ2_K& block, int i, int q) { put_crumb(block.qs, i, q); }
void put(BlockQ3_K& block, int i, int q) {
  put_crumb(block.qs, i, q + 4);
  put_bits(block.hmask[i % 32], i / 32, 1, (q + 4) >> 2);
}
void put(BlockQ4_K& block, int i, int q) { put_nibble(block.qs, i, q); }
void put(BlockQ5_K& block, int i, int q) {
  put_nibble(block.qs, i, q);
  put_bits(block.qh[i % 32], i / 32, 1, q >> 4);
}
void put(BlockQ6_K& block, int i, int q) {
  put_bits(block.ql[i / 128 * 64 + i % 64], i % 128 / 64 * 4, 15, q + 32);
  put_crumb(block.qh, i, (q + 32) >> 4);
}
void put(BlockTQ2_0& block, int i, int q) { put_crumb(block.qs, i, q + 1); }
void put(BlockIQ4_NL& block, int i, int q) { put_legacy_nibble(block.qs, i, code_of(kIq4Values, 16, q)); }
void put(BlockIQ4_XS& block, int i, int q) {
  put_legacy_nibble(block.qs + i / 32 * 16, i % 32, code_of(kIq4Values, 16, q));
}
void put(BlockMXFP4& block, int i, int q) { put_legacy_nibble(block.qs, i, code_of(kMxfp4Values, 16, q)); }

constexpr int8_t kMxfp4Levels[15] = {-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12};

template <class Block>
void set_blocks(const int8_t* quants, size_t n_values, void* blocks) {
  for (size_t b = 0; b < n_values / Block::kValues; ++b) {
    char* place = static_cast<char*>(blocks) + b * sizeof(Block);
    Block block;
    memcpy(&block, place, sizeof block);
    for (int i = 0; i < Block::kValues; ++i)
      put(block, i, quants[b * Block::kValues + static_cast<size_t>(i)]);
    memcpy(place, &block, sizeof block);
  }
}

/// A row of a format with a grid: codes from 0 on.
template <class Block>
void set_codes(const int8_t* quants, size_t n_values, void* blocks) {
  uint8_t* block = static_cast<uint8_t*>(blocks);
  for (size_t first = 0; first < n_values; first += Block::kValues, block += sizeof(Block)) {
    const size_t n = n_values - first < Block::kValues ? n_values - first : Block::kValues;
    uint8_t codes[Block::kValues];
    for (size_t i = 0; i < n; ++i)
      codes[i] = static_cast<uint8_t>(quants[first + i] + (1 << Block::kBits) / 2);
    pack_codes<Block::kBits>(codes, n, block + sizeof(uint16_t));
  }
}

struct Row {
  Format format;
  QuantRange range;
  void (*set)(const int8_t* quants, size_t n_values, void* blocks);
};

constexpr Row kRows[] = {
    {Format::Q4_0, {-8, 7}, set_blocks<BlockQ4_0>},
    {Format::Q4_1, {0, 15}, set_blocks<BlockQ4_1>},
    {Format::Q5_0, {-16, 15}, set_blocks<BlockQ5_0>},
    {Format::Q5_1, {0, 31}, set_blocks<BlockQ5_1>},
    {Format::Q8_0, {-127, 127}, set_blocks<BlockQ8_0>},
    {Format::Q2_K, {0, 3}, set_blocks<BlockQ2_K>},
    {Format::Q3_K, {-4, 3}, set_blocks<BlockQ3_K>},
    {Format::Q4_K, {0, 15}, set_blocks<BlockQ4_K>},
    {Format::Q5_K, {0, 31}, set_blocks<BlockQ5_K>},
    {Format::Q6_K, {-32, 31}, set_blocks<BlockQ6_K>},
    {Format::TQ2_0, {-1, 1}, set_blocks<BlockTQ2_0>},
    {Format::PIQ2, {-2, 1}, set_codes<BlockPIQ2>},
    {Format::PIQ3, {-4, 3}, set_codes<BlockPIQ3>},
    {Format::PIQ2_64, {-2, 1}, set_codes<BlockPIQ2_64>},
    {Format::PIQ3_64, {-4, 3}, set_codes<BlockPIQ3_64>},
    {Format::PIQ2_32, {-2, 1}, set_codes<BlockPIQ2_32>},
    {Format::PIQ3_32, {-4, 3}, set_codes<BlockPIQ3_32>},
    {Format::IQ4_NL, {-127, 113, kIq4Values, 16}, set_blocks<BlockIQ4_NL>},
    {Format::IQ4_XS, {-127, 113, kIq4Values, 16}, set_blocks<BlockIQ4_XS>},
    {Format::MXFP4, {-12, 12, kMxfp4Levels, 15}, set_blocks<BlockMXFP4>},
};

const Row* find_row(Format format) {
  for (const Row& row : kRows)
    if (row.format == format) return &row;
  return nullptr;
}

}  // namespace

const QuantRange* quant_range(Format format) {
  const Row* row = find_row(format);
  return row != nullptr ? &row->range : nullptr;
}

size_t quants_at_once(Format format) { return find_row(format) != nullptr ? 1 : point_values(format); }

void set_quants(Format format, const int8_t* quants, size_t n_values, void* blocks) {
  if (point_values(format) > 0) return set_points(format, quants, n_values, blocks);
  find_row(format)->set(quants, n_values, blocks);
}

}  // namespace ruvllm::kernels
