// What a product needs to know of a quantised format when it is compiled: shared by tiles of many rows
// (quantised.h) and by streams for few (stream.h).
#pragma once

#include "kernels/kernels.h"

namespace ruvllm::kernels {
namespace {

template <int sub_block, bool has_min, int most>
struct Kind {
  static constexpr int kSubBlock = sub_block;
  static constexpr bool kHasMin = has_min;
  static constexpr int kMost = most;
  static constexpr bool kHasBias = kUnsignedCodes && !kHasMin;
  static constexpr size_t kGroups = kSubBlock / 4;   ///< of 4 columns, in a sub-block
  static constexpr size_t kHalves = 32 / kSubBlock;  ///< sub-blocks in a block of activations
  using Product = Dot<kMost, !kHasMin>;
};

template <class F>
using KindOf = Kind<F::Block::kSubBlock, F::Block::kHasMin, F::kMost>;

/// What codes + 128 make a sum of products start at.
template <class K>
inline int32_t bias_of(const ActivationBlock& block, size_t half) {
  if constexpr (!K::kHasBias) return 0;
  return K::kSubBlock == 32 ? block.bias : block.half_biases[half];
}

/// scale * (sum of the quants), for the minimum.
template <class K>
inline float scaled_sum_of(const ActivationBlock& block, size_t half) {
  return K::kSubBlock == 32 ? block.scaled_sum : block.scaled_half_sums[half];
}

/// Weights that are wanted soon, fetched a little at a time while others are multiplied, so that memory goes
/// on delivering. Not many at once: a burst holds up what is needed now.
struct Fetch {
  const uint8_t* at;
  size_t step;
  template <void (*fetch)(const void*) = prefetch>
  void go_on() {
    const uint8_t* end = at + step;
    for (const uint8_t* line = at + (-reinterpret_cast<uintptr_t>(at) & 63); line < end; line += 64)
      fetch(line);
    at = end;
  }
};

/// The same of part `part` of n_parts of the panel block that lies `near` bytes behind `block`, and to the
/// second-level cache of the one `far` bytes behind: the first level has too few buffers to keep memory busy.
template <class Block>
inline void fetch_ahead(const uint8_t* block, size_t near, size_t far, size_t part, size_t n_parts) {
  constexpr size_t kLines = sizeof(Block) * 16 / 64;
  for (size_t line = part * kLines / n_parts; line < (part + 1) * kLines / n_parts; ++line) {
    prefetch(block + near + 64 * line);
    prefetch_far(block + far + 64 * line);
  }
}

}  // namespace
}  // namespace ruvllm::kernels
