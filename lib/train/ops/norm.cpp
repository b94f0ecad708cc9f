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
// dx = r (u - mean(u) - z mean(u z)),  dw += dy z,  db += dy. Means are over a group.
template <typename T>
Var layer_norm(Tape<T>& tape, Var x, Var weight, Var bias, T epsilon, size_t group) {
  const Shape shape = tape.shape(x);
  const size_t d = shape.n_columns, n = group ? group : d;
  RUVLLM_ASSERT(d % n == 0 && tape.shape(weight).n_values() == d && tape.shape(bias).n_values() == d);
  const Var y =
      tape.make(shape, tape.needs_gradient(x) || tape.needs_gradient(weight) || tape.needs_gradient(bias));
  const std::span<T> inverse = tape.scratch(shape.n_values() / n);
  const std::span<T> centred = tape.scratch(shape.n_values());  // z
  const T *w = tape.value(weight).data(), *b = tape.value(bias).data();
  for_each_row(tape, shape.n_values() / n, [&](size_t i) {  // row and group in it
    const size_t column = i * n % d;
    const T* in = tape.value(x).data() + i * n;
    T *z = centred.data() + i * n, *out = tape.value(y).data() + i * n;
    T mean = 0, variance = 0;
    for (size_t j = 0; j < n; ++j) mean += in[j];
    mean /= static_cast<T>(n);
    for (size_t j = 0; j < n; ++j) variance += (in[j] - mean) * (in[j] - mean);
    inverse[i] = T(1) / std::sqrt(variance / static_cast<T>(n) + epsilon);
    for (size_t j = 0; j < n; ++j) {
      z[j] = (in[j] - mean) * inverse[i];
      out[j] = z[j] * w[column + j] + b[column + j];
    }
  });
  if (!tape.needs_gradient(y)) return y;
  tape.on_backward([&tape, x, weight, bias, y, d, n, n_rows = shape.n_rows, inverse, centred] {
    const T* factors = tape.value(weight).data();
    if (tape.needs_gradient(x))
      for_each_row(tape, n_rows * d / n, [&](size_t i) {
        const T *dy = tape.gradient(y).data() + i * n, *z = centred.data() + i * n;
        const T* of_group = factors + i * n % d;
        T* dx = tape.gradient(x).data() + i * n;
        T mean = 0, mean_z = 0;
        for (size_t j = 0; j < n; ++j) {
          mean += dy[j] * of_group[j];
          mean_z += dy[j] * of_group[j] * z[j];
        }
        mean /= static_cast<T>(n);
        mean_z /= static_cast<T>(n);
        for (size_t j = 0; j < n; ++j) dx[j] += inverse[i] * (dy[j] * of_group[j] - mean - z[j] * mean_z);
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
  template Var layer_norm(Tape<T>&, Var, Var, Var, T, size_t);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace ruvllm::train
