#include "model/matrix_names.h"

#include <fmt/format.h>

#include <string_view>

namespace ruvllm::model {
namespace {

class Namer {
 public:
  explicit Namer(const format::ModelFile& file) : file_(file) {}

  void name_layer(uint32_t index, const LayerWeights& layer) {
    prefix_ = fmt::format("blk.{}.", index);
    add(layer.query, "attn_qkv");
    add(layer.query, "attn_q");
    add(layer.key, "attn_k");
    add(layer.value, "attn_v");
    add(layer.output, "attn_output");
    name_feed_forward(layer.ffn, "");
    name_feed_forward(layer.shared_expert, "_shexp");
    add(layer.router, "ffn_gate_inp");
    const auto n_experts = static_cast<uint32_t>(layer.experts.size());
    for (uint32_t i = 0; i < n_experts; ++i) {
      name_feed_forward(layer.experts[i], fmt::format(".{}", i));
      name_feed_forward(layer.experts[i], "_exps", i, n_experts);
    }
  }

  void name_head(const Weights& weights) {
    prefix_.clear();
    add(weights.output, "output");
  }

  std::vector<NamedMatrix> take() { return std::move(named_); }

 private:
  void name_feed_forward(const FeedForwardWeights& ffn, std::string_view kind, uint32_t expert = 0,
                         uint32_t n_experts = 1) {
    add(ffn.gate, fmt::format("ffn_gate{}", kind), expert, n_experts);
    add(ffn.up, fmt::format("ffn_up{}", kind), expert, n_experts);
    add(ffn.down, fmt::format("ffn_down{}", kind), expert, n_experts);
  }

  /// Where the model has the matrix and the file a tensor of that name.
  void add(const Linear& linear, std::string_view part, uint32_t expert = 0, uint32_t n_experts = 1) {
    std::string name = fmt::format("{}{}.weight", prefix_, part);
    if (linear && file_.find(name) != nullptr)
      named_.push_back({&linear.matrix, std::move(name), expert, n_experts});
  }

  const format::ModelFile& file_;
  std::string prefix_;
  std::vector<NamedMatrix> named_;
};

}  // namespace

std::vector<NamedMatrix> name_matrices(const Weights& weights, const format::ModelFile& file) {
  Namer namer(file);
  for (uint32_t i = 0; i < weights.layers.size(); ++i) namer.name_layer(i, weights.layers[i]);
  namer.name_head(weights);
  return namer.take();
}

std::string first_with_input_of(const format::ModelFile& file, const std::string& tensor) {
  struct Pair {
    std::string_view part, first;
  };
  static constexpr Pair kPairs[] = {{".attn_k.", ".attn_q."},
                                    {".attn_v.", ".attn_q."},
                                    {".ffn_up.", ".ffn_gate."},
                                    {".ffn_up_shexp.", ".ffn_gate_shexp."}};
  for (const Pair& pair : kPairs) {
    const size_t at = tensor.find(pair.part);
    if (at == std::string::npos) continue;
    std::string first = tensor;
    first.replace(at, pair.part.size(), pair.first);
    if (file.find(first) != nullptr) return first;
  }
  return tensor;
}

}  // namespace ruvllm::model
