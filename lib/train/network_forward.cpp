// The forward pass on the tape: as model/forward.cpp and model/block_*.cpp have it.
#include "tensor/ops.h"
#include "train/network_pass.h"

namespace ruvllm::train {

using model::NormKind;
using model::NormPlace;
using model::Positions;

std::string block_name(uint32_t layer, std::string_view part) {
  return fmt::format("blk.{}.{}", layer, part);
}

Network::Pass::Matrix Network::Pass::matrix(const std::string& name) const {
  const Var weight = parameter(name + ".weight");
  return {name, hook ? hook(tape, name + ".weight", weight) : weight};
}

Network::Pass::Matrix Network::Pass::member(const Matrix& stack, uint32_t i, uint32_t n) const {
  const size_t n_rows = tape.shape(stack.weight).n_rows / n;
  return {stack.name, tape.rows(stack.weight, i * n_rows, n_rows), i, n};
}

Var Network::Pass::multiply(Var x, const Matrix& matrix) const {
  if (network.observer_)
    network.observer_(
        {matrix.name + ".weight", matrix.member, matrix.n_members, tape.shape(x), tape.value(x)});
  const Var y = matmul(tape, x, matrix.weight);
  const std::string bias = matrix.name + ".bias";
  return has(bias) ? add(tape, y, parameter(bias)) : y;
}

Var Network::Pass::norm(Var x, const std::string& name, size_t group) const {
  const model::HyperParameters& h = network.hparams_;
  const Var weight = parameter(name + ".weight");
  if (h.arch->norm == NormKind::rms) return rms_norm(tape, x, weight, h.epsilon(), group);
  const std::vector<float> zeros(tape.shape(weight).n_values(), 0.0f);
  const Var bias = has(name + ".bias") ? parameter(name + ".bias") : tape.constant(tape.shape(weight), zeros);
  return layer_norm(tape, x, weight, bias, h.epsilon(), group);
}

Network::Pass::FeedForward Network::Pass::feed_forward_of(uint32_t layer, std::string_view kind) const {
  const auto name = [&](std::string_view part) { return block_name(layer, fmt::format("{}{}", part, kind)); };
  std::optional<Matrix> gate;
  if (has(name("ffn_gate") + ".weight")) gate = matrix(name("ffn_gate"));
  return {std::move(gate), matrix(name("ffn_up")), matrix(name("ffn_down"))};
}

Var Network::Pass::feed_forward(Var x, const FeedForward& matrices) const {
  const model::ArchSpec& arch = *network.hparams_.arch;
  Var up = multiply(x, matrices.up);
  if (!arch.gated) return multiply(gelu(tape, up), matrices.down);
  Var gate;
  if (matrices.gate) {
    gate = multiply(x, *matrices.gate);
  } else {  // both in one tensor, the gate first
    const size_t width = tape.shape(up).n_columns / 2;
    gate = slice_columns(tape, up, 0, width);
    up = slice_columns(tape, up, width, width);
  }
  const Var active = arch.activation == tensor::Activation::silu ? silu_multiply(tape, gate, up)
                                                                 : gelu_multiply(tape, gate, up);
  return multiply(active, matrices.down);
}

Var Network::attention_branch(const Pass& pass, uint32_t layer, Var x) {
  const model::HyperParameters& h = hparams_;
  Tape<float>& tape = pass.tape;
  const auto name = [&](std::string_view part) { return block_name(layer, part); };
  Var q, k, v;
  if (pass.has(name("attn_qkv.weight"))) {
    const Var qkv = pass.linear(x, name("attn_qkv"));
    q = slice_columns(tape, qkv, 0, h.query_width());
    k = slice_columns(tape, qkv, h.query_width(), h.kv_width());
    v = slice_columns(tape, qkv, h.query_width() + h.kv_width(), h.kv_width());
  } else {
    q = pass.linear(x, name("attn_q"));
    k = pass.linear(x, name("attn_k"));
    v = pass.linear(x, name("attn_v"));
  }
  if (pass.has(name("attn_q_norm.weight"))) {
    const size_t group = h.arch->qk_norm == model::QkNorm::row ? 0 : h.head_dimension;
    q = pass.norm(q, name("attn_q_norm"), group);
    k = pass.norm(k, name("attn_k_norm"), group);
  }
  AttentionArguments arguments{.n_heads = h.n_heads,
                               .n_kv_heads = h.n_kv_heads,
                               .head_dimension = h.head_dimension,
                               .score_scale = h.score_scale(),
                               .score_cap = h.attention_soft_cap,
                               .window = h.window_of(layer),
                               .starts = pass.batch.starts};
  if (h.arch->positions == Positions::alibi) {
    arguments.alibi_slopes = tensor::alibi_slopes(h.n_heads, h.max_alibi_bias);
  } else {
    const Angles& angles = h.rotates_locally(layer) ? *pass.local_angles : *pass.angles;
    const RopeArguments rotation{h.head_dimension, h.rope_dimensions,
                                 h.arch->positions == Positions::rotary_halves};
    q = rope<float>(tape, q, rotation, angles.cosines, angles.sines);
    k = rope<float>(tape, k, rotation, angles.cosines, angles.sines);
  }
  return pass.linear(attention(tape, q, k, v, arguments), name("attn_output"));
}

Var Network::feed_forward_branch(const Pass& pass, uint32_t layer, Var x) {
  if (pass.has(block_name(layer, "ffn_gate_inp.weight"))) return experts_branch(pass, layer, x);
  return pass.feed_forward(x, pass.feed_forward_of(layer, ""));
}

Var Network::block(const Pass& pass, uint32_t layer, Var x) {
  const model::HyperParameters& h = hparams_;
  Tape<float>& tape = pass.tape;
  const bool norms_before = h.arch->norm_place != NormPlace::after;
  const bool norms_after = h.arch->norm_place != NormPlace::before;
  const auto residual = [&](Var base, Var branch) {
    return add(tape, base, h.residual_scale == 1.0f ? branch : scale(tape, branch, h.residual_scale));
  };
  const Var normed = norms_before ? pass.norm(x, block_name(layer, "attn_norm")) : x;
  Var branch = attention_branch(pass, layer, normed);
  if (norms_after) branch = pass.norm(branch, block_name(layer, "post_attention_norm"));
  if (!pass.has(block_name(layer, "ffn_norm.weight")) && norms_before)  // both branches from one norm
    return residual(residual(x, branch), feed_forward_branch(pass, layer, normed));
  x = residual(x, branch);
  branch = feed_forward_branch(pass, layer, norms_before ? pass.norm(x, block_name(layer, "ffn_norm")) : x);
  if (norms_after) branch = pass.norm(branch, block_name(layer, "post_ffw_norm"));
  return residual(x, branch);
}

namespace {

/// The angles of every row. Scalings that look at the context see each document's own length, as a cache that
/// is made for it has.
std::shared_ptr<const Angles> turn(const tensor::RopeParameters& parameters, const Batch& batch) {
  const auto angles = std::make_shared<Angles>();
  const size_t n_pairs = parameters.n_dimensions / 2;
  angles->cosines.resize(batch.tokens.size() * n_pairs);
  angles->sines.resize(angles->cosines.size());
  for (size_t document = 0; document + 1 < batch.starts.size(); ++document) {
    const uint32_t begin = batch.starts[document], end = batch.starts[document + 1];
    const tensor::Rope rope(parameters, end - begin);
    for (uint32_t row = begin; row < end; ++row)
      rope.angles(row - begin, std::span(angles->cosines).subspan(row * n_pairs, n_pairs),
                  std::span(angles->sines).subspan(row * n_pairs, n_pairs));
  }
  return angles;
}

}  // namespace

NetworkOutput Network::forward(Tape<float>& tape, const Batch& batch, const WeightHook& hook,
                               bool checkpoint_layers) {
  const model::HyperParameters& h = hparams_;
  std::shared_ptr<const Angles> angles, local_angles;
  if (h.has_rotation()) {
    const std::span<const float> whole = constant("rope_freqs.weight"),
                                 brief = constant("rope_factors_short.weight");
    angles =
        turn(model::rope_parameters(h, brief.empty() ? whole : brief, constant("rope_factors_long.weight")),
             batch);
  }
  if (h.local_rope_base != 0) local_angles = turn(model::local_rope_parameters(h), batch);
  // Shared with checkpointed blocks, which run again after this function has returned.
  const auto pass = std::make_shared<const Pass>(Pass{tape, batch, hook, angles, local_angles, *this});

  const Pass::Matrix table = pass->matrix("token_embd");
  Var x = embedding(tape, table.weight, batch.tokens);
  if (h.input_scale() != 1.0f) x = scale(tape, x, h.input_scale());
  if (pass->has("token_embd_norm.weight")) x = pass->norm(x, "token_embd_norm");
  for (uint32_t layer = 0; layer < h.n_layers; ++layer)
    x = checkpoint_layers ? tape.checkpoint(x,
                                            [this, pass, layer](Tape<float>& inner, Var input) {
                                              return block(pass->on(inner), layer, input);
                                            })
                          : block(*pass, layer, x);
  const Var hidden = pass->norm(x, "output_norm");
  Var logits = pass->multiply(hidden, pass->has("output.weight") ? pass->matrix("output") : table);
  if (h.logit_scale != 1.0f) logits = scale(tape, logits, 1.0f / h.logit_scale);
  if (h.final_soft_cap != 0) logits = soft_cap(tape, logits, h.final_soft_cap);
  return {hidden, logits};
}

}  // namespace ruvllm::train
