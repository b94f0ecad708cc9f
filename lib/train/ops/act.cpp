#include "base/error.h"
#include "train/ops/ops.h"
#include "train/ops/rows.h"

#include <cmath>

namespace ruvllm::train {
namespace {

// An activation function and its derivative at the same point.
template <typename T>
struct PointAndSlope {
  T value, slope;
};

template <typename T>
PointAndSlope<T> silu_at(T x) {
  const T sigmoid = T(1) / (T(1) + std::exp(-x));
  return {x * sigmoid, sigmoid * (T(1) + x * (T(1) - sigmoid))};
}

// gelu(x) = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), Hendrycks and Gimpel 2016.
template <typename T>
PointAndSlope<T> gelu_at(T x) {
  constexpr T kRoot = T(0.7978845608028653558798921198687), kCubic = T(0.044715);
  const T t = std::tanh(kRoot * (x + kCubic * x * x * x));
  const T inner_slope = kRoot * (T(1) + T(3) * kCubic * x * x);
  return {x * (T(1) + t) / T(2), (T(1) + t) / T(2) + x * (T(1) - t * t) * inner_slope / T(2)};
}

// activation(gate) * up for any activation.
template <typename T, typename Activation>
Var gated(Tape<T>& tape, Var gate, Var up, Activation activation) {
  const Shape shape = tape.shape(gate);
  RUVLLM_ASSERT(tape.shape(up) == shape);
  const size_t d = shape.n_columns;
  const Var y = tape.make(shape, tape.needs_gradient(gate) || tape.needs_gradient(up));
  for_each_row(tape, shape.n_rows, [&](size_t row) {
    for (size_t i = row * d; i < (row + 1) * d; ++i)
      tape.value(y)[i] = activation(tape.value(gate)[i]).value * tape.value(up)[i];
  });
  if (!tape.needs_gradient(y)) return y;
  tape.on_backward([&tape, gate, up, y, d, n_rows = shape.n_rows, activation] {
    for_each_row(tape, n_rows, [&](size_t row) {
      for (size_t i = row * d; i < (row + 1) * d; ++i) {
        const PointAndSlope<T> at = activation(tape.value(gate)[i]);
        const T dy = tape.gradient(y)[i];
        if (tape.needs_gradient(gate)) tape.gradient(gate)[i] += dy * at.slope * tape.value(up)[i];
        if (tape.needs_gradient(up)) tape.gradient(up)[i] += dy * at.value;
      }
    });
  });
  return y;
}

// activation(x) element by element.
template <typename T, typename Activation>
Var pointwise(Tape<T>& tape, Var x, Activation activation) {
  const Shape shape = tape.shape(x);
  const size_t d = shape.n_columns;
  const Var y = tape.make(shape, tape.needs_gradient(x));
  for_each_row(tape, shape.n_rows, [&](size_t row) {
    for (size_t i = row * d; i < (row + 1) * d; ++i) tape.value(y)[i] = activation(tape.value(x)[i]).value;
  });
  if (!tape.needs_gradient(y)) return y;
  tape.on_backward([&tape, x, y, d, n_rows = shape.n_rows, activation] {
    for_each_row(tape, n_rows, [&](size_t row) {
      for (size_t i = row * d; i < (row + 1) * d; ++i)
        tape.gradient(x)[i] += tape.gradient(y)[i] * activation(tape.value(x)[i]).slope;
    });
  });
  return y;
}

}  // namespace

template <typename T>
Var silu_multiply(Tape<T>& tape, Var gate, Var up) {
  return gated(tape, gate, up, silu_at<T>);
}

template <typename T>
Var gelu_multiply(Tape<T>& tape, Var gate, Var up) {
  return gated(tape, gate, up, gelu_at<T>);
}

template <typename T>
Var gelu(Tape<T>& tape, Var x) {
  return pointwise(tape, x, gelu_at<T>);
}

template <typename T>
Var soft_cap(Tape<T>& tape, Var x, T cap) {
  return pointwise(tape, x, [cap](T at) {
    const T t = std::tanh(at / cap);
    return PointAndSlope<T>{cap * t, T(1) - t * t};
  });
}

#define INSTANTIATE(T)                            \
  template Var silu_multiply(Tape<T>&, Var, Var); \
  template Var gelu_multiply(Tape<T>&, Var, Var); \
  template Var gelu(Tape<T>&, Var);               \
  template Var soft_cap(Tape<T>&, Var, T);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace ruvllm::train
