// Mixture of experts: a router scores all experts for each row, the best few work on it, and their answers
// are added by weight; a shared expert may see every row. Rows are gathered by expert, so that an expert's
// weights are read once for all rows that chose it; a row adds its experts in the order of their numbers,
// whoever else is in the batch.
#include "model/blocks.h"

#include "base/error.h"
#include "base/largest.h"
#include "tensor/ops.h"

#include <algorithm>

namespace ruvllm::model {
namespace {

/// Turns the scores of one row into the weights of its experts: 0 for all that are not chosen.
void choose_experts(const HyperParameters& h, std::span<float> scores, std::span<uint32_t> order) {
  tensor::softmax(scores);
  put_largest_first<float>(scores, h.n_experts_used, order);
  float sum = 0;
  for (const uint32_t expert : order.first(h.n_experts_used)) sum += scores[expert];
  const float factor = h.expert_weights_scale / (h.renormalise_experts ? sum : 1.0f);
  for (const uint32_t expert : order.first(h.n_experts_used)) scores[expert] *= factor;
  for (const uint32_t expert : order.subspan(h.n_experts_used)) scores[expert] = 0;
}

void add_shared_expert(Pass& pass, const LayerWeights& weights, std::span<const float> input,
                       std::span<float> out) {
  const size_t width = pass.width();
  const std::span<float> answer = pass.shared_output.floats(out.size());
  ffn_block(pass, weights.shared_expert, input, answer);
  for (size_t at = 0; at < out.size(); at += width) {
    float share = 1.0f;
    if (!weights.shared_gate.empty()) {
      double score = 0;
      for (size_t i = 0; i < width; ++i) score += double{weights.shared_gate[i]} * input[at + i];
      share = tensor::sigmoid(static_cast<float>(score));
    }
    tensor::add_scaled(out.subspan(at, width), share, answer.subspan(at, width));
  }
}

}  // namespace

void moe_block(Pass& pass, const LayerWeights& weights, std::span<const float> input, std::span<float> out) {
  const HyperParameters& h = pass.h;
  const size_t width = pass.width(), n = input.size() / width;

  const std::span<float> scores = pass.expert_scores.floats(n * h.n_experts);
  pass.multiplier.multiply(input, n, {&weights.router.matrix, scores, h.n_experts, weights.router.bias});
  pass.expert_order.resize(h.n_experts);
  for (size_t row = 0; row < n; ++row)
    choose_experts(h, scores.subspan(row * h.n_experts, h.n_experts), pass.expert_order);

  std::fill(out.begin(), out.end(), 0.0f);
  for (uint32_t expert = 0; expert < h.n_experts; ++expert) {
    pass.expert_rows.clear();
    for (uint32_t row = 0; row < n; ++row)
      if (scores[row * h.n_experts + expert] != 0) pass.expert_rows.push_back(row);
    if (pass.expert_rows.empty()) continue;
    const size_t n_chosen = pass.expert_rows.size();
    const std::span<float> chosen = pass.expert_input.floats(n_chosen * width);
    const std::span<float> answer = pass.expert_output.floats(n_chosen * width);
    gather_rows(input, pass.expert_rows, width, chosen);
    ffn_block(pass, weights.experts[expert], chosen, answer);
    for (size_t i = 0; i < n_chosen; ++i) {
      const size_t row = pass.expert_rows[i];
      tensor::add_scaled(out.subspan(row * width, width), scores[row * h.n_experts + expert],
                         answer.subspan(i * width, width));
    }
  }
  if (weights.shared_expert.up) add_shared_expert(pass, weights, input, out);
}

}  // namespace ruvllm::model
