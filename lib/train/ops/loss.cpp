#include "base/error.h"
#include "train/ops/ops.h"
#include "train/ops/rows.h"
#include "train/ops/vector.h"

#include <cmath>

namespace ruvllm::train {
namespace {

// Sums per-row losses in order, so that the loss has one value whatever the number of threads.
template <typename T>
Var mean_loss(Tape<T>& tape, std::span<const T> row_losses, T n_rows, bool needs_gradient) {
  const Var loss = tape.make({1, 1}, needs_gradient);
  T sum = 0;
  for (const T row : row_losses) sum += row;
  tape.value(loss)[0] = n_rows > 0 ? sum / n_rows : T(0);
  return loss;
}

}  // namespace

template <typename T>
Var cross_entropy(Tape<T>& tape, Var logits, std::span<const int32_t> targets) {
  const Shape shape = tape.shape(logits);
  RUVLLM_ASSERT(targets.size() == shape.n_rows);
  const size_t n = shape.n_columns;
  const std::span<T> most = tape.scratch(shape.n_rows), sums = tape.scratch(shape.n_rows);
  const std::span<T> losses = tape.scratch(shape.n_rows);
  const auto n_counted =
      static_cast<T>(std::count_if(targets.begin(), targets.end(), [](int32_t id) { return id >= 0; }));
  for_each_row(tape, shape.n_rows, [&](size_t row) {
    losses[row] = 0;
    if (targets[row] < 0) return;
    const T* in = tape.value(logits).data() + row * n;
    most[row] = largest(in, n);
    sums[row] = exponentials<T>(in, T(1), most[row], nullptr, n);
    losses[row] = most[row] + std::log(sums[row]) - in[targets[row]];
  });
  const Var loss = mean_loss<T>(tape, losses, n_counted, tape.needs_gradient(logits));
  if (!tape.needs_gradient(loss) || n_counted == 0) return loss;
  // Probabilities are computed again: cheaper than keeping a vocabulary of them for each row.
  tape.on_backward([&tape, logits, loss, n, n_counted, most, sums,
                    ids = std::vector<int32_t>(targets.begin(), targets.end())] {
    const T g = tape.gradient(loss)[0] / n_counted;
    const T* in = tape.value(logits).data();
    T* d = tape.gradient(logits).data();
    for_each_row(tape, ids.size(), [&](size_t row) {
      if (ids[row] < 0) return;
      add_exponentials(d + row * n, in + row * n, most[row], g / sums[row], n);
      d[row * n + static_cast<size_t>(ids[row])] -= g;
    });
  });
  return loss;
}

// d/ds of T^2 KL(p || softmax(s / T)) = T (softmax(s / T) - p), Hinton, Vinyals and Dean 2015.
template <typename T>
Var distillation(Tape<T>& tape, Var student, std::span<const T> teacher, T temperature,
                 std::span<const uint8_t> mask) {
  const Shape shape = tape.shape(student);
  RUVLLM_ASSERT(teacher.size() == shape.n_values() && mask.size() == shape.n_rows && temperature > 0);
  const size_t n = shape.n_columns;
  const std::span<T> p = tape.scratch(shape.n_values()), q = tape.scratch(shape.n_values());
  const std::span<T> losses = tape.scratch(shape.n_rows);
  const auto n_counted =
      static_cast<T>(std::count_if(mask.begin(), mask.end(), [](uint8_t m) { return m != 0; }));
  for_each_row(tape, shape.n_rows, [&](size_t row) {
    losses[row] = 0;
    if (!mask[row]) return;
    const T factor = T(1) / temperature;
    const T *t = teacher.data() + row * n, *s = tape.value(student).data() + row * n;
    const T teacher_log = softmax(t, factor, p.data() + row * n, n);
    const T student_log = softmax(s, factor, q.data() + row * n, n);
    T sum = 0;
    for (size_t i = 0; i < n; ++i)
      sum += p[row * n + i] * (factor * (t[i] - s[i]) - teacher_log + student_log);
    losses[row] = temperature * temperature * sum;
  });
  const Var loss = mean_loss<T>(tape, losses, n_counted, tape.needs_gradient(student));
  if (!tape.needs_gradient(loss) || n_counted == 0) return loss;
  tape.on_backward([&tape, student, loss, n, n_counted, temperature, p, q,
                    counted = std::vector<uint8_t>(mask.begin(), mask.end())] {
    const T g = tape.gradient(loss)[0] * temperature / n_counted;
    for_each_row(tape, counted.size(), [&](size_t row) {
      if (!counted[row]) return;
      T* d = tape.gradient(student).data() + row * n;
      for (size_t i = 0; i < n; ++i) d[i] += g * (q[row * n + i] - p[row * n + i]);
    });
  });
  return loss;
}

// d cos(s, t) / ds = t / (|s| |t|) - cos s / |s|^2
template <typename T>
Var cosine_distance(Tape<T>& tape, Var student, std::span<const T> teacher, std::span<const T> weights) {
  const Shape shape = tape.shape(student);
  RUVLLM_ASSERT(teacher.size() == shape.n_values() && weights.size() == shape.n_rows);
  constexpr T kSmallestNorm = T(1e-10);
  struct Row {
    T cosine, student_norm, teacher_norm;
  };
  const size_t d = shape.n_columns;
  std::vector<Row> rows(shape.n_rows);
  T sum = 0;
  for (size_t row = 0; row < shape.n_rows; ++row) {
    const T *s = tape.value(student).data() + row * d, *t = teacher.data() + row * d;
    T ss = 0, tt = 0, st = 0;
    for (size_t i = 0; i < d; ++i) ss += s[i] * s[i], tt += t[i] * t[i], st += s[i] * t[i];
    Row& r = rows[row];
    r.student_norm = std::sqrt(ss);
    r.teacher_norm = std::sqrt(tt);
    r.cosine = std::min(r.student_norm, r.teacher_norm) < kSmallestNorm
                   ? T(0)
                   : st / (r.student_norm * r.teacher_norm);
    sum += weights[row] * (T(1) - r.cosine);
  }
  const auto n_rows = static_cast<T>(std::max<size_t>(1, shape.n_rows));
  const Var loss = tape.make({1, 1}, tape.needs_gradient(student));
  tape.value(loss)[0] = sum / n_rows;
  if (!tape.needs_gradient(loss)) return loss;
  tape.on_backward([&tape, student, loss, d, n_rows, rows = std::move(rows),
                    t = std::vector<T>(teacher.begin(), teacher.end()),
                    w = std::vector<T>(weights.begin(), weights.end())] {
    for (size_t row = 0; row < rows.size(); ++row) {
      const Row& r = rows[row];
      if (std::min(r.student_norm, r.teacher_norm) < kSmallestNorm) continue;
      const T g = -tape.gradient(loss)[0] * w[row] / n_rows;
      for (size_t i = row * d; i < (row + 1) * d; ++i)
        tape.gradient(student)[i] +=
            g * (t[i] / (r.student_norm * r.teacher_norm) -
                 r.cosine * tape.value(student)[i] / (r.student_norm * r.student_norm));
    }
  });
  return loss;
}

#define INSTANTIATE(T)                                                                       \
  template Var cross_entropy(Tape<T>&, Var, std::span<const int32_t>);                       \
  template Var distillation(Tape<T>&, Var, std::span<const T>, T, std::span<const uint8_t>); \
  template Var cosine_distance(Tape<T>&, Var, std::span<const T>, std::span<const T>);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace ruvllm::train
