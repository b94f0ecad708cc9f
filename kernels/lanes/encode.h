// All encoders of a column. Included by its encode.cpp after its simd.h.
#pragma once

#include "kernels/kernels.h"
#include "kernels/lanes/encode_iquants.h"
#include "kernels/lanes/encode_kquants.h"
#include "kernels/lanes/encode_legacy.h"
#include "kernels/lanes/encode_piq.h"

namespace ruvllm::kernels {
namespace {

void encode_F32(const float* values, const float*, size_t n_values, void* blocks, Search) {
  memcpy(blocks, values, n_values * sizeof(float));
}

constexpr auto encode_F16 = encode_halves<narrow_to_f16>;
constexpr auto encode_BF16 = encode_halves<narrow_to_bf16>;
constexpr auto encode_Q4_0 = encode_legacy<BlockQ4_0>;
constexpr auto encode_Q4_1 = encode_legacy<BlockQ4_1>;
constexpr auto encode_Q5_0 = encode_legacy<BlockQ5_0>;
constexpr auto encode_Q5_1 = encode_legacy<BlockQ5_1>;
constexpr auto encode_IQ1_S = encode_grid_blocks<BlockIQ1_S, kIq1sShape>;
constexpr auto encode_IQ1_M = encode_grid_blocks<BlockIQ1_M, kIq1mShape>;
constexpr auto encode_IQ2_XXS = encode_grid_blocks<BlockIQ2_XXS, kIq2xxsShape>;
constexpr auto encode_IQ2_XS = encode_grid_blocks<BlockIQ2_XS, kIq2xsShape>;
constexpr auto encode_IQ2_S = encode_grid_blocks<BlockIQ2_S, kIq2sShape>;
constexpr auto encode_IQ3_XXS = encode_grid_blocks<BlockIQ3_XXS, kIq3xxsShape>;
constexpr auto encode_IQ3_S = encode_grid_blocks<BlockIQ3_S, kIq3sShape>;
constexpr auto encode_PIQ2 = encode_uniform<BlockPIQ2, Format::PIQ2>;
constexpr auto encode_PIQ3 = encode_uniform<BlockPIQ3, Format::PIQ3>;
constexpr auto encode_PIQ2_64 = encode_uniform<BlockPIQ2_64, Format::PIQ2_64>;
constexpr auto encode_PIQ3_64 = encode_uniform<BlockPIQ3_64, Format::PIQ3_64>;
constexpr auto encode_PIQ2_32 = encode_uniform<BlockPIQ2_32, Format::PIQ2_32>;
constexpr auto encode_PIQ3_32 = encode_uniform<BlockPIQ3_32, Format::PIQ3_32>;

template <class Block>
void overlay_encode_of(KernelSet& set, uint32_t id, KernelSet::Encode encode) {
  set.encode[id] = encode;
  if constexpr (requires { Block::kBits; }) set.on_grid[id].encode = encode_on_grid<Block>;
}

inline void overlay_encode(KernelSet& set) {
#define FORMAT(id, name, text, values, bytes) overlay_encode_of<Block##name>(set, id, encode_##name);
#include "kernels/formats.def"
#undef FORMAT
}

}  // namespace
}  // namespace ruvllm::kernels
