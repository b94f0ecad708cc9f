#include "train/reasoning.h"

#include "base/error.h"
#include "base/random.h"
#include "base/strings.h"
#include "base/utf8.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

namespace ruvllm::train {
namespace {

constexpr ReasoningOptions kPresets[] = {
    {},
    {.name = "math", .step = 0.4f, .trajectory = 0.4f, .answer = 0.4f, .threshold = 0.85f},
    {.name = "code", .step = 0.2f, .trajectory = 0.6f, .answer = 0.3f, .threshold = 0.92f, .n_sampled = 512},
};

struct StepType {
  std::string_view name;
  float weight;
};
constexpr StepType kStepTypes[] = {
    {"setup", 1.0f}, {"calculation", 1.5f}, {"inference", 1.0f}, {"conclusion", 2.0f}, {"answer", 2.0f},
};

// Which of `width` dimensions are compared: the same ones for teacher and student, in every batch and run.
std::vector<uint32_t> sampled_dimensions(size_t width, size_t n_sampled) {
  std::vector<uint32_t> dimensions(width);
  std::iota(dimensions.begin(), dimensions.end(), 0u);
  if (n_sampled >= width) return dimensions;
  Random random(width);
  for (size_t i = 0; i < n_sampled; ++i) std::swap(dimensions[i], dimensions[i + random.below(width - i)]);
  dimensions.resize(n_sampled);
  std::ranges::sort(dimensions);
  return dimensions;
}

// Pairs of neighbouring steps of one chain, as rows of the matrix of states.
struct Moves {
  std::vector<uint32_t> from, to;
};
Moves moves_of(const Batch& batch) {
  Moves moves;
  for (const Chain& chain : batch.chains)
    for (uint32_t step = chain.first_step; step + 1 < chain.end_step; ++step) {
      moves.from.push_back(step);
      moves.to.push_back(step + 1);
    }
  return moves;
}

template <typename T>
double cosine(const T* x, const T* y, size_t n) {
  double xx = 0, yy = 0, xy = 0;
  for (size_t i = 0; i < n; ++i) {
    const double a = static_cast<double>(x[i]), b = static_cast<double>(y[i]);
    xx += a * a, yy += b * b, xy += a * b;
  }
  constexpr double kSmallestNorm = 1e-10;
  return std::min(std::sqrt(xx), std::sqrt(yy)) < kSmallestNorm ? 0 : xy / std::sqrt(xx * yy);
}

template <typename T>
std::vector<T> differences(std::span<const T> states, size_t n_columns, const Moves& moves) {
  std::vector<T> changes;
  for (size_t i = 0; i < moves.from.size(); ++i)
    for (size_t j = 0; j < n_columns; ++j)
      changes.push_back(states[moves.to[i] * n_columns + j] - states[moves.from[i] * n_columns + j]);
  return changes;
}

}  // namespace

const ReasoningOptions& reasoning_preset(std::string_view name) {
  for (const ReasoningOptions& preset : kPresets)
    if (preset.name == name) return preset;
  throw Error(Errc::usage, "--reasoning: '{}' is none of default, math, code", printable(name));
}

float step_weight(std::string_view type) {
  for (const StepType& row : kStepTypes)
    if (row.name == type) return row.weight;
  throw Error(Errc::corrupt_file,
              "a step's type is \"{}\", none of setup, calculation, inference, conclusion, answer",
              printable(type));
}

double answer_loss(std::string_view teacher, std::string_view student) {
  const std::string_view a = trim(teacher), b = trim(student);
  if (a.empty() && b.empty()) return 0;
  if (a == b) return 0;
  if (a.empty() || b.empty()) return 1;
  return a.find(b) != std::string_view::npos || b.find(a) != std::string_view::npos ? 0.5 : 1;
}

template <typename T>
Var step_states(Tape<T>& tape, Var hidden, const Batch& batch, const ReasoningOptions& options) {
  std::vector<uint32_t> rows;
  for (const StepMark& mark : batch.steps) rows.push_back(mark.row);
  Var states = select_rows<T>(tape, hidden, rows);
  const size_t width = tape.shape(hidden).n_columns;
  const std::vector<uint32_t> dimensions = sampled_dimensions(width, options.n_sampled);
  if (dimensions.size() < width) {  // a product with unit vectors
    std::vector<T> choice(dimensions.size() * width, T(0));
    for (size_t i = 0; i < dimensions.size(); ++i) choice[i * width + dimensions[i]] = T(1);
    states = matmul(tape, states, tape.constant({dimensions.size(), width}, std::span<const T>(choice)));
  }
  if (!options.normalised) return states;
  const std::vector<T> ones(dimensions.size(), T(1));
  constexpr T kEpsilon = T(1e-20);
  return rms_norm(tape, states, tape.constant({1, ones.size()}, std::span<const T>(ones)), kEpsilon);
}

template <typename T>
std::vector<T> step_states(ThreadPool& pool, const Shape& shape, std::span<const T> hidden,
                           const Batch& batch, const ReasoningOptions& options) {
  Tape<T> tape(pool);
  const Var states = step_states(tape, tape.constant(shape, hidden), batch, options);
  return {tape.value(states).begin(), tape.value(states).end()};
}

template <typename T>
Var step_loss(Tape<T>& tape, Var student, std::span<const T> teacher, const Batch& batch) {
  std::vector<T> weights;
  for (const StepMark& mark : batch.steps) weights.push_back(static_cast<T>(mark.weight));
  return cosine_distance<T>(tape, student, teacher, weights);
}

template <typename T>
Var trajectory_loss(Tape<T>& tape, Var student, std::span<const T> teacher, const Batch& batch) {
  const Moves moves = moves_of(batch);
  if (moves.from.empty()) {
    const T zero[] = {T(0)};
    return tape.constant({1, 1}, std::span<const T>(zero));
  }
  const Var changes = add(tape, select_rows<T>(tape, student, moves.to),
                          scale(tape, select_rows<T>(tape, student, moves.from), T(-1)));
  const std::vector<T> wanted = differences(teacher, tape.shape(student).n_columns, moves);
  const std::vector<T> ones(moves.from.size(), T(1));
  return cosine_distance<T>(tape, changes, wanted, ones);
}

void ReasoningMetrics::add(std::span<const float> student, std::span<const float> teacher, const Batch& batch,
                           float threshold) {
  const size_t n_rows = batch.steps.size();
  if (n_rows == 0) return;
  const size_t n = student.size() / n_rows;
  n_chains += batch.chains.size();
  n_steps += n_rows;
  for (size_t i = 0; i < n_rows; ++i) {
    const double similarity = cosine(student.data() + i * n, teacher.data() + i * n, n);
    similarity_sum += similarity;
    step_loss_sum += static_cast<double>(batch.steps[i].weight) * (1 - similarity);
    n_below += similarity < static_cast<double>(threshold);
  }
  const Moves moves = moves_of(batch);
  const std::vector<float> s = differences(student, n, moves), t = differences(teacher, n, moves);
  n_moves += moves.from.size();
  for (size_t i = 0; i < moves.from.size(); ++i)
    trajectory_sum += 1 - cosine(s.data() + i * n, t.data() + i * n, n);
}

void ReasoningMetrics::add_answers(std::string_view teacher, std::string_view student) {
  const double loss = train::answer_loss(teacher, student);
  ++n_answers;
  n_agreed += loss == 0;
  answer_loss_sum += loss;
}

double ReasoningMetrics::loss(const ReasoningOptions& options) const {
  return static_cast<double>(options.step) * step_loss() +
         static_cast<double>(options.trajectory) * trajectory() +
         static_cast<double>(options.answer) * answer_loss();
}

#define INSTANTIATE(T)                                                                             \
  template Var step_states(Tape<T>&, Var, const Batch&, const ReasoningOptions&);                  \
  template std::vector<T> step_states(ThreadPool&, const Shape&, std::span<const T>, const Batch&, \
                                      const ReasoningOptions&);                                    \
  template Var step_loss(Tape<T>&, Var, std::span<const T>, const Batch&);                         \
  template Var trajectory_loss(Tape<T>&, Var, std::span<const T>, const Batch&);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace ruvllm::train
