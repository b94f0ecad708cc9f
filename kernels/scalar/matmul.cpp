// Matrix products as kernels.h defines them, one weight row at a time: what every vectorised product must
// equal to the bit. A panel's rows are taken apart again, so this is slow; it is the definition and the last
// resort.
#include "kernels/interleave.h"
#include "kernels/overlays.h"
#include "kernels/scalar/activations.h"
#include "kernels/unpack.h"

#include <math.h>

namespace ruvllm::kernels {
namespace {

constexpr size_t kMostBlockBytes = 512;
constexpr size_t kMostValues = 256;

/// Adds one block of one weight row to the results of all activation rows, which lie out_stride apart.
void multiply_block(const Unpack& unpack, const void* block, size_t n_values, const Activations& x, size_t k,
                    float* out, size_t out_stride) {
  int8_t quants[kMostValues];
  float scales[kMostValues / 16], mins[kMostValues / 16];
  unpack.unpack(block, n_values, quants, scales, mins);
  const size_t sub_block = static_cast<size_t>(unpack.sub_block);
  for (size_t row = 0; row < x.n_rows; ++row) {
    float& acc = out[row * out_stride];
    for (size_t i = 0; i < n_values; i += sub_block) {
      const Quants activations = activation_block(x, row, (k + i) / kActivationBlock);
      const int32_t* a = activations.quants + (k + i) % kActivationBlock;
      int32_t dot = 0, sum = 0;
      for (size_t j = 0; j < sub_block; ++j) {
        dot += quants[i + j] * a[j];
        sum += a[j];
      }
      const float scale = activations.scale;
      acc = fmaf(scales[i / sub_block] * scale, static_cast<float>(dot), acc);
      if (unpack.has_min) acc = fmaf(-mins[i / sub_block], scale * static_cast<float>(sum), acc);
    }
  }
}

template <Format format>
void matmul_quantised(const void* panels, size_t panel_bytes, size_t n_panels, const Activations& x,
                      float* out, size_t out_stride, void*) {
  const Traits& shape = traits(format);
  const size_t panel_block_bytes = shape.block_bytes * kPanelRows;
  for (size_t i = 0; i < n_panels * kPanelRows; ++i) {
    const char* panel = static_cast<const char*>(panels) + i / kPanelRows * panel_bytes;
    for (size_t row = 0; row < x.n_rows; ++row) out[row * out_stride + i] = 0.0f;
    for (size_t b = 0; b < x.n_columns / shape.block_values; ++b) {
      char block[kMostBlockBytes];
      extract_row(fields_of(format), shape.block_bytes, panel + b * panel_block_bytes, i % kPanelRows, 1,
                  block);
      multiply_block(unpack_of(format), block, shape.block_values, x, b * shape.block_values, out + i,
                     out_stride);
    }
  }
}

template <Format format>
void matmul_float(const void* panels, size_t panel_bytes, size_t n_panels, const Activations& x, float* out,
                  size_t out_stride, void*) {
  const size_t unit = traits(format).block_bytes;
  const auto decode = decode_of(format);
  for (size_t i = 0; i < n_panels * kPanelRows; ++i) {
    const char* panel = static_cast<const char*>(panels) + i / kPanelRows * panel_bytes;
    for (size_t row = 0; row < x.n_rows; ++row) {
      float sum = 0.0f;
      for (size_t k = 0; k < x.n_columns; ++k) {
        float weight;
        decode(panel + (k * kPanelRows + i % kPanelRows) * unit, &weight, 1);
        sum = fmaf(weight, x.values[row * x.n_columns + k], sum);
      }
      out[row * out_stride + i] = sum;
    }
  }
}

template <Format format>
void interleave(const void* rows, size_t row_bytes, size_t n_rows, size_t n_columns, void* panel) {
  const Traits& shape = traits(format);
  interleave_rows(fields_of(format), shape.block_bytes, rows, row_bytes, n_rows,
                  n_columns / shape.block_values, panel);
}

size_t matmul_scratch_bytes(size_t, size_t) { return 0; }

template <Format format>
FormatKernels kernels_of() {
  FormatKernels kernels = {decode_of(format), interleave<format>, matmul_quantised<format>};
  if (!traits(format).is_quantised) kernels.matmul = matmul_float<format>;
  return kernels;
}

}  // namespace

void overlay_scalar_matmul(KernelSet& set) {
#define FORMAT(id, name, text, values, bytes) \
  if constexpr (id < ByFormat<int>::kFirstOwn) set.formats[id] = kernels_of<Format::name>();
#include "kernels/formats.def"
#undef FORMAT
  set.matmul_scratch_bytes = matmul_scratch_bytes;
}

}  // namespace ruvllm::kernels
