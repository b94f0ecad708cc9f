// Products with F32, F16 and BF16 weights: acc = fma(w[k], x[k], acc) in order of k, a lane a weight row.
// Several panels at once, so that sums don't wait for one another. Tested by tests/kernels/matmul_test.cpp.
#pragma once

#include "kernels/kernels.h"

namespace ruvllm::kernels {
namespace {

struct LanesF32 {
  static constexpr size_t kBytes = 4;
  static Floats load_lanes(const uint8_t* at) { return load(reinterpret_cast<const float*>(at)); }
};
struct LanesF16 {
  static constexpr size_t kBytes = 2;
  static Floats load_lanes(const uint8_t* at) { return load_f16(reinterpret_cast<const uint16_t*>(at)); }
};
struct LanesBF16 {
  static constexpr size_t kBytes = 2;
  static Floats load_lanes(const uint8_t* at) { return load_bf16(reinterpret_cast<const uint16_t*>(at)); }
};

template <class F, int n_panels, int n_rows>
void multiply_float_tile(const uint8_t* panels, size_t panel_bytes, const float* x, size_t n_columns,
                         float* out, size_t out_stride) {
  Floats sum[n_panels][n_rows];  // unrolled loops keep it in registers
#pragma GCC unroll 8
  for (auto& of_panel : sum) {
#pragma GCC unroll 8
    for (Floats& s : of_panel) s = broadcast(0.0f);
  }
  for (size_t k = 0; k < n_columns; ++k) {
    Floats weights[n_panels];
#pragma GCC unroll 8
    for (int p = 0; p < n_panels; ++p)
      weights[p] = F::load_lanes(panels + static_cast<size_t>(p) * panel_bytes + k * 16 * F::kBytes);
#pragma GCC unroll 8
    for (int r = 0; r < n_rows; ++r) {
      const Floats activation = broadcast(x[static_cast<size_t>(r) * n_columns + k]);
#pragma GCC unroll 8
      for (int p = 0; p < n_panels; ++p) sum[p][r] = fma(weights[p], activation, sum[p][r]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < n_rows; ++r) {
#pragma GCC unroll 8
    for (int p = 0; p < n_panels; ++p) store(out + static_cast<size_t>(r) * out_stride + 16 * p, sum[p][r]);
  }
}

template <class F, int n_panels, int n_rows>
inline void multiply_float_rows(size_t n, const uint8_t* panels, size_t panel_bytes, const float* x,
                                size_t n_columns, float* out, size_t out_stride) {
  if constexpr (n_rows > 0) {
    if (n == static_cast<size_t>(n_rows))
      return multiply_float_tile<F, n_panels, n_rows>(panels, panel_bytes, x, n_columns, out, out_stride);
    multiply_float_rows<F, n_panels, n_rows - 1>(n, panels, panel_bytes, x, n_columns, out, out_stride);
  }
}

template <class F>
void matmul_float(const void* panels, size_t panel_bytes, size_t n_panels, const Activations& x, float* out,
                  size_t out_stride, void*) {
  const size_t n_tiles = (x.n_rows + kFloatRows - 1) / kFloatRows;
  for (size_t panel = 0; panel < n_panels;) {
    const bool is_whole = n_panels - panel >= kFloatPanels;
    const uint8_t* bytes = static_cast<const uint8_t*>(panels) + panel * panel_bytes;
    size_t row = 0;
    for (size_t tile = 0; tile < n_tiles; ++tile) {
      const size_t n = x.n_rows / n_tiles + (tile < x.n_rows % n_tiles);
      const float* values = x.values + row * x.n_columns;
      float* to = out + row * out_stride + panel * kPanelRows;
      if (is_whole)
        multiply_float_rows<F, kFloatPanels, kFloatRows>(n, bytes, panel_bytes, values, x.n_columns, to,
                                                         out_stride);
      else
        multiply_float_rows<F, 1, kFloatRows>(n, bytes, panel_bytes, values, x.n_columns, to, out_stride);
      row += n;
    }
    panel += is_whole ? kFloatPanels : 1;
  }
}

}  // namespace
}  // namespace ruvllm::kernels
