// Small random models of every architecture that chat runs: the training pass gives the logits of the
// inference pass, and what is exported is the file that was read, tensor for tensor.
#include "base/random.h"
#include "format/gguf.h"
#include "model/model_test_support.h"
#include "train/export.h"
#include "train/network.h"

#include <map>
#include <string>
#include <vector>

using namespace ruvllm;
using namespace ruvllm::train;

namespace {

constexpr uint32_t kWidth = 64, kInner = 96, kHead = 16, kVocabulary = 96, kLayers = 2;
const std::vector<int32_t> kTokens = {1, 40, 7, 7, 93, 12, 55, 2, 81, 30, 64, 9, 9, 17};

// What a row adds to a plain Llama.
struct Row {
  std::string name, architecture;
  std::map<std::string, double> keys = {};  // whole numbers are u32
  uint32_t n_heads = 4, n_kv_heads = 2;
  uint32_t n_experts = 0, shared_width = 0;
  bool single_experts = false;  // a tensor for each matrix of each expert
  bool layer_norm = false, biases = false, qkv_bias = false, head_bias = false;
  bool one_norm = false, no_norm_before = false, post_norms = false, embedding_norm = false;
  bool head_norm = false, row_norm = false, each_head_norm = false;
  bool fused = false, gated = true, tied = false, long_rope = false;
};

const std::map<std::string, double> kExperts = {{"expert_used_count", 2}, {"expert_feed_forward_length", 32}};

std::map<std::string, double> operator+(std::map<std::string, double> a,
                                        const std::map<std::string, double>& b) {
  a.insert(b.begin(), b.end());
  return a;
}

const std::vector<Row> kRows = {
    {.name = "llama", .architecture = "llama"},
    {.name = "mixtral", .architecture = "llama", .keys = kExperts, .n_experts = 4},
    {.name = "mixtral of early 2024",
     .architecture = "llama",
     .keys = kExperts,
     .n_experts = 4,
     .single_experts = true},
    {.name = "dynamic, beyond its context",
     .architecture = "llama",
     .keys = {{"rope.scaling.factor", 2.5}, {"rope.scaling.original_context_length", 8}}},
    {.name = "qwen2moe",
     .architecture = "qwen2moe",
     .keys = kExperts + std::map<std::string, double>{{"expert_weights_scale", 1.5}},
     .n_experts = 4,
     .shared_width = 48,
     .qkv_bias = true},
    {.name = "qwen3", .architecture = "qwen3", .head_norm = true},
    {.name = "qwen3moe", .architecture = "qwen3moe", .keys = kExperts, .n_experts = 8, .head_norm = true},
    {.name = "granite",
     .architecture = "granite",
     .keys =
         {{"embedding_scale", 12}, {"residual_scale", 0.22}, {"attention.scale", 0.0156}, {"logit_scale", 8}},
     .tied = true},
    {.name = "granitemoe",
     .architecture = "granitemoe",
     .keys = kExperts + std::map<std::string, double>{{"residual_scale", 0.22}, {"logit_scale", 6}},
     .n_experts = 4,
     .tied = true},
    {.name = "gemma", .architecture = "gemma", .n_kv_heads = 1, .tied = true},
    {.name = "gemma2",
     .architecture = "gemma2",
     .keys = {{"attention.sliding_window", 4},
              {"attn_logit_softcapping", 50},
              {"final_logit_softcapping", 30}},
     .post_norms = true,
     .tied = true},
    {.name = "gemma3",
     .architecture = "gemma3",
     .keys = {{"attention.sliding_window", 4}, {"rope.freq_base", 1e6}},
     .post_norms = true,
     .head_norm = true,
     .tied = true},
    {.name = "phi2",
     .architecture = "phi2",
     .keys = {{"rope.dimension_count", 6}},
     .n_kv_heads = 4,
     .layer_norm = true,
     .biases = true,
     .head_bias = true,
     .one_norm = true,
     .fused = true,
     .gated = false},
    {.name = "phi3, short",
     .architecture = "phi3",
     .keys = {{"rope.scaling.original_context_length", 128}, {"rope.scaling.attn_factor", 1.19}},
     .fused = true,
     .long_rope = true},
    {.name = "phi3, long",
     .architecture = "phi3",
     .keys = {{"rope.scaling.original_context_length", 8}, {"attention.sliding_window", 5}},
     .fused = true,
     .long_rope = true},
    {.name = "stablelm",
     .architecture = "stablelm",
     .keys = {{"rope.dimension_count", 4}},
     .layer_norm = true,
     .biases = true},
    {.name = "stablelm 2 12b",
     .architecture = "stablelm",
     .keys = {{"rope.dimension_count", 4}},
     .layer_norm = true,
     .one_norm = true,
     .each_head_norm = true},
    {.name = "olmo2", .architecture = "olmo2", .no_norm_before = true, .post_norms = true, .row_norm = true},
    {.name = "bloom, heads no power of two",
     .architecture = "bloom",
     .n_heads = 6,
     .n_kv_heads = 6,
     .layer_norm = true,
     .biases = true,
     .embedding_norm = true,
     .fused = true,
     .gated = false,
     .tied = true},
};

const Row& row_named(std::string_view name) { return *std::ranges::find(kRows, name, &Row::name); }

class RandomModel {
 public:
  explicit RandomModel(const Row& row) : row_(row), random_(test::test_seed()) {
    file_ = std::make_shared<format::ModelFile>();
    file_->source = row.name;
    file_->files.resize(1);
    describe();
    matrix("token_embd", kVocabulary, kWidth, false, row.layer_norm ? 0.3 : 1);
    if (row.embedding_norm) norm("token_embd_norm", {kWidth});
    for (const char* name : {"rope_factors_long.weight", "rope_factors_short.weight"})
      if (row.long_rope) add(name, {kHead / 2}, 2.5, 0.3);
    for (uint32_t layer = 0; layer < kLayers; ++layer) {
      prefix_ = fmt::format("blk.{}.", layer);
      attention();
      if (row.n_experts > 0)
        experts();
      else
        feed_forward("", kInner);
    }
    prefix_.clear();
    norm("output_norm", {kWidth});
    if (!row.tied) matrix("output", kVocabulary, kWidth, row.head_bias);
    file_->index_tensors();
  }

  std::shared_ptr<const format::ModelFile> file() const { return file_; }

 private:
  void describe() {
    format::Metadata& metadata = file_->metadata;
    metadata.set("general.architecture", metadata.keep(row_.architecture));
    std::map<std::string, double> keys = {{"block_count", kLayers},
                                          {"context_length", 256},
                                          {"embedding_length", kWidth},
                                          {"feed_forward_length", kInner},
                                          {"vocab_size", kVocabulary},
                                          {"attention.head_count", row_.n_heads},
                                          {"attention.head_count_kv", row_.n_kv_heads},
                                          {"attention.key_length", kHead},
                                          {"attention.value_length", kHead},
                                          {"expert_count", row_.n_experts},
                                          {"expert_shared_feed_forward_length", row_.shared_width}};
    keys = row_.keys + keys;
    for (const auto& [key, value] : keys) {
      const std::string name = row_.architecture + "." + key;
      if (value == std::floor(value) && key != "embedding_scale" && key != "logit_scale")
        metadata.set(name, static_cast<uint32_t>(value));
      else
        metadata.set(name, static_cast<float>(value));
    }
    metadata.set(row_.architecture + (row_.layer_norm ? ".attention.layer_norm_epsilon"
                                                      : ".attention.layer_norm_rms_epsilon"),
                 1e-5f);
    if (row_.keys.contains("rope.scaling.factor"))
      metadata.set(row_.architecture + ".rope.scaling.type", metadata.keep("dynamic"));
  }

  void attention() {
    const uint32_t q = row_.n_heads * kHead, kv = row_.n_kv_heads * kHead;
    const bool bias = row_.biases || row_.qkv_bias;
    if (!row_.no_norm_before) norm("attn_norm", {kWidth});
    if (row_.fused) {
      matrix("attn_qkv", q + 2 * kv, kWidth, bias);
    } else {
      matrix("attn_q", q, kWidth, bias);
      matrix("attn_k", kv, kWidth, bias);
      matrix("attn_v", kv, kWidth, bias);
    }
    matrix("attn_output", kWidth, q, row_.biases);
    for (const auto& [name, n_heads] :
         {std::pair{"attn_q_norm", row_.n_heads}, {"attn_k_norm", row_.n_kv_heads}}) {
      if (row_.head_norm) norm(name, {kHead});
      if (row_.row_norm) norm(name, {kHead * n_heads});
      if (row_.each_head_norm) norm(name, {kHead, n_heads});
    }
    if (row_.post_norms) norm("post_attention_norm", {kWidth});
    if (row_.post_norms) norm("post_ffw_norm", {kWidth});
    if (!row_.no_norm_before && !row_.one_norm) norm("ffn_norm", {kWidth});
  }

  void feed_forward(const std::string& kind, uint32_t inner) {
    const bool is_fused = row_.gated && row_.fused;
    if (row_.gated && !is_fused) matrix("ffn_gate" + kind, inner, kWidth, row_.biases);
    matrix("ffn_up" + kind, is_fused ? 2 * inner : inner, kWidth, row_.biases);
    matrix("ffn_down" + kind, kWidth, inner, row_.biases);
  }

  void experts() {
    const auto inner = static_cast<uint32_t>(row_.keys.at("expert_feed_forward_length"));
    matrix("ffn_gate_inp", row_.n_experts, kWidth);
    if (row_.single_experts) {
      for (uint32_t i = 0; i < row_.n_experts; ++i) feed_forward(fmt::format(".{}", i), inner);
      return;
    }
    for (const char* name : {"ffn_gate_exps.weight", "ffn_up_exps.weight"})
      add(name, {kWidth, inner, row_.n_experts}, 0, 1 / std::sqrt(kWidth));
    add("ffn_down_exps.weight", {inner, kWidth, row_.n_experts}, 0, 1 / std::sqrt(inner));
    if (row_.shared_width == 0) return;
    feed_forward("_shexp", row_.shared_width);
    add("ffn_gate_inp_shexp.weight", {kWidth}, 0, 0.1);
  }

  void norm(const std::string& name, std::vector<uint64_t> dimensions) {
    add(name + ".weight", dimensions, 1, 0.2);
    if (row_.biases && dimensions.size() == 1) add(name + ".bias", dimensions, 0, 0.2);
  }
  void matrix(const std::string& name, uint64_t n_rows, uint64_t n_columns, bool bias = false,
              double scale = 1) {
    add(name + ".weight", {n_columns, n_rows}, 0, scale / std::sqrt(static_cast<double>(n_columns)));
    if (bias) add(name + ".bias", {n_rows}, 0, 0.3);
  }
  void add(const std::string& name, std::vector<uint64_t> dimensions, double mean, double deviation) {
    format::Tensor tensor;
    tensor.name = prefix_ + name;
    tensor.format = tensor::Format::F32;
    tensor.dimensions = std::move(dimensions);
    std::vector<float> values(tensor.n_values());
    for (float& value : values) value = static_cast<float>(mean + deviation * random_.normal());
    const auto bytes = std::as_bytes(std::span(values));
    tensor.bytes = file_->made.emplace_back(bytes.begin(), bytes.end());
    file_->tensors.push_back(std::move(tensor));
  }

  const Row& row_;
  Random random_;
  std::string prefix_;
  std::shared_ptr<format::ModelFile> file_;
};

std::vector<float> trained_logits(Network& network, bool checkpoint) {
  ThreadPool pool(2);
  Tape<float> tape(pool);
  Batch batch{kTokens, std::vector<int32_t>(kTokens.size(), -1), {0, static_cast<uint32_t>(kTokens.size())}};
  const NetworkOutput output = network.forward(tape, batch, {}, checkpoint);
  return {tape.value(output.logits).begin(), tape.value(output.logits).end()};
}

}  // namespace

TEST_CASE("the training pass gives the logits of the inference pass, for every architecture that chat runs") {
  for (const Row& row : kRows) {
    CAPTURE(row.name);
    const auto file = RandomModel(row).file();
    ThreadPool pool(2);
    const std::vector<float> wanted = test::logits_of(model::Model::load(file, pool), kTokens);
    Network network(*file);
    CHECK(test::largest_difference(trained_logits(network, false), wanted) <= 1e-4);
    CHECK(test::largest_difference(trained_logits(network, true), wanted) <= 1e-4);
  }
}

TEST_CASE("what is exported has the tensors of what was read, in their shapes") {
  const test::TemporaryFolder folder;
  for (const Row& row : kRows) {
    CAPTURE(row.name);
    const auto file = RandomModel(row).file();
    const Network network(*file);
    const TypePlan types(network.parameters().size(), tensor::Format::F32);
    export_network(
        network, types, file->metadata,
        [&](size_t i, std::span<std::byte> out) {
          std::ranges::copy(std::as_bytes(std::span(network.parameters()[i]->value)), out.begin());
        },
        folder / "model.gguf");
    const auto exported = format::read_gguf(folder / "model.gguf");
    CHECK(exported->tensors.size() == file->tensors.size());
    for (const format::Tensor& tensor : file->tensors) {
      const format::Tensor* found = exported->find(tensor.name);
      REQUIRE_MESSAGE(found, tensor.name);
      CHECK(found->dimensions == tensor.dimensions);
      CHECK(std::ranges::equal(found->bytes, tensor.bytes));
    }
  }
}

TEST_CASE("only experts that saw rows get a gradient, and the router gets one") {
  const auto file = RandomModel(row_named("qwen3moe")).file();  // 2 of 8 experts
  Network network(*file);
  network.set_trainable(true);
  ThreadPool pool(2);
  Tape<float> tape(pool);
  const Batch batch{{5, 6}, {6, -1}, {0, 2}};
  std::vector<bool> was_asked(8);
  network.observe([&](const Network::MatrixInput& input) {
    if (input.weight == "blk.1.ffn_up_exps.weight") was_asked[input.member] = true;
  });
  tape.backward(cross_entropy<float>(tape, network.forward(tape, batch).logits, batch.targets));
  const Parameter<float>& experts = *network.find("blk.1.ffn_up_exps.weight");
  const size_t n = experts.shape.n_values() / 8;
  const auto has_gradient = [](std::span<const float> gradient) {
    return std::ranges::any_of(gradient, [](float g) { return g != 0; });
  };
  size_t n_asked = 0;
  for (size_t i = 0; i < 8; ++i) {
    n_asked += was_asked[i];
    if (!was_asked[i]) CHECK_FALSE(has_gradient(std::span(experts.gradient).subspan(i * n, n)));
  }
  CHECK(n_asked >= 2);
  CHECK(n_asked <= 4);
  CHECK(has_gradient(experts.gradient));
  CHECK(has_gradient(network.find("blk.1.ffn_gate_inp.weight")->gradient));
}

TEST_CASE("an encoder is refused as such") {
  const auto file =
      RandomModel({.name = "bge", .architecture = "bert", .layer_norm = true, .biases = true}).file();
  try {
    const Network network(*file);
    FAIL("trained");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::usage);
    CHECK(std::string(error.what()).find("bert has no language-model head") != std::string::npos);
  }
}
