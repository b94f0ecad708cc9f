#include "train/network.h"

#include "base/error.h"
#include "base/random.h"
#include "base/utf8.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace ruvllm::train {
namespace {

using model::Bias;
using model::NormKind;
using model::NormPlace;
using model::Positions;
using model::QkNorm;
using model::Residual;

constexpr double kInitialDeviation = 0.02;

void refuse_what_cannot_be_trained(const model::HyperParameters& h) {
  const auto refuse = [&](bool has, std::string_view part) {
    if (has)
      throw Error(Errc::usage, "architecture {} has {}, which train-qat does not train", h.arch->name, part);
  };
  refuse(!h.arch->has_head || !h.causal, "no language-model head");
  refuse(h.arch->positions == Positions::learned, "learned positions");
  refuse(h.arch->norm_place == NormPlace::after_sum, "norms after sums");
  refuse(h.arch->activation == tensor::Activation::gelu_erf, "the erf form of GELU");
  refuse(h.arch->positions == Positions::alibi && h.attention_soft_cap != 0, "ALiBi on capped scores");
}

/// Whether GGUF dimensions are the same, ones at the end aside.
bool same_dimensions(std::span<const uint64_t> a, std::span<const uint64_t> b) {
  for (size_t i = 0; i < std::max(a.size(), b.size()); ++i)
    if ((i < a.size() ? a[i] : 1) != (i < b.size() ? b[i] : 1)) return false;
  return true;
}

}  // namespace

// Which parameters there are, in the order that files list them. `has` decides on the optional ones. Sizes
// are the file's own numbers: nothing is allocated here.
class Network::Lister {
 public:
  Lister(Network& network, std::function<bool(const std::string&)> has)
      : network_(network), has_(std::move(has)), h_(network.hparams_), arch_(*h_.arch) {}

  void list() {
    matrix("token_embd", h_.n_vocabulary, h_.width);
    if (has_("token_embd_norm.weight")) norm("token_embd_norm", h_.width);
    for (uint32_t layer = 0; layer < h_.n_layers; ++layer) {
      prefix_ = fmt::format("blk.{}.", layer);
      attention();
      feed_forward();
    }
    prefix_.clear();
    norm("output_norm", h_.width);
    if (has_("output.weight")) linear("output", h_.n_vocabulary, h_.width, arch_.head_bias);
  }

 private:
  void attention() {
    if (norms_before()) norm("attn_norm", h_.width);
    if (has("attn_qkv.weight")) {
      linear("attn_qkv", h_.query_width() + 2 * size_t{h_.kv_width()}, h_.width, arch_.qkv_bias);
    } else {
      linear("attn_q", h_.query_width(), h_.width, arch_.qkv_bias);
      linear("attn_k", h_.kv_width(), h_.width, arch_.qkv_bias);
      linear("attn_v", h_.kv_width(), h_.width, arch_.qkv_bias);
    }
    query_and_key_norms();
    linear("attn_output", h_.width, h_.query_width(), arch_.other_bias);
    if (norms_after()) norm("post_attention_norm", h_.width);
  }

  void query_and_key_norms() {
    switch (arch_.qk_norm) {
      case QkNorm::none:
        return;
      case QkNorm::head:
        norm("attn_q_norm", h_.head_dimension);
        norm("attn_k_norm", h_.head_dimension);
        return;
      case QkNorm::row:
        norm("attn_q_norm", h_.query_width());
        norm("attn_k_norm", h_.kv_width());
        return;
      case QkNorm::head_optional:
        if (!has("attn_q_norm.weight")) return;
        add("attn_q_norm.weight", {1, h_.query_width()}, {h_.head_dimension, h_.n_heads});
        add("attn_k_norm.weight", {1, h_.kv_width()}, {h_.head_dimension, h_.n_kv_heads});
        return;
    }
  }

  void feed_forward() {
    const bool one_norm = arch_.residual == Residual::parallel ||
                          (arch_.residual == Residual::parallel_if_one_norm && !has("ffn_norm.weight"));
    if (norms_before() && !one_norm) norm("ffn_norm", h_.width);
    if (h_.n_experts > 0 && has("ffn_gate_inp.weight"))
      experts();
    else
      dense("", h_.ffn_width);
    if (norms_after()) norm("post_ffw_norm", h_.width);
  }

  void dense(std::string_view kind, size_t width) {
    const auto name = [&](std::string_view part) { return fmt::format("{}{}", part, kind); };
    // Both in one tensor where the file has no gate.
    const bool is_fused =
        arch_.gated && !has(name("ffn_gate") + ".weight") && has(name("ffn_up") + ".weight");
    if (arch_.gated && !is_fused) linear(name("ffn_gate"), width, h_.width, arch_.other_bias);
    linear(name("ffn_up"), is_fused ? 2 * width : width, h_.width, arch_.other_bias);
    linear(name("ffn_down"), h_.width, width, arch_.other_bias);
  }

  void experts() {
    linear("ffn_gate_inp", h_.n_experts, h_.width, Bias::optional);
    if (has("ffn_up.0.weight")) {
      for (uint32_t i = 0; i < h_.n_experts; ++i) dense(fmt::format(".{}", i), h_.expert_width);
      return;
    }
    stack("ffn_gate_exps", h_.expert_width, h_.width);
    stack("ffn_up_exps", h_.expert_width, h_.width);
    stack("ffn_down_exps", h_.width, h_.expert_width);
    if (h_.shared_expert_width == 0) return;
    dense("_shexp", h_.shared_expert_width);
    if (has("ffn_gate_inp_shexp.weight")) add("ffn_gate_inp_shexp.weight", {1, h_.width}, {h_.width});
  }

  bool has(const std::string& part) const { return has_(prefix_ + part); }
  bool norms_before() const { return arch_.norm_place != NormPlace::after; }
  bool norms_after() const { return arch_.norm_place != NormPlace::before; }

  void norm(const std::string& name, size_t n) {
    vector(name + ".weight", n);
    if (arch_.norm == NormKind::layer) bias(name, n, arch_.other_bias);
  }
  void linear(const std::string& name, size_t n_rows, size_t n_columns, Bias needs) {
    matrix(name, n_rows, n_columns);
    bias(name, n_rows, needs);
  }
  void bias(const std::string& name, size_t n, Bias needs) {
    if (needs == Bias::required || has(name + ".bias")) vector(name + ".bias", n);
  }
  void vector(const std::string& name, size_t n) { add(name, {1, n}, {n}); }
  void matrix(const std::string& name, size_t n_rows, size_t n_columns) {
    add(name + ".weight", {n_rows, n_columns}, {n_columns, n_rows});
  }
  void stack(const std::string& name, size_t n_rows, size_t n_columns) {
    add(name + ".weight", {h_.n_experts * n_rows, n_columns}, {n_columns, n_rows, h_.n_experts});
  }
  void add(const std::string& name, Shape shape, std::vector<uint64_t> dimensions) {
    auto parameter = std::make_unique<Parameter<float>>();
    parameter->name = prefix_ + name;
    parameter->shape = shape;
    network_.index_[parameter->name] = parameter.get();
    network_.parameters_.push_back(std::move(parameter));
    network_.dimensions_.push_back(std::move(dimensions));
  }

  Network& network_;
  std::function<bool(const std::string&)> has_;
  const model::HyperParameters& h_;
  const model::ArchSpec& arch_;
  std::string prefix_;
};

Network::Network(const format::ModelFile& file) : hparams_(model::read_hyper_parameters(file)) {
  refuse_what_cannot_be_trained(hparams_);
  Lister(*this, [&](const std::string& name) { return file.find(name) != nullptr; }).list();
  const auto find = [&](const std::string& name, std::span<const uint64_t> dimensions) -> const auto& {
    const format::Tensor* tensor = file.find(name);
    if (!tensor) throw Error(Errc::corrupt_file, "{}: tensor {} is missing", printable(file.source), name);
    if (!same_dimensions(tensor->dimensions, dimensions))
      throw Error(Errc::corrupt_file, "{}: tensor {} is {}, expected {}", printable(file.source), name,
                  fmt::join(tensor->dimensions, "x"), fmt::join(dimensions, "x"));
    return *tensor;
  };
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const format::Tensor& tensor = find(parameters_[i]->name, dimensions_[i]);
    parameters_[i]->value.resize(parameters_[i]->shape.n_values());
    tensor.decode(0, parameters_[i]->value);
  }
  constexpr std::array kConstants = {"rope_freqs.weight", "rope_factors_long.weight",
                                     "rope_factors_short.weight"};
  for (const char* name : kConstants) {
    if (!file.find(name)) continue;
    const uint64_t n = hparams_.rope_dimensions / 2;
    const format::Tensor& tensor = find(name, {&n, 1});
    tensor.decode(0, constants_.emplace_back(name, std::vector<float>(n)).values);
  }
  for (const format::Tensor& tensor : file.tensors)
    if (!index_.contains(tensor.name) && constant(tensor.name).empty())
      throw Error(Errc::usage, "{}: tensor {} is one that train-qat does not train", printable(file.source),
                  printable(tensor.name));
}

Network::Network(const format::ModelFile& metadata, bool tied_head, uint64_t seed)
    : hparams_(model::read_hyper_parameters(metadata)) {
  refuse_what_cannot_be_trained(hparams_);
  Lister(*this, [&](const std::string& name) {
    return (name == "output.weight" && !tied_head) || name.find(".ffn_gate_inp") != std::string::npos;
  }).list();
  const Random seeds(seed);
  const double residual_deviation = kInitialDeviation / std::sqrt(2.0 * hparams_.n_layers);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    Parameter<float>& parameter = *parameters_[i];
    parameter.value.resize(parameter.shape.n_values());
    Random random = seeds.split(i);
    const bool writes_residual = parameter.name.ends_with("attn_output.weight") ||
                                 parameter.name.find(".ffn_down") != std::string::npos;
    const double deviation = writes_residual ? residual_deviation : kInitialDeviation;
    for (float& value : parameter.value) {
      if (parameter.name.ends_with(".bias"))
        value = 0.0f;
      else if (parameter.name.ends_with("norm.weight"))
        value = 1.0f;
      else
        value = static_cast<float>(deviation * random.normal());
    }
  }
}

Parameter<float>* Network::find(std::string_view name) {
  const auto found = index_.find(std::string(name));
  return found == index_.end() ? nullptr : found->second;
}

std::span<const float> Network::constant(std::string_view name) const {
  for (const Constant& constant : constants_)
    if (constant.name == name) return constant.values;
  return {};
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

}  // namespace ruvllm::train
