// Mixtures of experts on the tape: as model/block_moe.cpp has them. Gradients reach the router through the
// weights of the chosen experts, and only experts that saw rows.
#include "train/network_pass.h"

namespace ruvllm::train {
namespace {

std::vector<uint32_t> rows_of(std::span<const float> weights, size_t n_experts, uint32_t expert) {
  std::vector<uint32_t> rows;
  for (size_t at = expert; at < weights.size(); at += n_experts)
    if (weights[at] != 0) rows.push_back(static_cast<uint32_t>(at / n_experts));
  return rows;
}

}  // namespace

Var Network::experts_branch(const Pass& pass, uint32_t layer, Var x) {
  const model::HyperParameters& h = hparams_;
  Tape<float>& tape = pass.tape;
  const Var weights = route<float>(tape, pass.linear(x, block_name(layer, "ffn_gate_inp")),
                                   {h.n_experts_used, h.renormalise_experts, h.expert_weights_scale});

  // Files of early 2024 have a tensor for each matrix of each expert.
  const bool is_stacked = pass.has(block_name(layer, "ffn_up_exps.weight"));
  std::optional<Pass::FeedForward> stacks;
  if (is_stacked) stacks = pass.feed_forward_of(layer, "_exps");
  const auto expert_matrices = [&](uint32_t expert) -> Pass::FeedForward {
    if (!is_stacked) return pass.feed_forward_of(layer, fmt::format(".{}", expert));
    const auto of = [&](const Pass::Matrix& stack) { return pass.member(stack, expert, h.n_experts); };
    return {of(*stacks->gate), of(stacks->up), of(stacks->down)};
  };

  std::vector<ExpertAnswer> answers;
  for (uint32_t expert = 0; expert < h.n_experts; ++expert) {
    std::vector<uint32_t> rows = rows_of(tape.value(weights), h.n_experts, expert);
    if (rows.empty()) continue;
    const Var answer = pass.feed_forward(select_rows<float>(tape, x, rows), expert_matrices(expert));
    answers.push_back({expert, std::move(rows), answer});
  }
  const Var mixed = mix_experts<float>(tape, weights, answers);
  if (!pass.has(block_name(layer, "ffn_up_shexp.weight"))) return mixed;

  // One that sees every row, and may count for a share of its own.
  Var shared = pass.feed_forward(x, pass.feed_forward_of(layer, "_shexp"));
  const std::string gate = block_name(layer, "ffn_gate_inp_shexp.weight");
  if (pass.has(gate)) shared = gate_rows(tape, matmul(tape, x, pass.parameter(gate)), shared);
  return add(tape, mixed, shared);
}

}  // namespace ruvllm::train
