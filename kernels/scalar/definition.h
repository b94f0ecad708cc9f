// How a family file defines a format: it says how one block unpacks, and this makes unpacking and decoding
// runs of blocks out of it. formats.cpp collects the definitions, one a row of formats.def.
#pragma once

#include "kernels/unpack.h"

#include <string.h>

namespace ruvllm::kernels {

struct Definition {
  Unpack unpack;
  void (*decode)(const void* blocks, float* values, size_t n_values);
  Fields fields;
};

#define FORMAT(id, name, text, values, bytes) extern const Definition k##name##Definition;
#include "kernels/formats.def"
#undef FORMAT

namespace scalar {

/// What one block unpacks to.
template <class Block>
struct Unpacked {
  static constexpr int kSubBlocks = Block::kValues / Block::kSubBlock;
  int8_t quants[Block::kValues];
  float scales[kSubBlocks];
  float mins[Block::kHasMin ? kSubBlocks : 1];
};

/// Block number i of `blocks`, which may lie unaligned.
template <class Block>
Block load_block(const void* blocks, size_t i) {
  Block block;
  memcpy(&block, static_cast<const char*>(blocks) + i * sizeof(Block), sizeof(Block));
  return block;
}

template <class Block, void (*unpack_block)(const Block&, Unpacked<Block>&)>
void unpack_blocks(const void* blocks, size_t n_values, int8_t* quants, float* scales, float* mins) {
  constexpr size_t n_sub_blocks = Unpacked<Block>::kSubBlocks;
  Unpacked<Block> unpacked;
  for (size_t i = 0; i < n_values / Block::kValues; ++i) {
    unpack_block(load_block<Block>(blocks, i), unpacked);
    memcpy(quants + i * Block::kValues, unpacked.quants, sizeof(unpacked.quants));
    memcpy(scales + i * n_sub_blocks, unpacked.scales, sizeof(unpacked.scales));
    if constexpr (Block::kHasMin) memcpy(mins + i * n_sub_blocks, unpacked.mins, sizeof(unpacked.mins));
  }
}

template <class Block, void (*unpack_block)(const Block&, Unpacked<Block>&)>
void decode_blocks(const void* blocks, float* values, size_t n_values) {
  Unpacked<Block> unpacked;
  for (size_t i = 0; i < n_values / Block::kValues; ++i) {
    unpack_block(load_block<Block>(blocks, i), unpacked);
    for (int j = 0; j < Block::kValues; ++j) {
      const int s = j / Block::kSubBlock;
      float value = unpacked.scales[s] * static_cast<float>(unpacked.quants[j]);
      if constexpr (Block::kHasMin) value -= unpacked.mins[s];
      values[i * Block::kValues + j] = value;
    }
  }
}

template <class Block>
constexpr Fields list_fields() {
  return {Block::fields, sizeof(Block::fields) / sizeof(Field)};
}

/// The definition of a quantised format from its unpack function.
template <class Block, void (*unpack_block)(const Block&, Unpacked<Block>&)>
constexpr Definition define() {
  return {{unpack_blocks<Block, unpack_block>, Block::kSubBlock, Block::kHasMin},
          decode_blocks<Block, unpack_block>,
          list_fields<Block>()};
}

}  // namespace scalar
}  // namespace ruvllm::kernels
