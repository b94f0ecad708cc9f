// What only training computes with vector instructions: packed operands of products, activations with their
// slopes, exponentials for losses and attention, RMS norms backward, AdamW. One table an instruction set; the
// promise is that of kernels.h: every set gives the same bits.
//
// Sums over a row have the shape that lanes/vector.h describes: sixteen partial sums, then a tree.
// Used by lib/tensor and lib/train; tested by tests/kernels/training_test.cpp and tests/tensor/gemm_test.cpp.
#pragma once

#include "kernels/kernels.h"

#include <cstddef>

namespace ruvllm::kernels {

/// Sixteen or so rows of op(A), or columns of op(B), on their way into the order that a tile reads: element
/// (lane, k) is data[lane * lane_stride + k * k_stride]. One of the strides is 1.
struct GemmStrip {
  const float* data;
  size_t lane_stride;
  size_t k_stride;
  size_t n_lanes;  ///< the rest, up to the tile's width, become zeros
  size_t n_k;
};

/// Puts a strip in order: strip[k * n_rows + lane] for rows of A, strip[k * n_columns + lane] for columns of
/// B, with n_rows and n_columns of the set's GemmKernel.
struct GemmPacking {
  void (*rows)(const GemmStrip& from, float* strip);
  void (*columns)(const GemmStrip& from, float* strip);
};

/// Activations that training knows the slope of.
enum class Activation {
  silu,      ///< x / (1 + e^-x)
  gelu,      ///< the tanh form (Hendrycks and Gimpel 2016)
  soft_cap,  ///< cap * tanh(x / cap)
};

/// From scores (scaled and soft-capped) to probabilities and from their gradient to that of the raw scores.
struct ScoreGradient {
  float log_sum;      ///< log of the sum of the row's exponentials
  float overlap;      ///< dot product of the output's gradient with the output
  float scale;        ///< what raw scores were multiplied by
  float inverse_cap;  ///< 0: no soft-cap
};

struct AdamWStep {
  float gradient_factor;  ///< clipping
  float beta1, beta2;
  float correction1, correction2;  ///< 1 / (1 - beta^step)
  float epsilon;
  float learning_rate;
  float decay;  ///< of the value: learning rate times weight decay
};

struct TrainingKernels {
  GemmPacking pack;  ///< for the f32 tile, KernelSet::gemm
  /// Products of operands rounded to bf16 (to nearest, ties to even; denormals to zero), summed in f32. A
  /// step of the tile is a pair of k: first the odd values' product is added, then the even values', each sum
  /// rounded, and zero where that (with exponents of any size) is below the normal numbers. A packed word is
  /// a pair, the even value in its low half.
  GemmKernel gemm_bf16;
  GemmPacking pack_bf16;

  float (*dot)(const float* a, const float* b, size_t n);
  float (*largest)(const float* x, size_t n);
  /// y += factor * x
  void (*add_scaled)(float* y, const float* x, float factor, size_t n);

  /// out = activation(gate) * up; up may be null: out = activation(gate). `cap` is soft_cap's.
  void (*activate)(Activation activation, float cap, const float* gate, const float* up, float* out,
                   size_t n);
  /// d_gate += dy * up * slope(gate); d_up += dy * activation(gate). up, d_gate and d_up may be null.
  void (*activate_backward)(Activation activation, float cap, const float* gate, const float* up,
                            const float* dy, float* d_gate, float* d_up, size_t n);

  /// out = e^(factor * x - shift); returns its sum. out may be x, or null: only the sum.
  float (*exponentials)(const float* x, float factor, float shift, float* out, size_t n);
  /// y += factor * e^(x - shift)
  void (*add_exponentials)(float* y, const float* x, float shift, float factor, size_t n);
  /// scores become probabilities p = e^(s - log_sum); dp, the gradient of p, becomes that of the raw scores:
  /// p (dp - overlap) (1 - (s / cap)^2) scale.
  void (*score_gradient)(const ScoreGradient& row, float* scores, float* dp, size_t n);

  /// out = x * inverse * weight
  void (*norm_row)(const float* x, const float* weight, float inverse, float* out, size_t n);
  /// With u = dy weight: dx += inverse (u - x inverse^2 mean(u x))
  void (*norm_row_backward)(const float* x, const float* weight, const float* dy, float inverse, float* dx,
                            size_t n);
  /// d_weight += dy * x * inverse
  void (*norm_weight_backward)(const float* x, const float* dy, float inverse, float* d_weight, size_t n);

  /// One step of n values and their moments; the gradient becomes zero.
  void (*adamw)(const AdamWStep& step, float* value, float* gradient, float* first_moment,
                float* second_moment, size_t n);
};

/// The table that goes with active().
const TrainingKernels& training();
/// The table that goes with a set.
const TrainingKernels& training_of(const KernelSet& set);

/// Every table that this machine can run, scalar first.
const TrainingKernels* const* available_training(size_t* n_tables);

}  // namespace ruvllm::kernels
