#include "tensor/ops.h"

#include "base/error.h"

#include <algorithm>
#include <cmath>

namespace ruvllm::tensor {
namespace {

// Work below this many values is done before another thread has woken up.
constexpr size_t kTileValues = 16 * 1024;

/// Calls task(first, count) over [0, n) in tiles whose borders are multiples of `unit`.
template <typename Task>
void in_tiles(ThreadPool& pool, size_t n, size_t unit, const Task& task) {
  const size_t tile = std::max<size_t>(1, kTileValues / unit) * unit;
  pool.for_each_tile((n + tile - 1) / tile,
                     [&](size_t i, int) { task(i * tile, std::min(tile, n - i * tile)); });
}

}  // namespace

void decode_values(Format format, std::span<const std::byte> bytes, std::span<float> values) {
  RUVLLM_ASSERT(row_bytes(format, values.size()) == bytes.size());
  kernels::active()[format].decode(bytes.data(), values.data(), values.size());
}

void decode_rows(Format format, const Grid& grid, uint64_t n_columns, std::span<const std::byte> bytes,
                 std::span<float> values) {
  if (!traits(format).has_grid) return decode_values(format, bytes, values);
  const uint64_t n_bytes = row_bytes(format, n_columns), n_rows = values.size() / n_columns;
  RUVLLM_ASSERT(values.size() == n_rows * n_columns && bytes.size() == n_rows * n_bytes);
  const auto decode = kernels::active().on_grid[static_cast<uint32_t>(format)].decode;
  for (uint64_t row = 0; row < n_rows; ++row)
    decode(&bytes[row * n_bytes], &values[row * n_columns], n_columns, grid);
}

void encode_rows(Format format, const Grid& grid, uint64_t n_columns, std::span<const float> values,
                 std::span<const float> importance, kernels::Search effort, std::span<std::byte> bytes) {
  RUVLLM_ASSERT(importance.empty() || importance.size() == values.size());
  const uint64_t n_bytes = row_bytes(format, n_columns), n_rows = values.size() / n_columns;
  RUVLLM_ASSERT(values.size() == n_rows * n_columns && bytes.size() == n_rows * n_bytes);
  const float* weights = importance.empty() ? nullptr : importance.data();
  const uint32_t id = static_cast<uint32_t>(format);
  if (!traits(format).has_grid)
    return kernels::active().encode[id](values.data(), weights, values.size(), bytes.data(), effort);
  for (uint64_t row = 0; row < n_rows; ++row)
    kernels::active().on_grid[id].encode(&values[row * n_columns],
                                         weights != nullptr ? weights + row * n_columns : nullptr, n_columns,
                                         &bytes[row * n_bytes], grid, effort);
}

void rms_norm(ThreadPool& pool, std::span<const float> x, std::span<const float> weight, float epsilon,
              std::span<float> out) {
  const size_t width = weight.size();
  RUVLLM_ASSERT(x.size() == out.size() && x.size() % width == 0);
  in_tiles(pool, x.size(), width, [&](size_t first, size_t count) {
    for (size_t at = first; at < first + count; at += width)
      kernels::active().rms_norm(&x[at], weight.data(), epsilon, &out[at], width);
  });
}

void layer_norm(ThreadPool& pool, std::span<const float> x, std::span<const float> weight,
                std::span<const float> bias, float epsilon, std::span<float> out) {
  const size_t width = weight.size();
  RUVLLM_ASSERT(x.size() == out.size() && x.size() % width == 0 && (bias.empty() || bias.size() == width));
  const float* shift = bias.empty() ? nullptr : bias.data();
  in_tiles(pool, x.size(), width, [&](size_t first, size_t count) {
    for (size_t at = first; at < first + count; at += width)
      kernels::active().layer_norm(&x[at], weight.data(), shift, epsilon, &out[at], width);
  });
}

void activate(ThreadPool& pool, Activation activation, std::span<float> x) {
  RUVLLM_ASSERT(activation != Activation::silu);  // no model has SiLU without a gate
  in_tiles(pool, x.size(), 64, [&](size_t first, size_t count) {
    kernels::active().gelu(&x[first], count, activation == Activation::gelu_tanh);
  });
}

void activate_gated(ThreadPool& pool, Activation activation, std::span<float> gate,
                    std::span<const float> up) {
  RUVLLM_ASSERT(gate.size() == up.size());
  in_tiles(pool, gate.size(), 64, [&](size_t first, size_t count) {
    if (activation == Activation::silu)
      kernels::active().silu_multiply(&gate[first], &up[first], count);
    else
      kernels::active().gelu_multiply(&gate[first], &up[first], count, activation == Activation::gelu_tanh);
  });
}

void add(std::span<float> x, std::span<const float> y) {
  RUVLLM_ASSERT(x.size() == y.size());
  kernels::active().add(x.data(), y.data(), x.size());
}

void scale(std::span<float> x, float factor) { kernels::active().scale(x.data(), factor, x.size()); }

void add_scaled(std::span<float> x, float factor, std::span<const float> y) {
  RUVLLM_ASSERT(x.size() == y.size());
  for (size_t i = 0; i < x.size(); ++i) x[i] += factor * y[i];
}

void soft_cap(ThreadPool& pool, std::span<float> x, float cap) {
  in_tiles(pool, x.size(), 64,
           [&](size_t first, size_t count) { kernels::active().soft_cap(&x[first], cap, count); });
}

void softmax(std::span<float> x) { kernels::active().softmax(x.data(), x.size()); }

float sigmoid(float x) { return 1.0f / (1.0f + std::exp(-x)); }

}  // namespace ruvllm::tensor
