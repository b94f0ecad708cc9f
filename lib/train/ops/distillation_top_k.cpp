#include "base/error.h"
#include "train/ops/ops.h"
#include "train/ops/rows.h"

#include <cmath>

namespace ruvllm::train {

// With q = softmax(s / T), t the tail's probability in the teacher and r = 1 - sum of q over the listed ids:
// the loss of a row is T^2 (sum p_i log(p_i / q_i) + t log(t / r)), its gradient at s_j is T (q_j - p_j) for
// a listed id and T q_j (1 - t / r) for another.
template <typename T>
Var distillation_top_k(Tape<T>& tape, Var student, const TopK<T>& teacher, T temperature,
                       std::span<const uint8_t> mask) {
  const Shape shape = tape.shape(student);
  const size_t n = shape.n_columns, k = teacher.k;
  RUVLLM_ASSERT(k >= 1 && k < n && temperature > 0 && mask.size() == shape.n_rows);
  RUVLLM_ASSERT(teacher.ids.size() == shape.n_rows * k &&
                teacher.log_probabilities.size() == teacher.ids.size() &&
                teacher.log_tails.size() == shape.n_rows);
  constexpr T kLeast = T(1e-12);  // of a tail that rounding has emptied
  const std::span<T> q = tape.scratch(shape.n_values()), rests = tape.scratch(shape.n_rows);
  const std::span<T> losses = tape.scratch(shape.n_rows);
  for_each_row(tape, shape.n_rows, [&](size_t row) {
    losses[row] = 0;
    if (!mask[row]) return;
    const T* s = tape.value(student).data() + row * n;
    T* out = q.data() + row * n;
    const T largest = *std::max_element(s, s + n) / temperature;
    T sum = 0;
    for (size_t i = 0; i < n; ++i) sum += out[i] = std::exp(s[i] / temperature - largest);
    for (size_t i = 0; i < n; ++i) out[i] /= sum;
    T listed = 0, loss = 0;
    for (size_t i = row * k; i < (row + 1) * k; ++i) {
      const T log_p = teacher.log_probabilities[i];
      const T probability = out[teacher.ids[i]];
      listed += probability;
      loss += std::exp(log_p) * (log_p - std::log(std::max(probability, kLeast)));
    }
    rests[row] = std::max(T(1) - listed, kLeast);
    loss += std::exp(teacher.log_tails[row]) * (teacher.log_tails[row] - std::log(rests[row]));
    losses[row] = temperature * temperature * loss;
  });
  const auto n_counted =
      static_cast<T>(std::count_if(mask.begin(), mask.end(), [](uint8_t m) { return m != 0; }));
  const Var loss = tape.make({1, 1}, tape.needs_gradient(student));
  T sum = 0;
  for (const T row : losses) sum += row;
  tape.value(loss)[0] = n_counted > 0 ? sum / n_counted : T(0);
  if (!tape.needs_gradient(loss) || n_counted == 0) return loss;
  tape.on_backward(
      [&tape, student, loss, n, k, n_counted, temperature, q, rests,
       ids = std::vector<int32_t>(teacher.ids.begin(), teacher.ids.end()),
       log_p = std::vector<T>(teacher.log_probabilities.begin(), teacher.log_probabilities.end()),
       log_tails = std::vector<T>(teacher.log_tails.begin(), teacher.log_tails.end()),
       counted = std::vector<uint8_t>(mask.begin(), mask.end())] {
        const T g = tape.gradient(loss)[0] * temperature / n_counted;
        for_each_row(tape, counted.size(), [&](size_t row) {
          if (!counted[row]) return;
          T* d = tape.gradient(student).data() + row * n;
          const T* p = q.data() + row * n;
          const T factor = T(1) - std::exp(log_tails[row]) / rests[row];
          for (size_t i = 0; i < n; ++i) d[i] += g * factor * p[i];
          for (size_t i = row * k; i < (row + 1) * k; ++i)
            d[ids[i]] += g * (p[ids[i]] * (T(1) - factor) - std::exp(log_p[i]));
        });
      });
  return loss;
}

template Var distillation_top_k(Tape<float>&, Var, const TopK<float>&, float, std::span<const uint8_t>);
template Var distillation_top_k(Tape<double>&, Var, const TopK<double>&, double, std::span<const uint8_t>);

}  // namespace ruvllm::train
