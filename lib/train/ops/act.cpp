#include "base/error.h"
#include "train/ops/ops.h"
#include "train/ops/rows.h"
#include "train/ops/vector.h"

namespace ruvllm::train {
namespace {

using kernels::Activation;

// activation(gate) * up; without `up` the activation alone.
template <typename T>
Var activated(Tape<T>& tape, const ActivationFunction<T>& activation, Var gate, const Var* up) {
  const Shape shape = tape.shape(gate);
  RUVLLM_ASSERT(!up || tape.shape(*up) == shape);
  const size_t d = shape.n_columns;
  const Var y = tape.make(shape, tape.needs_gradient(gate) || (up && tape.needs_gradient(*up)));
  const T *in = tape.value(gate).data(), *factors = up ? tape.value(*up).data() : nullptr;
  T* out = tape.value(y).data();
  for_each_row(tape, shape.n_rows, [&](size_t row) {
    activate(activation, in + row * d, factors ? factors + row * d : nullptr, out + row * d, d);
  });
  if (!tape.needs_gradient(y)) return y;
  tape.on_backward([&tape, activation, gate, other = up ? *up : gate, is_gated = up != nullptr, y, d,
                    n_rows = shape.n_rows] {
    const T *at = tape.value(gate).data(), *times = is_gated ? tape.value(other).data() : nullptr;
    const T* dy = tape.gradient(y).data();
    T* d_gate = tape.gradient(gate).data();
    T* d_up = is_gated ? tape.gradient(other).data() : nullptr;
    const auto row_of = [d](auto* values, size_t row) { return values ? values + row * d : nullptr; };
    for_each_row(tape, n_rows, [&](size_t row) {
      activate_backward(activation, row_of(at, row), row_of(times, row), row_of(dy, row), row_of(d_gate, row),
                        row_of(d_up, row), d);
    });
  });
  return y;
}

}  // namespace

template <typename T>
Var silu_multiply(Tape<T>& tape, Var gate, Var up) {
  return activated<T>(tape, {Activation::silu}, gate, &up);
}

template <typename T>
Var gelu_multiply(Tape<T>& tape, Var gate, Var up) {
  return activated<T>(tape, {Activation::gelu}, gate, &up);
}

template <typename T>
Var gelu(Tape<T>& tape, Var x) {
  return activated<T>(tape, {Activation::gelu}, x, nullptr);
}

template <typename T>
Var soft_cap(Tape<T>& tape, Var x, T cap) {
  return activated<T>(tape, {Activation::soft_cap, cap}, x, nullptr);
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
