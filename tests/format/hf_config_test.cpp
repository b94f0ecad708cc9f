#include "format/hf_config.h"

#include "base/error.h"

#include <doctest/doctest.h>

#include <cmath>
#include <numbers>
#include <set>

using namespace ruvllm;

namespace {

Json base_config(const std::string& model_type) {
  return {{"model_type", model_type}, {"hidden_size", 256}, {"num_attention_heads", 4},
          {"num_hidden_layers", 2},   {"rope_theta", 1e6},  {"max_position_embeddings", 4096}};
}

std::string refusal(const Json& config) {
  try {
    format::read_hf_config(config);
  } catch (const Error& error) {
    CHECK(error.code() == Errc::corrupt_file);
    return error.what();
  }
  return "";
}

format::HfModel with_scaling(const Json& scaling, const char* model_type = "llama") {
  Json config = base_config(model_type);
  config["rope_scaling"] = scaling;
  return format::read_hf_config(config);
}

}  // namespace

TEST_CASE("every model type has one row, and its keys are under its architecture") {
  std::set<std::string_view> seen;
  for (const format::HfFamily& family : format::hf_families()) {
    CAPTURE(family.model_type);
    CHECK(seen.insert(family.model_type).second);
    const auto model = format::read_hf_config(base_config(std::string(family.model_type)));
    CHECK(model.metadata.string("general.architecture") == family.architecture);
    CHECK(model.metadata.integer(std::string(family.architecture) + ".embedding_length") == 256);
    CHECK(model.n_heads == 4);
    CHECK(model.n_kv_heads == 4);
  }
  for (const char* expected :
       {"llama", "mistral", "mixtral", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "phi", "phi3", "gemma",
        "gemma2", "gemma3_text", "stablelm", "olmo2", "granite", "bert"})
    CHECK(seen.contains(expected));
}

TEST_CASE("a published configuration gives the keys of its GGUF file") {
  // Qwen1.5-MoE-A2.7B, shortened.
  const auto moe = format::read_hf_config(Json::parse(R"({
    "model_type": "qwen2_moe", "hidden_act": "silu", "hidden_size": 2048, "intermediate_size": 5632,
    "max_position_embeddings": 8192, "moe_intermediate_size": 1408, "norm_topk_prob": false,
    "num_attention_heads": 16, "num_experts": 60, "num_experts_per_tok": 4, "num_hidden_layers": 24,
    "num_key_value_heads": 16, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
    "shared_expert_intermediate_size": 5632, "sliding_window": 32768, "tie_word_embeddings": false,
    "use_sliding_window": false, "vocab_size": 151936, "attention_dropout": 0.0})"))
                       .metadata;
  CHECK(moe.integer("qwen2moe.expert_count") == 60);
  CHECK(moe.integer("qwen2moe.expert_used_count") == 4);
  CHECK(moe.integer("qwen2moe.expert_feed_forward_length") == 1408);
  CHECK(moe.integer("qwen2moe.expert_shared_feed_forward_length") == 5632);
  CHECK(moe.boolean("qwen2moe.expert_weights_norm") == false);
  CHECK(moe.integer("qwen2moe.rope.dimension_count") == 128);
  CHECK(moe.number("qwen2moe.rope.freq_base") == 1e6);
  CHECK(moe.find("qwen2moe.attention.sliding_window") == nullptr);
  CHECK(moe.integer("qwen2moe.vocab_size") == 151936);

  // Gemma 2 9B, shortened.
  const auto gemma = format::read_hf_config(Json::parse(R"({
    "model_type": "gemma2", "hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh",
    "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "head_dim": 256, "hidden_size": 3584,
    "num_attention_heads": 16, "num_key_value_heads": 8, "query_pre_attn_scalar": 256, "sliding_window": 4096,
    "rms_norm_eps": 1e-06, "rope_theta": 10000.0, "cache_implementation": "hybrid"})"));
  CHECK(gemma.metadata.integer("gemma2.attention.key_length") == 256);
  CHECK(gemma.metadata.integer("gemma2.attention.value_length") == 256);
  CHECK(gemma.metadata.number("gemma2.attention.scale") == 0.0625);
  CHECK(gemma.metadata.number("gemma2.attn_logit_softcapping") == 50.0);
  CHECK(gemma.metadata.number("gemma2.final_logit_softcapping") == 30.0);
  CHECK(gemma.metadata.integer("gemma2.attention.sliding_window") == 4096);
  CHECK(gemma.has_tied_output);

  // Phi-2, shortened; Granite 3.1's multipliers.
  const auto phi = format::read_hf_config(Json::parse(R"({
    "model_type": "phi", "hidden_act": "gelu_new", "hidden_size": 2560, "num_attention_heads": 32,
    "num_key_value_heads": null, "partial_rotary_factor": 0.4, "layer_norm_eps": 1e-05})"));
  CHECK(phi.metadata.integer("phi2.rope.dimension_count") == 32);
  CHECK(phi.n_kv_heads == 32);
  const auto granite = format::read_hf_config(Json::parse(R"({
    "model_type": "granite", "hidden_size": 2048, "num_attention_heads": 32, "attention_multiplier": 0.015625,
    "embedding_multiplier": 12.0, "logits_scaling": 8.0, "residual_multiplier": 0.22})"))
                           .metadata;
  CHECK(granite.number("granite.attention.scale") == 0.015625);
  CHECK(granite.number("granite.embedding_scale") == 12.0);
  CHECK(granite.number("granite.logit_scale") == 8.0);
  CHECK(granite.number("granite.residual_scale") == 0.22f);
}

TEST_CASE("scalings of rotary embedding become keys or tensors") {
  const auto linear = with_scaling({{"type", "linear"}, {"factor", 4.0}}).metadata;
  CHECK(linear.string("llama.rope.scaling.type") == "linear");
  CHECK(linear.number("llama.rope.scaling.factor") == 4.0);
  const auto dynamic = with_scaling({{"rope_type", "dynamic"}, {"factor", 2.0}}).metadata;
  CHECK(dynamic.string("llama.rope.scaling.type") == "dynamic");
  CHECK(dynamic.integer("llama.rope.scaling.original_context_length") == 4096);
  const auto yarn = with_scaling({{"type", "yarn"},
                                  {"factor", 4.0},
                                  {"original_max_position_embeddings", 1024},
                                  {"beta_fast", 16},
                                  {"attention_factor", 0.1 * std::log(4.0) + 1.0}})
                        .metadata;
  CHECK(yarn.string("llama.rope.scaling.type") == "yarn");
  CHECK(yarn.integer("llama.rope.scaling.original_context_length") == 1024);
  CHECK(yarn.number("llama.rope.scaling.yarn_beta_fast") == 16);
  CHECK(yarn.number("llama.rope.scaling.attn_factor") == 1.0);
  const auto none = with_scaling({{"rope_type", "default"}}).metadata;
  CHECK(none.find("llama.rope.scaling.type") == nullptr);
  CHECK(with_scaling(nullptr).tensors.empty());
}

TEST_CASE("Llama 3's factors keep fast pairs, divide slow ones, and pass smoothly between") {
  const auto model = with_scaling({{"rope_type", "llama3"},
                                   {"factor", 8.0},
                                   {"low_freq_factor", 1.0},
                                   {"high_freq_factor", 4.0},
                                   {"original_max_position_embeddings", 512}});
  REQUIRE(model.tensors.size() == 1);
  const auto& [name, factors] = model.tensors[0];
  CHECK(name == "rope_freqs.weight");
  REQUIRE(factors.size() == 32);
  CHECK(factors.front() == 1.0f);
  CHECK(factors.back() == 8.0f);
  for (size_t pair = 0; pair < 32; ++pair) {
    const double wave_length = 2 * std::numbers::pi * std::pow(1e6, pair / 32.0);
    if (pair > 0) CHECK(factors[pair] >= factors[pair - 1]);
    if (wave_length < 512 / 4.0) CHECK(factors[pair] == 1.0f);
    if (wave_length > 512) CHECK(factors[pair] == 8.0f);
    if (wave_length < 128 || wave_length > 512) continue;
    const double smooth = (512 / wave_length - 1) / 3;  // as published with the model
    CHECK(factors[pair] == doctest::Approx(1 / ((1 - smooth) / 8 + smooth)).epsilon(1e-6));
  }
}

TEST_CASE("LongRoPE's lists become tensors, and its magnitude a key") {
  Json config = base_config("phi3");
  config["original_max_position_embeddings"] = 1024;
  config["sliding_window"] = 2048;
  config["partial_rotary_factor"] = 0.75;  // 48 of 64
  config["rope_scaling"] = {{"type", "longrope"}};
  config["rope_scaling"]["long_factor"] = std::vector<double>(24, 2.0);
  config["rope_scaling"]["short_factor"] = std::vector<double>(24, 1.0);
  const auto model = format::read_hf_config(config);
  CHECK(model.metadata.integer("phi3.rope.dimension_count") == 48);
  CHECK(model.metadata.integer("phi3.rope.scaling.original_context_length") == 1024);
  CHECK(model.metadata.integer("phi3.attention.sliding_window") == 2048);
  CHECK(model.metadata.number("phi3.rope.scaling.attn_factor") ==
        static_cast<float>(std::sqrt(1 + std::log(4.0) / std::log(1024.0))));
  REQUIRE(model.tensors.size() == 2);
  CHECK(model.tensors[0].second == std::vector<float>(24, 2.0f));
  config["rope_scaling"]["long_factor"] = std::vector<double>(23, 2.0);
  CHECK(refusal(config).find("long_factor has 23 numbers, expected 24") != std::string::npos);
}

TEST_CASE("newer configurations keep everything of rotary embedding in rope_parameters") {
  Json config = base_config("llama");
  config.erase("rope_theta");
  config["rope_parameters"] = {{"rope_type", "linear"}, {"factor", 2.0}, {"rope_theta", 5e5}};
  const auto model = format::read_hf_config(config).metadata;
  CHECK(model.number("llama.rope.freq_base") == 5e5);
  CHECK(model.string("llama.rope.scaling.type") == "linear");
  Json gemma = base_config("gemma3_text");
  gemma.erase("rope_theta");
  gemma["rope_parameters"] = {{"full_attention", {{"rope_type", "default"}, {"rope_theta", 1e6}}},
                              {"sliding_attention", {{"rope_type", "default"}, {"rope_theta", 1e4}}}};
  const auto keys = format::read_hf_config(gemma).metadata;
  CHECK(keys.number("gemma3.rope.freq_base") == 1e6);
  CHECK(keys.number("gemma3.rope.freq_base_swa") == 1e4);
}

TEST_CASE("what can't be read rightly is refused by name") {
  CHECK(refusal(Json::array()) == "not a JSON object");
  CHECK(refusal(Json::object()) == "model_type is missing");
  CHECK(refusal({{"model_type", "mamba"}})
            .starts_with("model_type \"mamba\" is unknown; known are llama, mistral"));
  const auto with = [](const char* key, const Json& value) {
    Json config = base_config("llama");
    config[key] = value;
    return refusal(config);
  };
  CHECK(with("model_type", 3) == "model_type is a JSON number, expected a string");
  CHECK(with("hidden_size", "256") == "hidden_size is a JSON string, expected an integer");
  CHECK(with("hidden_size", 256.5) == "hidden_size is a JSON number, expected an integer");
  CHECK(with("hidden_size", -1).find("out of range") != std::string::npos);
  CHECK(with("hidden_size", 1ull << 40).find("out of range") != std::string::npos);
  CHECK(with("hidden_size", nullptr) == "hidden_size is missing");
  CHECK(with("num_attention_heads", 0) == "num_attention_heads is 0");
  CHECK(with("rope_theta", "big").find("expected a number") != std::string::npos);
  CHECK(with("rope_scaling", 5).find("expected an object") != std::string::npos);
  CHECK(with("rope_scaling", {{"type", "magic"}}).find("\"magic\" is unknown") != std::string::npos);
  CHECK(with("rope_scaling", {{"type", "linear"}}) == "rope_scaling.factor is missing");
  CHECK(with("partial_rotary_factor", 1.5).find("expected more than 0") != std::string::npos);
  CHECK(with("partial_rotary_factor", 0).find("expected more than 0") != std::string::npos);
  CHECK(with("hidden_act", "gelu") == "hidden_act is \"gelu\", expected silu");
  CHECK(with("quantization_config", {{"quant_method", "gptq"}}).find("quantised") != std::string::npos);
  CHECK(with("use_sliding_window", true).find("not supported") != std::string::npos);
  CHECK(with("rope_scaling",
             {{"type", "llama3"}, {"factor", 8}, {"low_freq_factor", 4}, {"high_freq_factor", 4}})
            .find("high_freq_factor") != std::string::npos);
}
