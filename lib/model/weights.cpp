#include "model/weights.h"

#include "model/weight_plan.h"

namespace ruvllm::model {
namespace {

Need need_of(Bias bias) { return bias == Bias::required ? Need::required : Need::optional; }

/// Lists the tensors of one model, role by role. Names are GGUF's; every reader of files speaks them.
class Lister {
 public:
  Lister(const HyperParameters& hparams, WeightPlan& plan, Weights& weights)
      : h_(hparams), arch_(*hparams.arch), plan_(plan), w_(weights) {}

  void list() {
    inputs();
    for (uint32_t i = 0; i < h_.n_layers; ++i) {
      prefix_ = fmt::format("blk.{}.", i);
      attention(w_.layers.emplace_back());
      feed_forward(w_.layers.back());
    }
    outputs();
  }

 private:
  void inputs() {
    plan_.matrix("token_embd.weight", h_.width, {{&w_.token_embedding, h_.n_vocabulary}}, Need::required);
    if (arch_.positions == Positions::learned) {
      plan_.table("position_embd.weight", h_.width, h_.n_context, w_.position_embedding, h_.n_context,
                  Need::required);
      segments();
    }
    if (arch_.norm_place == NormPlace::after_sum || plan_.has("token_embd_norm.weight"))
      norm("token_embd_norm", w_.embedding_norm, h_.width);
    plan_.vector("rope_freqs.weight", {{&w_.rope_factors, h_.rope_dimensions / 2}}, Need::optional);
    plan_.vector("rope_factors_short.weight", {{&w_.rope_factors, h_.rope_dimensions / 2}},
                 plan_.has("rope_factors_long.weight") ? Need::required : Need::optional);
    plan_.vector("rope_factors_long.weight", {{&w_.rope_long_factors, h_.rope_dimensions / 2}},
                 plan_.has("rope_factors_short.weight") ? Need::required : Need::optional);
  }

  /// Encoders know the segments of a pair of texts (or one). Ours are all in the first.
  void segments() {
    const std::string name = "token_types.weight";
    plan_.table(name, h_.width, plan_.n_rows(name), w_.segment_embedding, 1, Need::optional);
  }

  void outputs() {
    if (!arch_.has_head) return;
    norm("output_norm", w_.output_norm, h_.width);
    if (!plan_.matrix("output.weight", h_.width, {{&w_.output.matrix, h_.n_vocabulary}}, Need::optional))
      return;
    plan_.vector("output.bias", {{&w_.output.bias, h_.n_vocabulary}}, need_of(arch_.head_bias));
  }

  void attention(LayerWeights& layer) {
    const uint64_t q = h_.query_width(), kv = h_.kv_width();
    if (has_norm_before()) norm(prefix_ + "attn_norm", layer.attention_norm, h_.width);
    const Need bias = need_of(arch_.qkv_bias);
    if (plan_.matrix(prefix_ + "attn_qkv.weight", h_.width,
                     {{&layer.query.matrix, q}, {&layer.key.matrix, kv}, {&layer.value.matrix, kv}},
                     Need::optional)) {
      plan_.vector(prefix_ + "attn_qkv.bias",
                   {{&layer.query.bias, q}, {&layer.key.bias, kv}, {&layer.value.bias, kv}}, bias);
    } else {
      linear("attn_q", layer.query, h_.width, q, bias);
      linear("attn_k", layer.key, h_.width, kv, bias);
      linear("attn_v", layer.value, h_.width, kv, bias);
    }
    query_and_key_norms(layer);
    linear("attn_output", layer.output, q, h_.width, need_of(arch_.other_bias));
    if (arch_.norm_place == NormPlace::after_sum)
      norm(prefix_ + "attn_output_norm", layer.attention_post_norm, h_.width);
    else if (arch_.norm_place != NormPlace::before)
      norm(prefix_ + "post_attention_norm", layer.attention_post_norm, h_.width);
  }

  void query_and_key_norms(LayerWeights& layer) {
    const uint64_t head = h_.head_dimension;
    const std::string q = prefix_ + "attn_q_norm", k = prefix_ + "attn_k_norm";
    switch (arch_.qk_norm) {
      case QkNorm::none:
        return;
      case QkNorm::head:
        norm(q, layer.query_norm, head);
        norm(k, layer.key_norm, head);
        return;
      case QkNorm::row:
        norm(q, layer.query_norm, h_.query_width());
        norm(k, layer.key_norm, h_.kv_width());
        return;
      case QkNorm::head_optional:
        if (!plan_.has(q + ".weight")) return;
        plan_.table(q + ".weight", head, h_.n_heads, layer.query_norm.weight, h_.n_heads, Need::required);
        plan_.table(k + ".weight", head, h_.n_kv_heads, layer.key_norm.weight, h_.n_kv_heads, Need::required);
        return;
    }
  }

  void feed_forward(LayerWeights& layer) {
    const bool one_norm =
        arch_.residual == Residual::parallel ||
        (arch_.residual == Residual::parallel_if_one_norm && !plan_.has(prefix_ + "ffn_norm.weight"));
    if (has_norm_before() && !one_norm) norm(prefix_ + "ffn_norm", layer.ffn_norm, h_.width);
    if (h_.n_experts > 0 && plan_.has(prefix_ + "ffn_gate_inp.weight"))
      experts(layer);
    else
      dense("", layer.ffn, h_.ffn_width);
    if (arch_.norm_place == NormPlace::after_sum)
      norm(prefix_ + "layer_output_norm", layer.ffn_post_norm, h_.width);
    else if (arch_.norm_place != NormPlace::before)
      norm(prefix_ + "post_ffw_norm", layer.ffn_post_norm, h_.width);
  }

  /// `kind` is "" or "_shexp".
  void dense(std::string_view kind, FeedForwardWeights& ffn, uint64_t width) {
    const Need bias = need_of(arch_.other_bias);
    const std::string gate = fmt::format("ffn_gate{}", kind), up = fmt::format("ffn_up{}", kind);
    if (!arch_.gated) {
      linear(up, ffn.up, h_.width, width, bias);
    } else if (plan_.has(prefix_ + gate + ".weight")) {
      linear(gate, ffn.gate, h_.width, width, bias);
      linear(up, ffn.up, h_.width, width, bias);
    } else {  // gate and up in one tensor, gate first
      plan_.matrix(prefix_ + up + ".weight", h_.width, {{&ffn.gate.matrix, width}, {&ffn.up.matrix, width}},
                   Need::required);
    }
    linear(fmt::format("ffn_down{}", kind), ffn.down, width, h_.width, bias);
  }

  void experts(LayerWeights& layer) {
    linear("ffn_gate_inp", layer.router, h_.width, h_.n_experts, Need::optional);
    if (plan_.has(prefix_ + "ffn_up.0.weight")) return single_experts(layer);
    plan_.require(prefix_ + "ffn_up_exps.weight", {h_.width, h_.expert_width, h_.n_experts});
    layer.experts.resize(h_.n_experts);
    stack("ffn_gate_exps", layer, &FeedForwardWeights::gate, h_.width, h_.expert_width);
    stack("ffn_up_exps", layer, &FeedForwardWeights::up, h_.width, h_.expert_width);
    stack("ffn_down_exps", layer, &FeedForwardWeights::down, h_.expert_width, h_.width);
    if (h_.shared_expert_width == 0) return;
    dense("_shexp", layer.shared_expert, h_.shared_expert_width);
    plan_.vector(prefix_ + "ffn_gate_inp_shexp.weight", {{&layer.shared_gate, h_.width}}, Need::optional);
  }

  /// Files of early 2024 have a tensor for each matrix of each expert.
  void single_experts(LayerWeights& layer) {
    for (uint32_t i = 0; i < h_.n_experts; ++i)
      plan_.require(fmt::format("{}ffn_up.{}.weight", prefix_, i), {h_.width, h_.expert_width});
    layer.experts.resize(h_.n_experts);
    for (uint32_t i = 0; i < h_.n_experts; ++i)
      dense(fmt::format(".{}", i), layer.experts[i], h_.expert_width);
  }

  void stack(std::string_view name, LayerWeights& layer, Linear FeedForwardWeights::*member,
             uint64_t n_columns, uint64_t n_rows) {
    std::vector<tensor::PackedMatrix*> matrices;
    for (FeedForwardWeights& expert : layer.experts) matrices.push_back(&(expert.*member).matrix);
    plan_.stack(fmt::format("{}{}.weight", prefix_, name), n_columns, n_rows, matrices);
  }

  void linear(std::string_view name, Linear& to, uint64_t n_columns, uint64_t n_rows, Need bias) {
    plan_.matrix(fmt::format("{}{}.weight", prefix_, name), n_columns, {{&to.matrix, n_rows}},
                 Need::required);
    plan_.vector(fmt::format("{}{}.bias", prefix_, name), {{&to.bias, n_rows}}, bias);
  }

  void norm(const std::string& name, NormWeights& to, uint64_t n_values) {
    plan_.vector(name + ".weight", {{&to.weight, n_values}}, Need::required);
    if (arch_.norm == NormKind::layer)
      plan_.vector(name + ".bias", {{&to.bias, n_values}}, need_of(arch_.other_bias));
  }

  bool has_norm_before() const {
    return arch_.norm_place == NormPlace::before || arch_.norm_place == NormPlace::before_and_after;
  }

  const HyperParameters& h_;
  const ArchSpec& arch_;
  WeightPlan& plan_;
  Weights& w_;
  std::string prefix_;
};

}  // namespace

Weights load_weights(const HyperParameters& hparams, const format::ModelFile& file, ThreadPool& pool,
                     const LoadProgress& progress, const TensorConversion& convert) {
  Weights weights;
  weights.layers.reserve(hparams.n_layers);  // the plan keeps addresses of what it fills
  WeightPlan plan(file);
  Lister(hparams, plan, weights).list();
  plan.refuse_unclaimed();
  weights.n_bytes = plan.load(pool, progress, convert);
  weights.n_parameters = plan.n_parameters();
  return weights;
}

void check_weights(const HyperParameters& hparams, const format::ModelFile& file) {
  Weights weights;
  weights.layers.reserve(hparams.n_layers);
  WeightPlan plan(file);
  Lister(hparams, plan, weights).list();
  plan.refuse_unclaimed();
}

}  // namespace ruvllm::model
