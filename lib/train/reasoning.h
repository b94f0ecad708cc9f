// Losses over chains of reasoning steps. A step's state is the model's last hidden state at the step's last
// token, in teacher and student alike; the student is to have states that point where the teacher's do
// (L_step), and to move from step to step the way the teacher does (L_traj):
//
//   L_step = mean over steps of w (1 - cos(teacher, student))
//   L_traj = mean over consecutive steps of 1 - cos(change of teacher, change of student)
//   L_ans  = 0 where the trimmed answers agree, 0.5 where one contains the other, 1 otherwise, 0 without any
//   L      = step L_step + trajectory L_traj + answer L_ans
//
// L_ans has no gradient: it is a metric of the evaluation, and what is trained in its place is the
// cross-entropy of the answer's tokens. cos is 0 where a norm is below 1e-10. Tested by
// tests/train/reasoning_test.cpp.
#pragma once

#include "train/network.h"

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace ruvllm::train {

struct ReasoningOptions {
  std::string_view name = "default";
  float step = 0.3f;
  float trajectory = 0.5f;
  float answer = 0.2f;
  float threshold = 0.9f;  ///< steps that are less similar are counted
  size_t n_sampled = 256;  ///< dimensions of a state that are compared; all, where it has no more
  bool normalised = true;  ///< states are brought to one length first
};
/// "default", "math", "code". Throws Errc::usage naming the choices.
const ReasoningOptions& reasoning_preset(std::string_view name);

/// The weight of a step of this type in L_step. Throws Errc::corrupt_file for a type that is none.
float step_weight(std::string_view type);
/// L_ans of two texts.
double answer_loss(std::string_view teacher, std::string_view student);

/// The steps of a batch in one matrix, in order: rows of the sampled dimensions, of one length where
/// normalised. (steps, dimensions)
template <typename T>
Var step_states(Tape<T>& tape, Var hidden, const Batch& batch, const ReasoningOptions& options);
/// The same for a teacher, whose hidden states are values.
template <typename T>
std::vector<T> step_states(ThreadPool& pool, const Shape& shape, std::span<const T> hidden,
                           const Batch& batch, const ReasoningOptions& options);

/// 1 x 1, from step_states() of both.
template <typename T>
Var step_loss(Tape<T>& tape, Var student, std::span<const T> teacher, const Batch& batch);
/// 1 x 1, a constant 0 where no chain has two steps.
template <typename T>
Var trajectory_loss(Tape<T>& tape, Var student, std::span<const T> teacher, const Batch& batch);

/// What evaluation counts, over any number of batches.
struct ReasoningMetrics {
  uint64_t n_chains = 0, n_steps = 0, n_moves = 0, n_answers = 0, n_agreed = 0;
  uint64_t n_below = 0;  ///< steps under the threshold
  double similarity_sum = 0, step_loss_sum = 0, trajectory_sum = 0, answer_loss_sum = 0;

  double similarity() const { return n_steps ? similarity_sum / static_cast<double>(n_steps) : 0; }
  double trajectory() const { return n_moves ? trajectory_sum / static_cast<double>(n_moves) : 0; }
  /// Share of the chains that have answers whose answers agree.
  double agreement() const {
    return n_answers ? static_cast<double>(n_agreed) / static_cast<double>(n_answers) : 0;
  }
  double quality() const { return 0.6 * similarity() + 0.4 * agreement(); }
  /// L_step, L_ans and the whole of L, with L_ans in it.
  double step_loss() const { return n_steps ? step_loss_sum / static_cast<double>(n_steps) : 0; }
  double answer_loss() const { return n_answers ? answer_loss_sum / static_cast<double>(n_answers) : 0; }
  double loss(const ReasoningOptions& options) const;

  /// Counts chains and steps of a batch, states from step_states().
  void add(std::span<const float> student, std::span<const float> teacher, const Batch& batch,
           float threshold);
  /// Counts a pair of answers.
  void add_answers(std::string_view teacher, std::string_view student);
};

}  // namespace ruvllm::train
