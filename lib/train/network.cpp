#include "train/network.h"

#include "base/error.h"
#include "base/random.h"
#include "base/utf8.h"
#include "tensor/ops.h"

#include <algorithm>
#include <cmath>

namespace ruvllm::train {
namespace {

using model::NormKind;
using model::NormPlace;
using model::Positions;

constexpr double kInitialDeviation = 0.02;

std::string block_name(uint32_t layer, std::string_view part) {
  return fmt::format("blk.{}.{}", layer, part);
}

void refuse_what_cannot_be_trained(const model::HyperParameters& h) {
  const auto refuse = [&](bool has, std::string_view part) {
    if (has)
      throw Error(Errc::usage, "architecture {} has {}, which train-qat does not train", h.arch->name, part);
  };
  refuse(h.n_experts > 0, "experts");
  refuse(!h.arch->has_head || !h.arch->causal, "no language-model head");
  refuse(!h.has_rotation(), "positions other than rotary ones");
  refuse(h.arch->activation == tensor::Activation::gelu_erf, "the erf form of GELU");
  refuse(h.arch->qk_norm == model::QkNorm::head_optional, "norms of single heads");
}

}  // namespace

// One forward pass: what the blocks need besides x.
struct Network::Pass {
  Tape<float>& tape;
  const Batch& batch;
  const WeightHook hook;                          // a copy: checkpointed blocks call it later
  std::vector<float> cosines, sines;              // (tokens, pairs)
  std::vector<float> local_cosines, local_sines;  // of windowed layers with a base of their own
  Network& network;

  bool has(const std::string& name) const { return network.index_.contains(name); }
  Var parameter(const std::string& name) const { return tape.parameter(*network.index_.at(name)); }

  /// x W^T + bias, the bias where there is one.
  Var linear(Var x, const std::string& name) const {
    Var weight = parameter(name + ".weight");
    if (hook) weight = hook(tape, name + ".weight", weight);
    const Var y = matmul(tape, x, weight);
    return has(name + ".bias") ? add(tape, y, parameter(name + ".bias")) : y;
  }

  Var norm(Var x, const std::string& name, size_t group = 0) const {
    const model::HyperParameters& h = network.hparams_;
    const Var weight = parameter(name + ".weight");
    if (h.arch->norm == NormKind::rms) return rms_norm(tape, x, weight, h.epsilon(), group);
    const std::vector<float> zeros(tape.shape(weight).n_values(), 0.0f);
    const Var bias =
        has(name + ".bias") ? parameter(name + ".bias") : tape.constant(tape.shape(weight), zeros);
    return layer_norm(tape, x, weight, bias, h.epsilon());
  }

  void turn(const tensor::Rope& rope, std::vector<float>& c, std::vector<float>& s) const {
    c.resize(batch.tokens.size() * rope.n_pairs());
    s.resize(c.size());
    for (size_t document = 0; document + 1 < batch.starts.size(); ++document)
      for (uint32_t row = batch.starts[document]; row < batch.starts[document + 1]; ++row)
        rope.angles(row - batch.starts[document], std::span(c).subspan(row * rope.n_pairs(), rope.n_pairs()),
                    std::span(s).subspan(row * rope.n_pairs(), rope.n_pairs()));
  }
};

Network::Network(const format::ModelFile& file) : hparams_(model::read_hyper_parameters(file)) {
  refuse_what_cannot_be_trained(hparams_);
  list_parameters([&](const std::string& name) { return file.find(name) != nullptr; });
  for (const auto& parameter : parameters_) {
    const format::Tensor* tensor = file.find(parameter->name);
    if (!tensor) throw Error(Errc::corrupt_file, "{}: tensor {} is missing", file.source, parameter->name);
    if (tensor->n_columns() != parameter->shape.n_columns || tensor->n_rows() != parameter->shape.n_rows)
      throw Error(Errc::corrupt_file, "{}: tensor {} is {}x{}, expected {}x{}", file.source, parameter->name,
                  tensor->n_rows(), tensor->n_columns(), parameter->shape.n_rows, parameter->shape.n_columns);
    tensor->decode(0, parameter->value);
  }
  if (const format::Tensor* factors = file.find("rope_freqs.weight")) {
    if (factors->n_values() != hparams_.rope_dimensions / 2)
      throw Error(Errc::corrupt_file, "{}: rope_freqs.weight has {} values, expected {}", file.source,
                  factors->n_values(), hparams_.rope_dimensions / 2);
    rope_factors_.resize(factors->n_values());
    tensor::decode_values(factors->format, factors->bytes, rope_factors_);
  }
  for (const format::Tensor& tensor : file.tensors)
    if (!index_.contains(tensor.name) && tensor.name != "rope_freqs.weight")
      throw Error(Errc::usage, "{}: tensor {} is one that train-qat does not train", file.source,
                  printable(tensor.name));
}

Network::Network(const format::ModelFile& metadata, bool tied_head, uint64_t seed)
    : hparams_(model::read_hyper_parameters(metadata)) {
  refuse_what_cannot_be_trained(hparams_);
  list_parameters([&](const std::string& name) {
    return (name == "output.weight" && !tied_head) ||
           (name.ends_with(".bias") && hparams_.arch->other_bias == model::Bias::required);
  });
  const Random seeds(seed);
  const double residual_deviation = kInitialDeviation / std::sqrt(2.0 * hparams_.n_layers);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    Parameter<float>& parameter = *parameters_[i];
    Random random = seeds.split(i);
    const bool writes_residual =
        parameter.name.ends_with("attn_output.weight") || parameter.name.ends_with("ffn_down.weight");
    const double deviation = writes_residual ? residual_deviation : kInitialDeviation;
    for (float& value : parameter.value) {
      if (parameter.shape.n_rows > 1)
        value = static_cast<float>(deviation * random.normal());
      else
        value = parameter.name.ends_with(".bias") ? 0.0f : 1.0f;
    }
  }
}

void Network::add_parameter(const std::string& name, Shape shape) {
  auto parameter = std::make_unique<Parameter<float>>();
  parameter->name = name;
  parameter->shape = shape;
  parameter->value.resize(shape.n_values());
  index_[name] = parameter.get();
  parameters_.push_back(std::move(parameter));
}

// Which tensors there are, in the order that files list them. `has` decides on the optional ones.
void Network::list_parameters(const std::function<bool(const std::string&)>& has) {
  const model::HyperParameters& h = hparams_;
  const model::ArchSpec& arch = *h.arch;
  const auto norm = [&](const std::string& name, size_t n) {
    add_parameter(name + ".weight", {1, n});
    if (has(name + ".bias")) add_parameter(name + ".bias", {1, n});
  };
  const auto linear = [&](const std::string& name, size_t n_rows, size_t n_columns, bool needs_bias = false) {
    add_parameter(name + ".weight", {n_rows, n_columns});
    if (needs_bias || has(name + ".bias")) add_parameter(name + ".bias", {1, n_rows});
  };
  add_parameter("token_embd.weight", {h.n_vocabulary, h.width});
  for (uint32_t layer = 0; layer < h.n_layers; ++layer) {
    const auto name = [&](std::string_view part) { return block_name(layer, part); };
    const bool has_bias = arch.qkv_bias == model::Bias::required;
    if (arch.norm_place != NormPlace::after) norm(name("attn_norm"), h.width);
    if (has(name("attn_qkv.weight"))) {
      linear(name("attn_qkv"), h.query_width() + 2 * h.kv_width(), h.width, has_bias);
    } else {
      linear(name("attn_q"), h.query_width(), h.width, has_bias);
      linear(name("attn_k"), h.kv_width(), h.width, has_bias);
      linear(name("attn_v"), h.kv_width(), h.width, has_bias);
    }
    if (arch.qk_norm != model::QkNorm::none) {
      const bool by_row = arch.qk_norm == model::QkNorm::row;
      norm(name("attn_q_norm"), by_row ? h.query_width() : h.head_dimension);
      norm(name("attn_k_norm"), by_row ? h.kv_width() : h.head_dimension);
    }
    linear(name("attn_output"), h.width, h.query_width());
    const bool is_parallel = arch.residual == model::Residual::parallel;
    if (arch.norm_place == NormPlace::before_and_after || arch.norm_place == NormPlace::after)
      norm(name("post_attention_norm"), h.width);
    if (arch.norm_place != NormPlace::after && !is_parallel) norm(name("ffn_norm"), h.width);
    const bool is_fused =
        arch.gated && !has(name("ffn_gate.weight")) && has(name("ffn_up.weight")) && arch.name == "phi3";
    if (arch.gated && !is_fused) linear(name("ffn_gate"), h.ffn_width, h.width);
    linear(name("ffn_up"), is_fused ? 2 * h.ffn_width : h.ffn_width, h.width);
    linear(name("ffn_down"), h.width, h.ffn_width);
    if (arch.norm_place == NormPlace::before_and_after || arch.norm_place == NormPlace::after)
      norm(name("post_ffw_norm"), h.width);
  }
  norm("output_norm", h.width);
  if (has("output.weight")) linear("output", h.n_vocabulary, h.width);
}

Parameter<float>* Network::find(std::string_view name) {
  const auto found = index_.find(std::string(name));
  return found == index_.end() ? nullptr : found->second;
}

uint64_t Network::n_values() const {
  uint64_t n = 0;
  for (const auto& parameter : parameters_) n += parameter->value.size();
  return n;
}

void Network::set_trainable(bool trainable) {
  for (const auto& parameter : parameters_)
    parameter->gradient.assign(trainable ? parameter->value.size() : 0, 0.0f);
}

Var Network::attention_branch(Pass& pass, uint32_t layer, Var x) {
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
  if (h.arch->qk_norm != model::QkNorm::none) {
    const size_t group = h.arch->qk_norm == model::QkNorm::head ? h.head_dimension : 0;
    q = pass.norm(q, name("attn_q_norm"), group);
    k = pass.norm(k, name("attn_k_norm"), group);
  }
  const bool is_local = h.rotates_locally(layer);
  const std::span<const float> cosines = is_local ? pass.local_cosines : pass.cosines;
  const std::span<const float> sines = is_local ? pass.local_sines : pass.sines;
  const RopeArguments rotation{h.head_dimension, h.rope_dimensions,
                               h.arch->positions == Positions::rotary_halves};
  q = rope(tape, q, rotation, cosines, sines);
  k = rope(tape, k, rotation, cosines, sines);
  const Var mixed = attention(tape, q, k, v,
                              {.n_heads = h.n_heads,
                               .n_kv_heads = h.n_kv_heads,
                               .head_dimension = h.head_dimension,
                               .score_scale = h.score_scale(),
                               .score_cap = h.attention_soft_cap,
                               .window = h.window_of(layer),
                               .starts = pass.batch.starts});
  return pass.linear(mixed, name("attn_output"));
}

Var Network::feed_forward_branch(Pass& pass, uint32_t layer, Var x) {
  const model::HyperParameters& h = hparams_;
  Tape<float>& tape = pass.tape;
  const auto name = [&](std::string_view part) { return block_name(layer, part); };
  Var up = pass.linear(x, name("ffn_up"));
  Var active;
  if (!h.arch->gated) {
    active = gelu(tape, up);
  } else {
    Var gate;
    if (pass.has(name("ffn_gate.weight"))) {
      gate = pass.linear(x, name("ffn_gate"));
    } else {  // both in one tensor, the gate first
      gate = slice_columns(tape, up, 0, h.ffn_width);
      up = slice_columns(tape, up, h.ffn_width, h.ffn_width);
    }
    active = h.arch->activation == tensor::Activation::silu ? silu_multiply(tape, gate, up)
                                                            : gelu_multiply(tape, gate, up);
  }
  return pass.linear(active, name("ffn_down"));
}

Var Network::block(Pass& pass, uint32_t layer, Var x) {
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

NetworkOutput Network::forward(Tape<float>& tape, const Batch& batch, const WeightHook& hook,
                               bool checkpoint_layers) {
  const model::HyperParameters& h = hparams_;
  // Shared with checkpointed blocks, which run again after this function has returned.
  const auto pass = std::make_shared<Pass>(Pass{tape, batch, hook, {}, {}, {}, {}, *this});
  pass->turn(tensor::Rope(model::rope_parameters(h, rope_factors_, {}), h.n_context), pass->cosines,
             pass->sines);
  if (h.local_rope_base != 0)
    pass->turn(tensor::Rope(model::local_rope_parameters(h), h.n_context), pass->local_cosines,
               pass->local_sines);

  Var table = pass->parameter("token_embd.weight");
  if (hook) table = hook(tape, "token_embd.weight", table);
  Var x = embedding(tape, table, batch.tokens);
  if (h.input_scale() != 1.0f) x = scale(tape, x, h.input_scale());
  for (uint32_t layer = 0; layer < h.n_layers; ++layer) {
    if (!checkpoint_layers) {
      x = block(*pass, layer, x);
      continue;
    }
    x = tape.checkpoint(x, [this, pass, layer](Tape<float>& inner, Var input) {
      Pass again{inner,       pass->batch,         pass->hook,        pass->cosines,
                 pass->sines, pass->local_cosines, pass->local_sines, *this};
      return block(again, layer, input);
    });
  }
  const Var hidden = pass->norm(x, "output_norm");
  Var logits = pass->has("output.weight") ? pass->linear(hidden, "output") : matmul(tape, hidden, table);
  if (h.logit_scale != 1.0f) logits = scale(tape, logits, 1.0f / h.logit_scale);
  if (h.final_soft_cap != 0) logits = soft_cap(tape, logits, h.final_soft_cap);
  return {hidden, logits};
}

}  // namespace ruvllm::train
