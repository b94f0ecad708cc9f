// The trainable operations. Each makes a Var and records its backward; forward and backward stand next to
// each other in ops/<family>.cpp. Shapes: matrices of (tokens, features) unless said otherwise. ops.def lists
// them all; the gradient test walks that list.
#pragma once

#include "train/tape.h"

#include <cstdint>
#include <span>
#include <vector>

namespace ruvllm::train {

// ---- matmul.cpp

/// x (n, k) times the transpose of weight (m, k): (n, m).
template <typename T>
Var matmul(Tape<T>& tape, Var x, Var weight);

// ---- embed.cpp

/// Rows of `table` (n_vocabulary, d) chosen by `ids`: (n_ids, d).
template <typename T>
Var embedding(Tape<T>& tape, Var table, std::span<const int32_t> ids);

// ---- elementwise.cpp

/// x + y, same shape; or y a single row that is added to every row of x.
template <typename T>
Var add(Tape<T>& tape, Var x, Var y);
/// factor * x
template <typename T>
Var scale(Tape<T>& tape, Var x, T factor);
/// Sum of 1 x 1 Vars, weighted.
template <typename T>
Var weighted_sum(Tape<T>& tape, std::span<const Var> terms, std::span<const T> weights);
/// Columns [first, first + n) of x.
template <typename T>
Var slice_columns(Tape<T>& tape, Var x, size_t first, size_t n);
/// Rows of x chosen by number (the rows that carry a loss).
template <typename T>
Var select_rows(Tape<T>& tape, Var x, std::span<const uint32_t> rows);

// ---- act.cpp

/// silu(gate) * up
template <typename T>
Var silu_multiply(Tape<T>& tape, Var gate, Var up);
/// gelu(gate) * up, tanh form
template <typename T>
Var gelu_multiply(Tape<T>& tape, Var gate, Var up);
/// gelu(x), tanh form
template <typename T>
Var gelu(Tape<T>& tape, Var x);
/// cap * tanh(x / cap)
template <typename T>
Var soft_cap(Tape<T>& tape, Var x, T cap);

// ---- norm.cpp

/// Each row (or each group of `group` columns, 0: the row) divided by its root mean square, times weight (1,
/// group).
template <typename T>
Var rms_norm(Tape<T>& tape, Var x, Var weight, T epsilon, size_t group = 0);
/// (x - mean) / sqrt(variance + epsilon) * weight + bias; mean and variance are of each row (or each group of
/// `group` columns, 0: the row), weight and bias (1, columns).
template <typename T>
Var layer_norm(Tape<T>& tape, Var x, Var weight, Var bias, T epsilon, size_t group = 0);

// ---- rope.cpp

/// Rotary positions on heads of `head_dimension` columns: pairs (i, i + n/2) if half_split, else (2i, 2i +
/// 1), of the first n_rotated columns of a head. cosines and sines are (tokens, n_rotated / 2), a magnitude
/// included.
struct RopeArguments {
  size_t head_dimension;
  size_t n_rotated;
  bool half_split;
};
template <typename T>
Var rope(Tape<T>& tape, Var x, const RopeArguments& arguments, std::span<const T> cosines,
         std::span<const T> sines);

// ---- attention.cpp

/// Documents packed one after another: document i is rows [starts[i], starts[i + 1]); attention never crosses
/// them.
struct AttentionArguments {
  size_t n_heads;
  size_t n_kv_heads;
  size_t head_dimension;
  double score_scale;
  double score_cap = 0;  ///< soft-cap of scores; 0: none
  /// ALiBi (Press et al. 2022): what a score loses for each token between query and key, one slope a head;
  /// empty: none. Not together with a cap.
  std::vector<float> alibi_slopes = {};
  size_t window = 0;  ///< 0: all earlier tokens; W: the last W, the token itself counted
  std::vector<uint32_t> starts;
};
/// Causal attention: q (n, n_heads * d), k and v (n, n_kv_heads * d): (n, n_heads * d).
template <typename T>
Var attention(Tape<T>& tape, Var q, Var k, Var v, const AttentionArguments& arguments);

// ---- experts.cpp

/// How scores of experts become their weights: a softmax, of which the n_used largest (of equal ones the
/// first) are kept, divided by their sum where `renormalise`, times `factor`.
struct RouteArguments {
  size_t n_used;
  bool renormalise;
  double factor = 1;
};
/// scores (n, n_experts): (n, n_experts), 0 where an expert is not chosen. The choice has no gradient.
template <typename T>
Var route(Tape<T>& tape, Var scores, const RouteArguments& arguments);

/// What one expert made of the rows that it was given: row i of the answer is row rows[i] of the batch.
struct ExpertAnswer {
  uint32_t expert;
  std::vector<uint32_t> rows;
  Var answer;  // (rows, d)
};
/// The sum of answers, each row times its expert's weight: (n, d). weights: (n, n_experts).
template <typename T>
Var mix_experts(Tape<T>& tape, Var weights, std::span<const ExpertAnswer> answers);

/// sigmoid(score) * x, row by row. scores: (n, 1).
template <typename T>
Var gate_rows(Tape<T>& tape, Var scores, Var x);

// ---- fake_quantise.cpp

/// How a gradient g at the quantised value q passes the rounding to the weight w (dw is its gradient):
///   standard  dw = g                                  (Bengio, Leonard and Courville 2013)
///   clipped   dw = g where |w| <= clip, else 0
///   ewgs      dw = g (1 + lambda sign(g) (w - q))     (Lee, Kim and Ham 2021, the sign-aware form)
///   ewgs_abs  dw = g (1 + lambda |w - q|)
enum class StraightThrough { standard, clipped, ewgs, ewgs_abs };

struct StraightThroughArguments {
  StraightThrough rule = StraightThrough::standard;
  double clip = 1.0;
  double lambda = 0.1;
};

/// The weight replaced by `quantised`, which a format's own quantise -> dequantise made of it; backward by
/// the rule.
template <typename T>
Var fake_quantise(Tape<T>& tape, Var weight, std::span<const T> quantised,
                  const StraightThroughArguments& arguments);

/// Learned step sizes (Esser et al. 2020): groups of `group` values of a row (the last may be shorter) share
/// a step s = exp(log_step), so that it stays positive; q = s * clamp(round(w / s), q_min, q_max). The step's
/// gradient is (round(w / s) - w / s, or the bound outside) * g, over sqrt(n * q_max) for the n values that
/// share it. log_steps: one for each group, row by row, or a single one for the whole matrix. `stored`, where
/// not empty, is what q becomes in a file, whose steps are rounded; gradients don't see the difference.
template <typename T>
Var lsq_quantise(Tape<T>& tape, Var weight, Var log_steps, size_t group, int q_min, int q_max,
                 std::span<const T> stored = {});

/// How a matrix stands on a grid of uneven levels: which level each weight has, and what levels are
/// multiplied with, for groups of `group` values of a row (the last may be shorter).
template <typename T>
struct CodebookPlaces {
  std::vector<uint8_t> codes;  // (rows, columns)
  std::vector<T> scales;       // (rows, groups)
  size_t group;
};

/// q = scale * levels[code]; codes and scales are constants. The weight gets the gradient by the rule, a
/// level the sum of scale * g over the weights that have it. levels: a single row. `stored`, where not empty,
/// is what q becomes in a file, whose levels are rounded. `places` must live until the gradients are there.
template <typename T>
Var codebook_quantise(Tape<T>& tape, Var weight, Var levels, const CodebookPlaces<T>& places,
                      std::span<const T> stored = {}, const StraightThroughArguments& arguments = {});

// ---- loss.cpp

/// Mean over rows of -log softmax(logits)[target]; rows with target < 0 carry no loss. 1 x 1.
template <typename T>
Var cross_entropy(Tape<T>& tape, Var logits, std::span<const int32_t> targets);
/// temperature^2 * mean over rows of KL(softmax(teacher / T) || softmax(student / T)); teacher is constant. 1
/// x 1. Rows with mask[row] == 0 carry no loss.
template <typename T>
Var distillation(Tape<T>& tape, Var student, std::span<const T> teacher, T temperature,
                 std::span<const uint8_t> mask);
/// What is known of a teacher's rows: the k likeliest ids of each with their log-probabilities, and that of
/// the rest together.
template <typename T>
struct TopK {
  size_t k;
  std::span<const int32_t> ids;          // (rows, k)
  std::span<const T> log_probabilities;  // (rows, k)
  std::span<const T> log_tails;          // (rows)
};
/// distillation() where only so much of the teacher is known, at this temperature; the rest is one bucket.
template <typename T>
Var distillation_top_k(Tape<T>& tape, Var student, const TopK<T>& teacher, T temperature,
                       std::span<const uint8_t> mask);
/// Mean over rows of weight[row] * (1 - cos(student row, teacher row)); cos = 0 where a norm is below 1e-10.
/// 1 x 1.
template <typename T>
Var cosine_distance(Tape<T>& tape, Var student, std::span<const T> teacher, std::span<const T> weights);

}  // namespace ruvllm::train
