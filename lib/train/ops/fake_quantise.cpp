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
Var lsq_quantise(Tape<T>& tape, Var weight, Var log_steps, size_t group, int q_min, int q_max,
                 std::span<const T> stored) {
  const Shape shape = tape.shape(weight);
  const size_t n_groups = (shape.n_columns + group - 1) / group;
  const size_t n_steps = tape.shape(log_steps).n_values();
  const bool is_single = n_steps == 1;
  RUVLLM_ASSERT((is_single || n_steps == shape.n_rows * n_groups) && q_min < 0 && q_max > 0);
  RUVLLM_ASSERT(stored.empty() || stored.size() == shape.n_values());
  const auto step_of = [&tape, log_steps, is_single, n_groups](size_t row, size_t g) {
    return std::exp(tape.value(log_steps)[is_single ? 0 : row * n_groups + g]);
  };
  const Var y = tape.make(shape, tape.needs_gradient(weight) || tape.needs_gradient(log_steps));
  if (!stored.empty()) {
    std::copy(stored.begin(), stored.end(), tape.value(y).begin());
  } else {
    for_each_row(tape, shape.n_rows, [&](size_t row) {
      for (size_t column = 0; column < shape.n_columns; ++column) {
        const T step = step_of(row, column / group);
        const T level = std::clamp(std::nearbyint(tape.value(weight)[row * shape.n_columns + column] / step),
                                   static_cast<T>(q_min), static_cast<T>(q_max));
        tape.value(y)[row * shape.n_columns + column] = step * level;
      }
    });
  }
  if (!tape.needs_gradient(y)) return y;
  tape.on_backward([&tape, weight, log_steps, y, shape, group, n_groups, is_single, step_of, q_min, q_max] {
    const std::span<T> sums = tape.scratch(shape.n_rows * n_groups);  // d loss / d step, group by group
    for_each_row(tape, shape.n_rows, [&](size_t row) {
      for (size_t g = 0; g < n_groups; ++g) {
        const size_t first = row * shape.n_columns + g * group;
        const size_t last = std::min(first + group, (row + 1) * shape.n_columns);
        const T step = step_of(row, g);
        T sum = 0;
        for (size_t i = first; i < last; ++i) {
          const T ratio = tape.value(weight)[i] / step, rounded = std::nearbyint(ratio);
          const bool inside = rounded >= static_cast<T>(q_min) && rounded <= static_cast<T>(q_max);
          const T dy = tape.gradient(y)[i];
          if (inside && tape.needs_gradient(weight)) tape.gradient(weight)[i] += dy;
          sum += dy * (inside ? rounded - ratio : static_cast<T>(rounded < 0 ? q_min : q_max));
        }
        sums[row * n_groups + g] = sum;
      }
    });
    if (!tape.needs_gradient(log_steps)) return;
    const auto add = [&](size_t i, T sum, T step, size_t n_values) {  // d exp(l) / dl = step
      tape.gradient(log_steps)[i] += sum * step / std::sqrt(static_cast<T>(n_values) * static_cast<T>(q_max));
    };
    if (is_single) {
      T sum = 0;
      for (const T part : sums) sum += part;
      add(0, sum, step_of(0, 0), shape.n_values());
      return;
    }
    for (size_t row = 0; row < shape.n_rows; ++row)
      for (size_t g = 0; g < n_groups; ++g)
        add(row * n_groups + g, sums[row * n_groups + g], step_of(row, g),
            std::min(group, shape.n_columns - g * group));
  });
  return y;
}

template <typename T>
Var codebook_quantise(Tape<T>& tape, Var weight, Var levels, const CodebookPlaces<T>& places,
                      std::span<const T> stored, const StraightThroughArguments& arguments) {
  const Shape shape = tape.shape(weight);
  const size_t n_groups = (shape.n_columns + places.group - 1) / places.group;
  const size_t n_levels = tape.shape(levels).n_values();
  RUVLLM_ASSERT(places.codes.size() == shape.n_values() && places.scales.size() == shape.n_rows * n_groups);
  RUVLLM_ASSERT(stored.empty() || stored.size() == shape.n_values());
  const auto scale_of = [&places, n_groups](size_t row, size_t column) {
    return places.scales[row * n_groups + column / places.group];
  };
  const Var y = tape.make(shape, tape.needs_gradient(weight) || tape.needs_gradient(levels));
  if (!stored.empty()) {
    std::copy(stored.begin(), stored.end(), tape.value(y).begin());
  } else {
    for_each_row(tape, shape.n_rows, [&](size_t row) {
      for (size_t column = 0; column < shape.n_columns; ++column) {
        const size_t i = row * shape.n_columns + column;
        tape.value(y)[i] = scale_of(row, column) * tape.value(levels)[places.codes[i]];
      }
    });
  }
  if (!tape.needs_gradient(y)) return y;
  tape.on_backward([&tape, &places, weight, levels, y, shape, n_levels, scale_of, arguments] {
    const std::span<T> sums = tape.scratch(shape.n_rows * n_levels);  // d loss / d level, row by row
    for_each_row(tape, shape.n_rows, [&](size_t row) {
      const std::span<T> of_row = sums.subspan(row * n_levels, n_levels);
      std::fill(of_row.begin(), of_row.end(), T(0));
      for (size_t column = 0; column < shape.n_columns; ++column) {
        const size_t i = row * shape.n_columns + column;
        const T dy = tape.gradient(y)[i];
        if (tape.needs_gradient(weight))
          tape.gradient(weight)[i] += pass_through(arguments, tape.value(weight)[i], tape.value(y)[i], dy);
        of_row[places.codes[i]] += dy * scale_of(row, column);
      }
    });
    if (!tape.needs_gradient(levels)) return;
    for (size_t i = 0; i < sums.size(); ++i) tape.gradient(levels)[i % n_levels] += sums[i];
  });
  return y;
}

#define INSTANTIATE(T)                                                                             \
  template Var fake_quantise(Tape<T>&, Var, std::span<const T>, const StraightThroughArguments&);  \
  template Var lsq_quantise(Tape<T>&, Var, Var, size_t, int, int, std::span<const T>);             \
  template Var codebook_quantise(Tape<T>&, Var, Var, const CodebookPlaces<T>&, std::span<const T>, \
                                 const StraightThroughArguments&);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace ruvllm::train
