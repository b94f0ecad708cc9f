// Maths on rows between the matrix products: norms, activations, sums. One loop each over the kernel table,
// spread over a pool where there are rows enough. Each row is computed alone, so neighbours and threads
// change no bit. Tested by tests/tensor/ops_test.cpp.
#pragma once

#include "base/thread_pool.h"
#include "tensor/format.h"

#include <cstdint>
#include <span>

namespace ruvllm::tensor {

/// The non-linear functions of feed-forward blocks.
enum class Activation { silu, gelu_tanh, gelu_erf };

/// Blocks of a file to f32. `values` holds what `bytes` encode (asserted).
void decode_values(Format format, std::span<const std::byte> bytes, std::span<float> values);

/// Whole rows of n_columns values, or a part of one row that begins and ends with a block (then n_columns is
/// its length). `grid` matters in formats that have one. Sizes are asserted.
void decode_rows(Format format, const Grid& grid, uint64_t n_columns, std::span<const std::byte> bytes,
                 std::span<float> values);
/// The inverse, as near as the format allows: the sum of importance * (decoded - value)^2 is made small.
/// `importance`: one a value, or empty: all weigh the same.
void encode_rows(Format format, const Grid& grid, uint64_t n_columns, std::span<const float> values,
                 std::span<const float> importance, kernels::Search effort, std::span<std::byte> bytes);

/// Rows of weight.size() values: out = x / sqrt(mean(x^2) + epsilon) * weight. `out` may be `x`.
void rms_norm(ThreadPool& pool, std::span<const float> x, std::span<const float> weight, float epsilon,
              std::span<float> out);

/// Rows of weight.size() values: out = (x - mean) / sqrt(variance + epsilon) * weight + bias. `bias` may be
/// empty, `out` may be `x`.
void layer_norm(ThreadPool& pool, std::span<const float> x, std::span<const float> weight,
                std::span<const float> bias, float epsilon, std::span<float> out);

/// x = f(x)
void activate(ThreadPool& pool, Activation activation, std::span<float> x);
/// gate = f(gate) * up
void activate_gated(ThreadPool& pool, Activation activation, std::span<float> gate,
                    std::span<const float> up);

/// x += y
void add(std::span<float> x, std::span<const float> y);
/// x *= factor
void scale(std::span<float> x, float factor);
/// x += factor * y
void add_scaled(std::span<float> x, float factor, std::span<const float> y);
/// x = cap * tanh(x / cap)
void soft_cap(ThreadPool& pool, std::span<float> x, float cap);
/// In place, max-subtracted, over all of x.
void softmax(std::span<float> x);
/// 1 / (1 + exp(-x))
float sigmoid(float x);

}  // namespace ruvllm::tensor
