// Rows of training's operations, written once over sixteen lanes. Included after a column's simd.h and
// pairs.h; what each function does is said in kernels/training.h. Tested by tests/kernels/training_test.cpp.
#pragma once

#include "kernels/kernels.h"
#include "kernels/lanes/gemm.h"
#include "kernels/lanes/gemm_bf16.h"
#include "kernels/lanes/vector.h"
#include "kernels/training.h"

namespace ruvllm::kernels {
namespace {

/// A vector of up to 16 values at `i` of a row of n: whole, or the row's tail padded with zeros.
struct Piece {
  size_t i, n;
  Floats of(const float* x) const { return n == kLanes ? load(x + i) : load_tail(x + i, n, 0.0f); }
  void put(float* x, Floats a) const {
    if (n == kLanes)
      store(x + i, a);
    else
      store_tail(x + i, a, n);
  }
};

template <class Body>
inline void for_each_piece(size_t n, Body body) {
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(Piece{i, kLanes});
  if (i < n) body(Piece{i, n - i});
}

float dot_rows(const float* a, const float* b, size_t n) {
  Floats sum = broadcast(0.0f);
  for_each_piece(n, [&](Piece at) { sum = fma(at.of(a), at.of(b), sum); });
  return sum_of_lanes(sum);
}

float largest_of(const float* x, size_t n) {
  return maximum_of_lanes(
      fold(x, n, broadcast(-INFINITY), -INFINITY, [](Floats m, Floats v) { return maximum(m, v); }));
}

void add_scaled(float* y, const float* x, float factor, size_t n) {
  map2(y, x, n, [f = broadcast(factor)](Floats a, Floats b) { return fma(f, b, a); });
}

/// An activation and its derivative at one point.
struct Slope {
  Floats value, slope;
};

/// 1 / (1 + e^-x)
inline Floats sigmoid(Floats x) {
  const Floats one = broadcast(1.0f);
  return divide(one, add(one, exponential(subtract(broadcast(0.0f), x))));
}

struct Silu {
  Slope operator()(Floats x) const {
    const Floats s = sigmoid(x);
    const Floats value = multiply(x, s);
    return {value, fma(value, subtract(broadcast(1.0f), s), s)};
  }
};

// x sigmoid(2u) with u = sqrt(2/pi) (x + 0.044715 x^3).
struct Gelu {
  Slope operator()(Floats x) const {
    const Floats square = multiply(x, x), root = broadcast(2 * 0.7978845608f);
    const Floats u = multiply(multiply(root, x), fma(broadcast(0.044715f), square, broadcast(1.0f)));
    const Floats s = sigmoid(u);
    const Floats value = multiply(x, s);
    const Floats inner = multiply(root, fma(broadcast(3 * 0.044715f), square, broadcast(1.0f)));
    return {value, fma(multiply(value, subtract(broadcast(1.0f), s)), inner, s)};
  }
};

struct SoftCap {
  Floats cap;
  Slope operator()(Floats x) const {
    const Floats t = hyperbolic_tangent(divide(x, cap));
    return {multiply(cap, t), subtract(broadcast(1.0f), multiply(t, t))};
  }
};

template <class Body>
inline void with_activation(Activation activation, float cap, Body body) {
  switch (activation) {
    case Activation::silu:
      return body(Silu{});
    case Activation::gelu:
      return body(Gelu{});
    case Activation::soft_cap:
      return body(SoftCap{broadcast(cap)});
  }
}

void activate(Activation activation, float cap, const float* gate, const float* up, float* out, size_t n) {
  with_activation(activation, cap, [&](auto function) {
    for_each_piece(n, [&](Piece at) {
      const Floats value = function(at.of(gate)).value;
      at.put(out, up != nullptr ? multiply(value, at.of(up)) : value);
    });
  });
}

void activate_backward(Activation activation, float cap, const float* gate, const float* up, const float* dy,
                       float* d_gate, float* d_up, size_t n) {
  with_activation(activation, cap, [&](auto function) {
    for_each_piece(n, [&](Piece at) {
      const Slope point = function(at.of(gate));
      const Floats g = at.of(dy);
      if (d_gate != nullptr) {
        const Floats outer = up != nullptr ? multiply(g, at.of(up)) : g;
        at.put(d_gate, fma(outer, point.slope, at.of(d_gate)));
      }
      if (d_up != nullptr) at.put(d_up, fma(g, point.value, at.of(d_up)));
    });
  });
}

float exponentials(const float* x, float factor, float shift, float* out, size_t n) {
  const Floats f = broadcast(factor), s = broadcast(-shift);
  Floats sum = broadcast(0.0f);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Floats e = exponential(fma(f, load(x + i), s));
    if (out != nullptr) store(out + i, e);
    sum = add(sum, e);
  }
  if (i < n) {
    float lane[kLanes] = {};  // lanes beyond the row add nothing
    store_tail(lane, exponential(fma(f, load_tail(x + i, n - i, 0.0f), s)), n - i);
    if (out != nullptr) memcpy(out + i, lane, (n - i) * sizeof(float));
    sum = add(sum, load(lane));
  }
  return sum_of_lanes(sum);
}

void add_exponentials(float* y, const float* x, float shift, float factor, size_t n) {
  const Floats f = broadcast(factor), s = broadcast(shift);
  map2(y, x, n, [&](Floats a, Floats b) { return fma(f, exponential(subtract(b, s)), a); });
}

void score_gradient(const ScoreGradient& row, float* scores, float* dp, size_t n) {
  const Floats log_sum = broadcast(row.log_sum), overlap = broadcast(row.overlap), one = broadcast(1.0f);
  const Floats factor = broadcast(row.scale), inverse_cap = broadcast(row.inverse_cap);
  for_each_piece(n, [&](Piece at) {
    const Floats s = at.of(scores), capped = multiply(s, inverse_cap);
    const Floats p = exponential(subtract(s, log_sum));
    const Floats slope = multiply(factor, subtract(one, multiply(capped, capped)));
    at.put(scores, p);
    at.put(dp, multiply(multiply(p, subtract(at.of(dp), overlap)), slope));
  });
}

void norm_row(const float* x, const float* weight, float inverse, float* out, size_t n) {
  const Floats r = broadcast(inverse);
  for_each_piece(n, [&](Piece at) { at.put(out, multiply(multiply(at.of(x), r), at.of(weight))); });
}

void norm_row_backward(const float* x, const float* weight, const float* dy, float inverse, float* dx,
                       size_t n) {
  Floats sum = broadcast(0.0f);
  for_each_piece(n, [&](Piece at) { sum = fma(multiply(at.of(dy), at.of(weight)), at.of(x), sum); });
  const float mean = sum_of_lanes(sum) / static_cast<float>(n);
  const Floats r = broadcast(inverse), along = broadcast(inverse * inverse * mean);
  for_each_piece(n, [&](Piece at) {
    const Floats u = multiply(at.of(dy), at.of(weight));
    at.put(dx, fma(r, subtract(u, multiply(at.of(x), along)), at.of(dx)));
  });
}

void norm_weight_backward(const float* x, const float* dy, float inverse, float* d_weight, size_t n) {
  const Floats r = broadcast(inverse);
  for_each_piece(n,
                 [&](Piece at) { at.put(d_weight, fma(at.of(dy), multiply(at.of(x), r), at.of(d_weight))); });
}

void adamw(const AdamWStep& step, float* value, float* gradient, float* first_moment, float* second_moment,
           size_t n) {
  const Floats factor = broadcast(step.gradient_factor), zero = broadcast(0.0f);
  const Floats beta1 = broadcast(step.beta1), rest1 = broadcast(1 - step.beta1);
  const Floats beta2 = broadcast(step.beta2), rest2 = broadcast(1 - step.beta2);
  const Floats correction1 = broadcast(step.correction1), correction2 = broadcast(step.correction2);
  const Floats epsilon = broadcast(step.epsilon), rate = broadcast(-step.learning_rate);
  const Floats kept = broadcast(1 - step.decay);
  for_each_piece(n, [&](Piece at) {
    const Floats g = multiply(at.of(gradient), factor);
    const Floats m = fma(beta1, at.of(first_moment), multiply(rest1, g));
    const Floats v = fma(beta2, at.of(second_moment), multiply(rest2, multiply(g, g)));
    at.put(first_moment, m);
    at.put(second_moment, v);
    const Floats root = square_root(multiply(v, correction2));
    const Floats update = divide(multiply(m, correction1), add(root, epsilon));
    at.put(value, fma(rate, update, multiply(kept, at.of(value))));
    at.put(gradient, zero);
  });
}

constexpr TrainingKernels kTrainingOfLanes = {
    .pack = {gemm_pack<kGemmRows>, gemm_pack<kGemmColumns>},
    .gemm_bf16 = kGemmBf16,
    .pack_bf16 = kPackBf16,
    .dot = dot_rows,
    .largest = largest_of,
    .add_scaled = add_scaled,
    .activate = activate,
    .activate_backward = activate_backward,
    .exponentials = exponentials,
    .add_exponentials = add_exponentials,
    .score_gradient = score_gradient,
    .norm_row = norm_row,
    .norm_row_backward = norm_row_backward,
    .norm_weight_backward = norm_weight_backward,
    .adamw = adamw,
};

}  // namespace
}  // namespace ruvllm::kernels
