// The register tile of f32 matrix products: kGemmRows x (16 * kGemmVectors) accumulators. Each step of k
// loads kGemmVectors vectors of B, and a broadcast of A serves them all. Included after a column's simd.h,
// which sets both constants to what its registers hold.
#pragma once

#include "kernels/kernels.h"

namespace ruvllm::kernels {
namespace {

constexpr size_t kGemmColumns = 16 * kGemmVectors;

void gemm_tile(size_t depth, const float* a, const float* b, float* c, size_t c_stride, bool accumulate) {
  Floats sums[kGemmRows][kGemmVectors];
#pragma GCC unroll 16
  for (size_t i = 0; i < kGemmRows; ++i)
    for (size_t j = 0; j < kGemmVectors; ++j) sums[i][j] = broadcast(0.0f);
  for (size_t k = 0; k < depth; ++k, a += kGemmRows, b += kGemmColumns) {
    Floats columns[kGemmVectors];
    for (size_t j = 0; j < kGemmVectors; ++j) columns[j] = load(b + 16 * j);
#pragma GCC unroll 16
    for (size_t i = 0; i < kGemmRows; ++i) {
      const Floats factor = broadcast(a[i]);
      for (size_t j = 0; j < kGemmVectors; ++j) sums[i][j] = fma(factor, columns[j], sums[i][j]);
    }
  }
#pragma GCC unroll 16
  for (size_t i = 0; i < kGemmRows; ++i)
    for (size_t j = 0; j < kGemmVectors; ++j) {
      float* to = c + i * c_stride + 16 * j;
      store(to, accumulate ? add(sums[i][j], load(to)) : sums[i][j]);
    }
}

void overlay_gemm(KernelSet& set) { set.gemm = {kGemmRows, kGemmColumns, gemm_tile}; }

}  // namespace
}  // namespace ruvllm::kernels
