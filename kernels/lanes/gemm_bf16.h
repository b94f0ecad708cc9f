// The register tile of products whose operands are rounded to bf16: that of lanes/gemm.h, with pairs of steps
// where it has steps. Included after a column's simd.h and pairs.h. Tested by tests/tensor/gemm_test.cpp.
#pragma once

#include "kernels/lanes/gemm.h"

namespace ruvllm::kernels {
namespace {

using TileSums = Floats[kGemmRows][kGemmVectors];

/// One step of all sums of a tile, or a half of it where a product of pairs takes two.
template <class S, int part>
inline __attribute__((always_inline)) void add_part(const float* a, const float* b, TileSums& sums) {
  if constexpr (part < S::kParts) {
    using Part = decltype(S::template part_of<part>(load_pairs(b)));
    Part columns[kGemmVectors];
    for (size_t j = 0; j < kGemmVectors; ++j) columns[j] = S::template part_of<part>(load_pairs(b + 16 * j));
#pragma GCC unroll 16
    for (size_t i = 0; i < kGemmRows; ++i) {
      const Part factor = S::template part_of<part>(broadcast_pair(a + i));
      for (size_t j = 0; j < kGemmVectors; ++j) sums[i][j] = S::add(sums[i][j], factor, columns[j]);
    }
  }
}

void gemm_bf16_tile(size_t n_pairs, const float* a, const float* b, float* c, size_t c_stride,
                    bool accumulate) {
  TileSums sums;
  sum_pairs([&]<class S>(S) __attribute__((always_inline)) {
    TileSums here;
#pragma GCC unroll 16
    for (size_t i = 0; i < kGemmRows; ++i)
      for (size_t j = 0; j < kGemmVectors; ++j) here[i][j] = broadcast(0.0f);
    for (size_t k = 0; k < n_pairs; ++k) {
      add_part<S, 0>(a + k * kGemmRows, b + k * kGemmColumns, here);
      add_part<S, 1>(a + k * kGemmRows, b + k * kGemmColumns, here);
    }
#pragma GCC unroll 16
    for (size_t i = 0; i < kGemmRows; ++i)
      for (size_t j = 0; j < kGemmVectors; ++j) sums[i][j] = here[i][j];
  });
#pragma GCC unroll 16
  for (size_t i = 0; i < kGemmRows; ++i)
    for (size_t j = 0; j < kGemmVectors; ++j) {
      float* to = c + i * c_stride + 16 * j;
      store(to, accumulate ? add(sums[i][j], load(to)) : sums[i][j]);
    }
}

/// strip[pair * width + lane], pair k / 2; where n_k is odd the last pair's odd value is zero. Packed as f32
/// first, a few steps at a time, then paired.
template <size_t width>
void gemm_bf16_pack(const GemmStrip& from, float* strip) {
  constexpr size_t kSteps = 32;
  float steps[kSteps * width + 16] = {};
  for (size_t k = 0; k < from.n_k; k += kSteps) {
    GemmStrip part = from;
    part.data += k * from.k_stride;
    part.n_k = from.n_k - k < kSteps ? from.n_k - k : kSteps;
    gemm_pack<width>(part, steps);
    if (part.n_k % 2 != 0) memset(steps + part.n_k * width, 0, width * sizeof(float));
    for (size_t i = 0; i < part.n_k; i += 2) {
      const float* even = steps + i * width;
      float* to = strip + (k + i) / 2 * width;
      size_t lane = 0;
      for (; lane + 16 <= width; lane += 16)
        store_pairs(to + lane, pair_up(load(even + lane), load(even + width + lane)));
      if (lane < width) {
        float pairs[16];
        store_pairs(pairs, pair_up(load(even + lane), load(even + width + lane)));
        memcpy(to + lane, pairs, (width - lane) * sizeof(float));
      }
    }
  }
}

constexpr GemmKernel kGemmBf16 = {kGemmRows, kGemmColumns, gemm_bf16_tile};
constexpr GemmPacking kPackBf16 = {gemm_bf16_pack<kGemmRows>, gemm_bf16_pack<kGemmColumns>};

}  // namespace
}  // namespace ruvllm::kernels
