// What operations do to one row, in either precision: floats by the kernels, doubles (the gradient tests) by
// the plain loops that say what the kernels compute.
#pragma once

#include "kernels/kernels.h"
#include "kernels/training.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <type_traits>

namespace ruvllm::train {

template <typename T>
T dot(const T* a, const T* b, size_t n) {
  if constexpr (std::is_same_v<T, float>) return kernels::training().dot(a, b, n);
  T sum = 0;
  for (size_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

template <typename T>
T largest(const T* x, size_t n) {
  if constexpr (std::is_same_v<T, float>) return kernels::training().largest(x, n);
  return *std::max_element(x, x + n);
}

/// y += x
template <typename T>
void add_to(T* y, const T* x, size_t n) {
  if constexpr (std::is_same_v<T, float>) return kernels::active().add(y, x, n);
  for (size_t i = 0; i < n; ++i) y[i] += x[i];
}

/// y += factor * x
template <typename T>
void add_scaled(T* y, const T* x, T factor, size_t n) {
  if constexpr (std::is_same_v<T, float>) return kernels::training().add_scaled(y, x, factor, n);
  for (size_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

/// x *= factor
template <typename T>
void multiply_by(T* x, T factor, size_t n) {
  if constexpr (std::is_same_v<T, float>) return kernels::active().scale(x, factor, n);
  for (size_t i = 0; i < n; ++i) x[i] *= factor;
}

/// x = cap * tanh(x / cap)
template <typename T>
void soft_cap_row(T* x, T cap, size_t n) {
  if constexpr (std::is_same_v<T, float>) return kernels::active().soft_cap(x, cap, n);
  for (size_t i = 0; i < n; ++i) x[i] = cap * std::tanh(x[i] / cap);
}

/// out = e^(factor * x - shift); returns the sum. out may be x, or null.
template <typename T>
T exponentials(const T* x, T factor, T shift, T* out, size_t n) {
  if constexpr (std::is_same_v<T, float>) return kernels::training().exponentials(x, factor, shift, out, n);
  T sum = 0;
  for (size_t i = 0; i < n; ++i) {
    const T e = std::exp(factor * x[i] - shift);
    if (out) out[i] = e;
    sum += e;
  }
  return sum;
}

/// out = softmax(factor * x), factor > 0; returns the log of the sum of exponentials of factor * x. out may
/// be x.
template <typename T>
T softmax(const T* x, T factor, T* out, size_t n) {
  const T most = factor * largest(x, n);
  const T sum = exponentials(x, factor, most, out, n);
  multiply_by(out, T(1) / sum, n);
  return most + std::log(sum);
}

/// y += factor * e^(x - shift)
template <typename T>
void add_exponentials(T* y, const T* x, T shift, T factor, size_t n) {
  if constexpr (std::is_same_v<T, float>) return kernels::training().add_exponentials(y, x, shift, factor, n);
  for (size_t i = 0; i < n; ++i) y[i] += factor * std::exp(x[i] - shift);
}

template <typename T>
struct ScoreGradient {
  T log_sum, overlap, scale, inverse_cap;
};

/// Scores (scaled, capped) become probabilities, dp their gradient becomes that of the raw scores.
template <typename T>
void score_gradient(const ScoreGradient<T>& row, T* scores, T* dp, size_t n) {
  if constexpr (std::is_same_v<T, float>)
    return kernels::training().score_gradient({row.log_sum, row.overlap, row.scale, row.inverse_cap}, scores,
                                              dp, n);
  for (size_t i = 0; i < n; ++i) {
    const T capped = scores[i] * row.inverse_cap;
    scores[i] = std::exp(scores[i] - row.log_sum);
    dp[i] = scores[i] * (dp[i] - row.overlap) * (T(1) - capped * capped) * row.scale;
  }
}

/// out = x * inverse * weight
template <typename T>
void norm_row(const T* x, const T* weight, T inverse, T* out, size_t n) {
  if constexpr (std::is_same_v<T, float>) return kernels::training().norm_row(x, weight, inverse, out, n);
  for (size_t i = 0; i < n; ++i) out[i] = x[i] * inverse * weight[i];
}

/// With u = dy weight: dx += inverse (u - x inverse^2 mean(u x))
template <typename T>
void norm_row_backward(const T* x, const T* weight, const T* dy, T inverse, T* dx, size_t n) {
  if constexpr (std::is_same_v<T, float>)
    return kernels::training().norm_row_backward(x, weight, dy, inverse, dx, n);
  T mean = 0;
  for (size_t i = 0; i < n; ++i) mean += dy[i] * weight[i] * x[i];
  mean /= static_cast<T>(n);
  for (size_t i = 0; i < n; ++i) dx[i] += inverse * (dy[i] * weight[i] - x[i] * inverse * inverse * mean);
}

/// d_weight += dy * x * inverse
template <typename T>
void norm_weight_backward(const T* x, const T* dy, T inverse, T* d_weight, size_t n) {
  if constexpr (std::is_same_v<T, float>)
    return kernels::training().norm_weight_backward(x, dy, inverse, d_weight, n);
  for (size_t i = 0; i < n; ++i) d_weight[i] += dy[i] * x[i] * inverse;
}

/// An activation, its soft-cap where it has one, and its value and slope at a point.
template <typename T>
struct ActivationFunction {
  kernels::Activation kind;
  T cap = 0;

  struct PointAndSlope {
    T value, slope;
  };
  PointAndSlope operator()(T x) const {
    if (kind == kernels::Activation::silu) {
      const T sigmoid = T(1) / (T(1) + std::exp(-x));
      return {x * sigmoid, sigmoid * (T(1) + x * (T(1) - sigmoid))};
    }
    if (kind == kernels::Activation::soft_cap) {
      const T t = std::tanh(x / cap);
      return {cap * t, T(1) - t * t};
    }
    // gelu(x) = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), Hendrycks and Gimpel 2016.
    constexpr T kRoot = T(0.7978845608028653558798921198687), kCubic = T(0.044715);
    const T t = std::tanh(kRoot * (x + kCubic * x * x * x));
    const T inner_slope = kRoot * (T(1) + T(3) * kCubic * x * x);
    return {x * (T(1) + t) / T(2), (T(1) + t) / T(2) + x * (T(1) - t * t) * inner_slope / T(2)};
  }
};

/// out = activation(gate) * up; up may be null: the activation alone.
template <typename T>
void activate(const ActivationFunction<T>& activation, const T* gate, const T* up, T* out, size_t n) {
  if constexpr (std::is_same_v<T, float>)
    return kernels::training().activate(activation.kind, activation.cap, gate, up, out, n);
  for (size_t i = 0; i < n; ++i) out[i] = activation(gate[i]).value * (up ? up[i] : T(1));
}

/// d_gate += dy * up * slope(gate); d_up += dy * activation(gate). up, d_gate and d_up may be null.
template <typename T>
void activate_backward(const ActivationFunction<T>& activation, const T* gate, const T* up, const T* dy,
                       T* d_gate, T* d_up, size_t n) {
  if constexpr (std::is_same_v<T, float>)
    return kernels::training().activate_backward(activation.kind, activation.cap, gate, up, dy, d_gate, d_up,
                                                 n);
  for (size_t i = 0; i < n; ++i) {
    const auto at = activation(gate[i]);
    if (d_gate) d_gate[i] += dy[i] * at.slope * (up ? up[i] : T(1));
    if (d_up) d_up[i] += dy[i] * at.value;
  }
}

}  // namespace ruvllm::train
