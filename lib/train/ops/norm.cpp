#include "base/error.h"
#include "train/ops/ops.h"
#include "train/ops/rows.h"
#include "train/ops/vector.h"

#include <cmath>

namespace ruvllm::train {

// y = x r w with r = 1 / sqrt(mean(x^2) + epsilon). With u = dy w:
// dx = r (u - x r^2 mean(u x)),  dw += dy x r.
template <typename T>
Var rms_norm(Tape<T>& tape, Var x, Var weight, T epsilon, size_t group) {
  const Shape shape = tape.shape(x);
  const size_t d = group ? group : shape.n_columns;
  RUVLLM_ASSERT(shape.n_columns % d == 0 && tape.shape(weight).n_values() == d);
  const size_t n_groups = shape.n_values() / d;
  const Var y = tape.make(shape, tape.needs_gradient(x) || tape.needs_gradient(weight));
  const std::span<T> inverse = tape.scratch(n_groups);
  const T *in = tape.value(x).data(), *w = tape.value(weight).data();
  T* out = tape.value(y).data();
  for_each_row(tape, n_groups, [&](size_t row) {
    const T sum = dot(in + row * d, in + row * d, d);
    inverse[row] = T(1) / std::sqrt(sum / static_cast<T>(d) + epsilon);
    norm_row(in + row * d, w, inverse[row], out + row * d, d);
  });
  if (!tape.needs_gradient(y)) return y;
  tape.on_backward([&tape, x, weight, y, d, n_groups, inverse] {
    const T *at = tape.value(x).data(), *factors = tape.value(weight).data(), *dy = tape.gradient(y).data();
    T *dx = tape.gradient(x).data(), *d_weight = tape.gradient(weight).data();
    if (dx)
      for_each_row(tape, n_groups, [&](size_t row) {
        norm_row_backward(at + row * d, factors, dy + row * d, inverse[row], dx + row * d, d);
      });
    if (d_weight)
      for_each_column_range(tape, d, [&](size_t first, size_t n) {
        for (size_t row = 0; row < n_groups; ++row)
          norm_weight_backward(at + row * d + first, dy + row * d + first, inverse[row], d_weight + first, n);
      });
  });
  return y;
}

// y = z w + b with z = (x - mean) r, r = 1 / sqrt(variance + epsilon). With u = dy w:
// dx = r (u - mean(u) - z mean(u z)),  dw += dy z,  db += dy.
template <typename T>
Var layer_norm(Tape<T>& tape, Var x, Var weight, Var bias, T epsilon) {
  const Shape shape = tape.shape(x);
  const size_t d = shape.n_columns;
  const Var y =
      tape.make(shape, tape.needs_gradient(x) || tape.needs_gradient(weight) || tape.needs_gradient(bias));
  const std::span<T> inverse = tape.scratch(shape.n_rows);
  const std::span<T> centred = tape.scratch(shape.n_values());  // z
  for_each_row(tape, shape.n_rows, [&](size_t row) {
    const T* in = tape.value(x).data() + row * d;
    T* z = centred.data() + row * d;
    T mean = 0, variance = 0;
    for (size_t i = 0; i < d; ++i) mean += in[i];
    mean /= static_cast<T>(d);
    for (size_t i = 0; i < d; ++i) variance += (in[i] - mean) * (in[i] - mean);
    inverse[row] = T(1) / std::sqrt(variance / static_cast<T>(d) + epsilon);
    for (size_t i = 0; i < d; ++i) {
      z[i] = (in[i] - mean) * inverse[row];
      tape.value(y)[row * d + i] = z[i] * tape.value(weight)[i] + tape.value(bias)[i];
    }
  });
  if (!tape.needs_gradient(y)) return y;
  tape.on_backward([&tape, x, weight, bias, y, d, n_rows = shape.n_rows, inverse, centred] {
    if (tape.needs_gradient(x))
      for_each_row(tape, n_rows, [&](size_t row) {
        const T* dy = tape.gradient(y).data() + row * d;
        const T* z = centred.data() + row * d;
        T mean = 0, mean_z = 0;
        for (size_t i = 0; i < d; ++i) {
          mean += dy[i] * tape.value(weight)[i];
          mean_z += dy[i] * tape.value(weight)[i] * z[i];
        }
        mean /= static_cast<T>(d);
        mean_z /= static_cast<T>(d);
        for (size_t i = 0; i < d; ++i)
          tape.gradient(x)[row * d + i] +=
              inverse[row] * (dy[i] * tape.value(weight)[i] - mean - z[i] * mean_z);
      });
    for (size_t row = 0; row < n_rows; ++row)
      for (size_t i = 0; i < d; ++i) {
        const T dy = tape.gradient(y)[row * d + i];
        if (tape.needs_gradient(weight)) tape.gradient(weight)[i] += dy * centred[row * d + i];
        if (tape.needs_gradient(bias)) tape.gradient(bias)[i] += dy;
      }
  });
  return y;
}

#define INSTANTIATE(T)                                  \
  template Var rms_norm(Tape<T>&, Var, Var, T, size_t); \
  template Var layer_norm(Tape<T>&, Var, Var, Var, T);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace ruvllm::train
