#include "base/error.h"
#include "train/ops/ops.h"
#include "train/ops/rows.h"

#include <cmath>

namespace ruvllm::train {
namespace {

template <typename T>
T pass_through(const StraightThroughArguments& arguments, T w, T q, T g) {
  const T lambda = static_cast<T>(arguments.lambda);
  switch (arguments.rule) {
    case StraightThrough::standard:
      return g;
    case StraightThrough::clipped:
      return std::abs(w) <= static_cast<T>(arguments.clip) ? g : T(0);
    case StraightThrough::ewgs:
      return g + lambda * std::abs(g) * (w - q);
    case StraightThrough::ewgs_abs:
      return g * (T(1) + lambda * std::abs(w - q));
  }
  return g;
}

}  // namespace

template <typename T>
Var fake_quantise(Tape<T>& tape, Var weight, std::span<const T> quantised,
                  const StraightThroughArguments& arguments) {
  const Shape shape = tape.shape(weight);
  RUVLLM_ASSERT(quantised.size() == shape.n_values());
  const Var y = tape.make(shape, tape.needs_gradient(weight));
  std::copy(quantised.begin(), quantised.end(), tape.value(y).begin());
  if (!tape.needs_gradient(y)) return y;
  tape.on_backward([&tape, weight, y, shape, arguments] {
    for_each_row(tape, shape.n_rows, [&](size_t row) {
      for (size_t i = row * shape.n_columns; i < (row + 1) * shape.n_columns; ++i)
        tape.gradient(weight)[i] +=
            pass_through(arguments, tape.value(weight)[i], tape.value(y)[i], tape.gradient(y)[i]);
    });
  });
  return y;
}

template <typename T>
Var lsq_quantise(Tape<T>& tape, Var weight, Var log_steps, size_t group, int q_min, int q_max) {
  const Shape shape = tape.shape(weight);
  const size_t n_groups = (shape.n_columns + group - 1) / group;
  RUVLLM_ASSERT(tape.shape(log_steps) == (Shape{shape.n_rows, n_groups}) && q_min < 0 && q_max > 0);
  const Var y = tape.make(shape, tape.needs_gradient(weight) || tape.needs_gradient(log_steps));
  for_each_row(tape, shape.n_rows, [&](size_t row) {
    for (size_t column = 0; column < shape.n_columns; ++column) {
      const T step = std::exp(tape.value(log_steps)[row * n_groups + column / group]);
      const T level = std::clamp(std::nearbyint(tape.value(weight)[row * shape.n_columns + column] / step),
                                 static_cast<T>(q_min), static_cast<T>(q_max));
      tape.value(y)[row * shape.n_columns + column] = step * level;
    }
  });
  if (!tape.needs_gradient(y)) return y;
  tape.on_backward([&tape, weight, log_steps, y, shape, group, n_groups, q_min, q_max] {
    for_each_row(tape, shape.n_rows, [&](size_t row) {
      for (size_t g = 0; g < n_groups; ++g) {
        const size_t first = row * shape.n_columns + g * group;
        const size_t last = std::min(first + group, (row + 1) * shape.n_columns);
        const T step = std::exp(tape.value(log_steps)[row * n_groups + g]);
        T step_gradient = 0;
        for (size_t i = first; i < last; ++i) {
          const T ratio = tape.value(weight)[i] / step, rounded = std::nearbyint(ratio);
          const bool inside = rounded >= static_cast<T>(q_min) && rounded <= static_cast<T>(q_max);
          const T dy = tape.gradient(y)[i];
          if (inside && tape.needs_gradient(weight)) tape.gradient(weight)[i] += dy;
          step_gradient += dy * (inside ? rounded - ratio : static_cast<T>(rounded < 0 ? q_min : q_max));
        }
        if (tape.needs_gradient(log_steps))  // d exp(l) / dl = step
          tape.gradient(log_steps)[row * n_groups + g] +=
              step_gradient * step / std::sqrt(static_cast<T>(last - first) * static_cast<T>(q_max));
      }
    });
  });
  return y;
}

#define INSTANTIATE(T)                                                                            \
  template Var fake_quantise(Tape<T>&, Var, std::span<const T>, const StraightThroughArguments&); \
  template Var lsq_quantise(Tape<T>&, Var, Var, size_t, int, int);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace ruvllm::train
