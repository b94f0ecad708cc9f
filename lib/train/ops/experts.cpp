// Mixtures of experts: who works on which row, and what comes of it. Experts themselves are plain products on
// the rows that select_rows() gave them.
#include "base/error.h"
#include "base/largest.h"
#include "train/ops/ops.h"
#include "train/ops/rows.h"
#include "train/ops/vector.h"

#include <algorithm>
#include <cmath>

namespace ruvllm::train {
namespace {

// Sets all but the n_used largest of a row of probabilities to 0; returns the sum of those.
template <typename T>
T keep_largest(std::span<T> p, size_t n_used, std::vector<uint32_t>& order) {
  order.resize(p.size());
  put_largest_first<T, uint32_t>(p, n_used, order);
  T sum = 0;
  for (size_t i = 0; i < n_used; ++i) sum += p[order[i]];
  for (size_t i = n_used; i < p.size(); ++i) p[order[i]] = 0;
  return sum;
}

}  // namespace

// With p = softmax(scores) and u = factor * dy, 0 where an expert was not chosen:
// ds = p (u - sum(p u)); renormalised weights are the softmax of the chosen scores alone, so p is theirs.
template <typename T>
Var route(Tape<T>& tape, Var scores, const RouteArguments& arguments) {
  const Shape shape = tape.shape(scores);
  const size_t n = shape.n_columns;
  RUVLLM_ASSERT(arguments.n_used >= 1 && arguments.n_used <= n);
  const T factor = static_cast<T>(arguments.factor);
  const Var y = tape.make(shape, tape.needs_gradient(scores));
  const std::span<T> probabilities = tape.scratch(shape.n_values());
  std::vector<uint32_t> order;
  for (size_t row = 0; row < shape.n_rows; ++row) {
    const std::span<T> p = probabilities.subspan(row * n, n), out = tape.value(y).subspan(row * n, n);
    softmax(tape.value(scores).data() + row * n, T(1), p.data(), n);
    std::ranges::copy(p, out.begin());
    const T sum = keep_largest(out, arguments.n_used, order);
    if (arguments.renormalise) {
      multiply_by(out.data(), T(1) / sum, n);
      std::ranges::copy(out, p.begin());
    }
    multiply_by(out.data(), factor, n);
  }
  if (!tape.needs_gradient(y)) return y;
  tape.on_backward([&tape, scores, y, shape, n, factor, probabilities] {
    for (size_t row = 0; row < shape.n_rows; ++row) {
      const T *p = probabilities.data() + row * n, *w = tape.value(y).data() + row * n;
      const T* dy = tape.gradient(y).data() + row * n;
      T* ds = tape.gradient(scores).data() + row * n;
      T sum = 0;
      for (size_t i = 0; i < n; ++i)
        if (w[i] != 0) sum += p[i] * factor * dy[i];
      for (size_t i = 0; i < n; ++i) ds[i] += p[i] * ((w[i] != 0 ? factor * dy[i] : T(0)) - sum);
    }
  });
  return y;
}

template <typename T>
Var mix_experts(Tape<T>& tape, Var weights, std::span<const ExpertAnswer> answers) {
  RUVLLM_ASSERT(!answers.empty());
  const size_t n_experts = tape.shape(weights).n_columns, d = tape.shape(answers[0].answer).n_columns;
  bool needs_gradient = tape.needs_gradient(weights);
  for (const ExpertAnswer& expert : answers) needs_gradient |= tape.needs_gradient(expert.answer);
  const Var y = tape.make({tape.shape(weights).n_rows, d}, needs_gradient);
  const std::span<T> out = tape.value(y), w = tape.value(weights);
  std::ranges::fill(out, T(0));
  for (const ExpertAnswer& expert : answers) {  // a row adds its experts in the order of their numbers
    const T* answer = tape.value(expert.answer).data();
    for_each_row(tape, expert.rows.size(), [&](size_t i) {
      const size_t row = expert.rows[i];
      add_scaled(out.data() + row * d, answer + i * d, w[row * n_experts + expert.expert], d);
    });
  }
  if (!needs_gradient) return y;
  tape.on_backward([&tape, weights, y, n_experts, d,
                    of_experts = std::vector<ExpertAnswer>(answers.begin(), answers.end())] {
    const T *factors = tape.value(weights).data(), *dy = tape.gradient(y).data();
    T* d_weights = tape.gradient(weights).data();
    for (const ExpertAnswer& expert : of_experts) {
      const T* answer = tape.value(expert.answer).data();
      T* d_answer = tape.gradient(expert.answer).data();
      for_each_row(tape, expert.rows.size(), [&](size_t i) {
        const size_t row = expert.rows[i], place = row * n_experts + expert.expert;
        if (d_answer) add_scaled(d_answer + i * d, dy + row * d, factors[place], d);
        if (d_weights) d_weights[place] += dot(answer + i * d, dy + row * d, d);
      });
    }
  });
  return y;
}

template <typename T>
Var gate_rows(Tape<T>& tape, Var scores, Var x) {
  const Shape shape = tape.shape(x);
  const size_t d = shape.n_columns;
  RUVLLM_ASSERT(tape.shape(scores) == (Shape{shape.n_rows, 1}));
  const Var y = tape.make(shape, tape.needs_gradient(scores) || tape.needs_gradient(x));
  const std::span<T> shares = tape.scratch(shape.n_rows);
  const T* in = tape.value(x).data();
  T* out = tape.value(y).data();
  for_each_row(tape, shape.n_rows, [&](size_t row) {
    shares[row] = T(1) / (T(1) + std::exp(-tape.value(scores)[row]));
    std::copy_n(in + row * d, d, out + row * d);
    multiply_by(out + row * d, shares[row], d);
  });
  if (!tape.needs_gradient(y)) return y;
  tape.on_backward([&tape, scores, x, y, d, n_rows = shape.n_rows, shares] {
    const T *at = tape.value(x).data(), *dy = tape.gradient(y).data();
    T *dx = tape.gradient(x).data(), *d_scores = tape.gradient(scores).data();
    for_each_row(tape, n_rows, [&](size_t row) {
      if (dx) add_scaled(dx + row * d, dy + row * d, shares[row], d);
      if (d_scores) d_scores[row] += shares[row] * (T(1) - shares[row]) * dot(at + row * d, dy + row * d, d);
    });
  });
  return y;
}

#define INSTANTIATE(T)                                                    \
  template Var route(Tape<T>&, Var, const RouteArguments&);               \
  template Var mix_experts(Tape<T>&, Var, std::span<const ExpertAnswer>); \
  template Var gate_rows(Tape<T>&, Var, Var);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace ruvllm::train
