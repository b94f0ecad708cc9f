// Matrix products as kernels.h defines them, one weight row at a time: what every vectorised product must
// equal to the bit. A panel's rows are taken apart again, so this is slow; it is the definition and the last
// resort.
#include "kernels/interleave.h"
#include "kernels/overlays.h"
#include "kernels/scalar/activations.h"
#include "kernels/scalar/simd.h"

#include "kernels/scalar/pairs.h"
#include "kernels/unpack.h"

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

/// Where number k of a row's values or pairs is, of which a row has n.
size_t place_of(const Activations& x, size_t row, size_t k, size_t n) {
  const size_t first = row / kGroupRows * kGroupRows;
  return first * n + k * group_rows(x.n_rows, row) + row - first;
}

template <Format format>
void matmul_float(const void* panels, size_t panel_bytes, size_t n_panels, const Activations& x, float* out,
                  size_t out_stride, void*) {
  const size_t unit = traits(format).block_bytes;
  const auto offset = [&](size_t lane, size_t k) {
    return traits(format).is_paired ? paired_offset(lane, k) : (k * kPanelRows + lane) * unit;
  };
  const auto decode = decode_of(format);
  for (size_t i = 0; i < n_panels * kPanelRows; ++i) {
    const char* panel = static_cast<const char*>(panels) + i / kPanelRows * panel_bytes;
    for (size_t row = 0; row < x.n_rows; ++row) {
      float sum = 0.0f;
      for (size_t k = 0; k < x.n_columns; ++k) {
        float weight;
        decode(panel + offset(i % kPanelRows, k), &weight, 1);
        sum = fmaf(weight, x.values[place_of(x, row, k, x.n_columns)], sum);
      }
      out[row * out_stride + i] = sum;
    }
  }
}

template <Format format>
void matmul_pairs(const void* panels, size_t panel_bytes, size_t n_panels, const Activations& x, float* out,
                  size_t out_stride, void* scratch) {
  if (x.pairs == nullptr)
    return matmul_float<format>(panels, panel_bytes, n_panels, x, out, out_stride, scratch);
  const size_t n_pairs = activation_pairs(x.n_columns);
  for (size_t i = 0; i < n_panels * kPanelRows; ++i) {
    const char* panel = static_cast<const char*>(panels) + i / kPanelRows * panel_bytes;
    for (size_t row = 0; row < x.n_rows; ++row) {
      float sum = 0.0f;
      for (size_t k = 0; k < n_pairs; ++k) {
        uint32_t weights;
        memcpy(&weights, panel + paired_offset(i % kPanelRows, 2 * k), sizeof weights);
        if (format == Format::F16)
          weights = pair_up(f16_to_f32(static_cast<uint16_t>(weights)),
                            f16_to_f32(static_cast<uint16_t>(weights >> 16)));
        sum = add_pair(sum, weights, x.pairs[place_of(x, row, k, n_pairs)]);
      }
      out[row * out_stride + i] = sum;
    }
  }
}

void group_values(const float* x, size_t n_rows, size_t n_columns, float* values) {
  for (size_t k = 0; k < n_columns; ++k)
    for (size_t row = 0; row < n_rows; ++row) *values++ = x[row * n_columns + k];
}

void group_pairs(const float* x, size_t n_rows, size_t n_columns, uint32_t* pairs) {
  for (size_t k = 0; k < n_columns; k += 2)
    for (size_t row = 0; row < n_rows; ++row) {
      const float* at = x + row * n_columns + k;
      *pairs++ = pair_up(at[0], k + 1 < n_columns ? at[1] : 0.0f);
    }
}

template <Format format>
void interleave(const void* rows, size_t row_bytes, size_t n_rows, size_t n_columns, void* panel) {
  const Traits& shape = traits(format);
  interleave_rows(fields_of(format), shape.block_bytes, rows, row_bytes, n_rows,
                  n_columns / shape.block_values, panel);
}

void interleave_pairs(const void* rows, size_t row_bytes, size_t n_rows, size_t n_columns, void* panel) {
  const size_t n_even = n_columns / 2 * 2;
  if (n_rows < kPanelRows || n_even < n_columns)
    memset(panel, 0, (n_columns + 1) / 2 * sizeof(uint32_t) * kPanelRows);
  char* to = static_cast<char*>(panel);
  for (size_t k = 0; k < n_even; k += 2)
    for (size_t lane = 0; lane < n_rows; ++lane)
      memcpy(to + paired_offset(lane, k),
             static_cast<const char*>(rows) + lane * row_bytes + k * sizeof(uint16_t), sizeof(uint32_t));
  for (size_t lane = 0; lane < n_rows && n_even < n_columns; ++lane)
    memcpy(to + paired_offset(lane, n_even),
           static_cast<const char*>(rows) + lane * row_bytes + n_even * sizeof(uint16_t), sizeof(uint16_t));
}

size_t matmul_scratch_bytes(size_t, size_t) { return 0; }

template <Format format>
FormatKernels kernels_of() {
  FormatKernels kernels = {decode_of(format), interleave<format>, matmul_quantised<format>};
  if (!traits(format).is_quantised) kernels.matmul = matmul_float<format>;
  if (traits(format).is_paired) {
    kernels.interleave = interleave_pairs;
    kernels.matmul = matmul_pairs<format>;
  }
  return kernels;
}

}  // namespace

void overlay_scalar_matmul(KernelSet& set) {
#define FORMAT(id, name, text, values, bytes) \
  if constexpr (id < ByFormat<int>::kFirstOwn) set.formats[id] = kernels_of<Format::name>();
#include "kernels/formats.def"
#undef FORMAT
  set.matmul_scratch_bytes = matmul_scratch_bytes;
  set.group_values = group_values;
  set.group_pairs = group_pairs;
}

}  // namespace ruvllm::kernels
