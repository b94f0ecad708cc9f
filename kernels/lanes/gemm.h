// The register tile of f32 matrix products: kGemmRows x (16 * kGemmVectors) accumulators. Each step of k
// loads kGemmVectors vectors of B, and a broadcast of A serves them all. Included after a column's simd.h,
// which sets both constants to what its registers hold.
#pragma once

#include "kernels/training.h"

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

/// Lanes [first, first + 16) of a strip, k = [k, k + 16): rows of A, or columns of B, that lie along k.
template <size_t width>
inline void pack_across(const GemmStrip& from, size_t first, size_t k, float* strip) {
  Floats rows[16];
  for (size_t lane = first; lane < first + 16; ++lane)
    rows[lane - first] =
        lane < from.n_lanes ? load(from.data + lane * from.lane_stride + k) : broadcast(0.0f);
  transpose(rows);
  constexpr size_t kTail = width % 16;
  for (size_t i = 0; i < 16; ++i) {
    float* to = strip + (k + i) * width + first;
    // A whole vector may reach into the steps that follow in the same strip: they are written later.
    if (first + 16 <= width || (from.n_k - k - i) * width - first >= 16) {
      store(to, rows[i]);
    } else {
      float lanes[16];
      store(lanes, rows[i]);
      memcpy(to, lanes, kTail * sizeof(float));
    }
  }
}

template <size_t width>
void gemm_pack(const GemmStrip& from, float* strip) {
  size_t k = 0;
  if (from.lane_stride == 1 && from.n_lanes == width) {
    for (; k < from.n_k; ++k) memcpy(strip + k * width, from.data + k * from.k_stride, width * sizeof(float));
  } else if (from.k_stride == 1) {
    for (; k + 16 <= from.n_k; k += 16)
      for (size_t first = 0; first < width; first += 16) pack_across<width>(from, first, k, strip);
  }
  for (; k < from.n_k; ++k)
    for (size_t lane = 0; lane < width; ++lane)
      strip[k * width + lane] =
          lane < from.n_lanes ? from.data[lane * from.lane_stride + k * from.k_stride] : 0.0f;
}

[[maybe_unused]] void overlay_gemm(KernelSet& set) { set.gemm = {kGemmRows, kGemmColumns, gemm_tile}; }

}  // namespace
}  // namespace ruvllm::kernels
