// Activations as scalar code takes them: one block of one row, of either width.
#pragma once

#include "kernels/kernels.h"

namespace ruvllm::kernels {

/// One row's activations 32 i .. 32 i + 31 as integers: value = scale * quant.
struct Quants {
  int32_t quants[kActivationBlock];
  float scale;
};

inline Quants activation_block(const Activations& x, size_t row, size_t i) {
  const size_t at = first_block_of(x.n_columns, row) + i * group_rows(x.n_rows, row);
  const bool is_wide = x.wide_blocks != nullptr;
  const ActivationBlock& block = is_wide ? x.wide_blocks[at].high : x.blocks[at];
  Quants out;
  out.scale = block.scale;
  for (size_t j = 0; j < kActivationBlock; ++j)
    out.quants[j] = is_wide ? 256 * block.quants[j] + x.wide_blocks[at].low[j] : block.quants[j];
  return out;
}

}  // namespace ruvllm::kernels
