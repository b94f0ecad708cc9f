#include "base/error.h"
#include "train/ops/ops.h"
#include "train/ops/rows.h"
#include "train/ops/vector.h"

namespace ruvllm::train {

template <typename T>
Var add(Tape<T>& tape, Var x, Var y) {
  const Shape shape = tape.shape(x);
  const size_t d = shape.n_columns;
  const bool is_bias = tape.shape(y).n_rows == 1 && shape.n_rows != 1;
  RUVLLM_ASSERT(tape.shape(y).n_columns == d && (is_bias || tape.shape(y) == shape));
  const Var sum = tape.make(shape, tape.needs_gradient(x) || tape.needs_gradient(y));
  const T *a = tape.value(x).data(), *b = tape.value(y).data();
  T* out = tape.value(sum).data();
  for_each_row(tape, shape.n_rows, [&](size_t row) {
    std::copy_n(a + row * d, d, out + row * d);
    add_to(out + row * d, b + (is_bias ? 0 : row * d), d);
  });
  if (!tape.needs_gradient(sum)) return sum;
  tape.on_backward([&tape, x, y, sum, shape, d, is_bias] {
    const T* g = tape.gradient(sum).data();
    T *dx = tape.gradient(x).data(), *dy = tape.gradient(y).data();
    for_each_row(tape, shape.n_rows, [&](size_t row) {
      if (dx) add_to(dx + row * d, g + row * d, d);
      if (dy && !is_bias) add_to(dy + row * d, g + row * d, d);
    });
    if (dy && is_bias)  // rows in order
      for_each_column_range(tape, d, [&](size_t first, size_t n) {
        for (size_t row = 0; row < shape.n_rows; ++row) add_to(dy + first, g + row * d + first, n);
      });
  });
  return sum;
}

template <typename T>
Var scale(Tape<T>& tape, Var x, T factor) {
  const Var y = tape.make(tape.shape(x), tape.needs_gradient(x));
  const T* in = tape.value(x).data();
  T* out = tape.value(y).data();
  for (size_t i = 0; i < tape.value(x).size(); ++i) out[i] = factor * in[i];
  if (!tape.needs_gradient(y)) return y;
  tape.on_backward([&tape, x, y, factor] {
    add_scaled(tape.gradient(x).data(), tape.gradient(y).data(), factor, tape.gradient(y).size());
  });
  return y;
}

template <typename T>
Var weighted_sum(Tape<T>& tape, std::span<const Var> terms, std::span<const T> weights) {
  RUVLLM_ASSERT(terms.size() == weights.size());
  bool needs_gradient = false;
  T sum = 0;
  for (size_t i = 0; i < terms.size(); ++i) {
    RUVLLM_ASSERT(tape.shape(terms[i]) == (Shape{1, 1}));
    needs_gradient |= tape.needs_gradient(terms[i]);
    sum += weights[i] * tape.value(terms[i])[0];
  }
  const Var y = tape.make({1, 1}, needs_gradient);
  tape.value(y)[0] = sum;
  if (!needs_gradient) return y;
  tape.on_backward([&tape, y, vars = std::vector<Var>(terms.begin(), terms.end()),
                    factors = std::vector<T>(weights.begin(), weights.end())] {
    for (size_t i = 0; i < vars.size(); ++i)
      if (tape.needs_gradient(vars[i])) tape.gradient(vars[i])[0] += factors[i] * tape.gradient(y)[0];
  });
  return y;
}

template <typename T>
Var slice_columns(Tape<T>& tape, Var x, size_t first, size_t n) {
  const Shape shape = tape.shape(x);
  RUVLLM_ASSERT(first + n <= shape.n_columns);
  const Var y = tape.make({shape.n_rows, n}, tape.needs_gradient(x));
  for (size_t row = 0; row < shape.n_rows; ++row)
    std::copy_n(tape.value(x).data() + row * shape.n_columns + first, n, tape.value(y).data() + row * n);
  if (!tape.needs_gradient(y)) return y;
  tape.on_backward([&tape, x, y, shape, first, n] {
    T* dx = tape.gradient(x).data() + first;
    const T* dy = tape.gradient(y).data();
    for_each_row(tape, shape.n_rows,
                 [&](size_t row) { add_to(dx + row * shape.n_columns, dy + row * n, n); });
  });
  return y;
}

template <typename T>
Var select_rows(Tape<T>& tape, Var x, std::span<const uint32_t> rows) {
  const size_t d = tape.shape(x).n_columns;
  const Var y = tape.make({rows.size(), d}, tape.needs_gradient(x));
  for (size_t i = 0; i < rows.size(); ++i) {
    RUVLLM_ASSERT(rows[i] < tape.shape(x).n_rows);
    std::copy_n(tape.value(x).data() + rows[i] * d, d, tape.value(y).data() + i * d);
  }
  if (!tape.needs_gradient(y)) return y;
  tape.on_backward([&tape, x, y, d, chosen = std::vector<uint32_t>(rows.begin(), rows.end())] {
    T* dx = tape.gradient(x).data();
    const T* dy = tape.gradient(y).data();
    for (size_t i = 0; i < chosen.size(); ++i) add_to(dx + chosen[i] * d, dy + i * d, d);
  });
  return y;
}

#define INSTANTIATE(T)                                                           \
  template Var add(Tape<T>&, Var, Var);                                          \
  template Var scale(Tape<T>&, Var, T);                                          \
  template Var weighted_sum(Tape<T>&, std::span<const Var>, std::span<const T>); \
  template Var slice_columns(Tape<T>&, Var, size_t, size_t);                     \
  template Var select_rows(Tape<T>&, Var, std::span<const uint32_t>);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace ruvllm::train
