#include "format/hf_config.h"

#include "base/error.h"
#include "format/hf_config_support.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

using namespace ruvllm;
using test::base_config;
using test::refusal;

TEST_CASE("every model type has one row, and its keys are under its architecture") {
  std::set<std::string_view> seen;
  for (const format::HfFamily& family : format::hf_families()) {
    CAPTURE(family.model_type);
    CHECK(seen.insert(family.model_type).second);
    const auto model = format::read_hf_config(base_config(std::string(family.model_type)));
    CHECK(model.metadata.string("general.architecture") == family.architecture);
    CHECK(model.metadata.integer(std::string(family.architecture) + ".embedding_length") == 256);
    CHECK(model.n_heads == 4);
  }
  for (const char* expected :
       {"llama", "mistral", "mixtral", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "phi", "phi3", "gemma",
        "gemma2", "gemma3_text", "stablelm", "olmo2", "granite", "bert"})
    CHECK(seen.contains(expected));
}

TEST_CASE("a field that is left out means what the model type's class in the library has") {
  // From configuration_*.py of transformers 5: a value for each of several types where they differ.
  const auto keys = [](const char* model_type) {
    return format::read_hf_config({{"model_type", model_type}}).metadata;
  };
  const auto llama = keys("llama"), mistral = keys("mistral"), mixtral = keys("mixtral");
  CHECK(llama.integer("llama.block_count") == 32);
  CHECK(llama.integer("llama.context_length") == 2048);
  CHECK(llama.find("llama.attention.head_count_kv") == nullptr);  // as many as there are heads
  CHECK(llama.number("llama.attention.layer_norm_rms_epsilon") == 1e-6f);
  CHECK(llama.find("llama.attention.sliding_window") == nullptr);
  CHECK(mistral.integer("llama.attention.head_count_kv") == 8);
  CHECK(mistral.integer("llama.context_length") == 131072);
  CHECK(mistral.integer("llama.attention.sliding_window") == 4096);
  CHECK(mixtral.number("llama.rope.freq_base") == 1e6);
  CHECK(mixtral.number("llama.attention.layer_norm_rms_epsilon") == 1e-5f);
  CHECK(mixtral.integer("llama.expert_count") == 8);
  CHECK(mixtral.find("llama.attention.sliding_window") == nullptr);
  CHECK(keys("granite").number("granite.attention.scale") == 1.0);
  CHECK(keys("qwen2").integer("qwen2.context_length") == 32768);
  CHECK(keys("qwen2").find("qwen2.attention.sliding_window") == nullptr);
  CHECK(keys("qwen2_moe").boolean("qwen2moe.expert_weights_norm") == false);
  CHECK(keys("qwen3").integer("qwen3.attention.key_length") == 128);
  CHECK(keys("qwen3_moe").boolean("qwen3moe.expert_weights_norm") == false);
  CHECK(keys("qwen3_moe").integer("qwen3moe.expert_count") == 128);
  CHECK(keys("phi").integer("phi2.rope.dimension_count") == 32);  // half of 64
  CHECK(keys("phi").number("phi2.attention.layer_norm_epsilon") == 1e-5f);
  CHECK(keys("phi3").integer("phi3.rope.scaling.original_context_length") == 4096);
  CHECK(keys("gemma").integer("gemma.attention.key_length") == 256);
  CHECK(keys("gemma2").number("gemma2.attn_logit_softcapping") == 50.0);
  CHECK(keys("gemma2").number("gemma2.final_logit_softcapping") == 30.0);
  CHECK(keys("gemma2").number("gemma2.attention.scale") == 0.0625);
  CHECK(keys("gemma2").integer("gemma2.attention.sliding_window") == 4096);
  CHECK(keys("gemma3_text").number("gemma3.rope.freq_base") == 1e6);
  CHECK(keys("gemma3_text").number("gemma3.rope.freq_base_swa") == 1e4);
  CHECK(keys("gemma3_text").find("gemma3.final_logit_softcapping") == nullptr);
  CHECK(keys("stablelm").integer("stablelm.rope.dimension_count") == 20);  // a quarter of 80
  CHECK(keys("olmo2").number("olmo2.attention.layer_norm_rms_epsilon") == 1e-5f);
  CHECK(keys("bert").number("bert.attention.layer_norm_epsilon") == 1e-12f);
  const auto is_tied = [](const char* model_type) {
    return format::read_hf_config({{"model_type", model_type}}).has_tied_output;
  };
  CHECK_FALSE(is_tied("llama"));
  CHECK_FALSE(is_tied("qwen3"));
  CHECK(is_tied("gemma"));
  CHECK(is_tied("gemma3_text"));
}

TEST_CASE("null is None, not what is left out") {
  Json gemma = base_config("gemma2");
  gemma["attn_logit_softcapping"] = nullptr;
  const auto keys = format::read_hf_config(gemma).metadata;
  CHECK(keys.number("gemma2.attn_logit_softcapping") == 0.0);  // readers of GGUF would assume 50
  CHECK(keys.number("gemma2.final_logit_softcapping") == 30.0);
  Json mistral = base_config("mistral");
  mistral["sliding_window"] = nullptr;
  mistral["num_key_value_heads"] = nullptr;
  CHECK(format::read_hf_config(mistral).metadata.find("llama.attention.sliding_window") == nullptr);
  CHECK(format::read_hf_config(mistral).n_kv_heads == 4);
}

TEST_CASE("weights say a head's size where the configuration leaves it out") {
  const auto size = [](const char* model_type, const format::HfShapes& shapes) {
    return format::read_hf_config(base_config(model_type), shapes)
        .metadata.integer(std::string(model_type) + ".attention.key_length");
  };
  CHECK(size("qwen3", {.query_rows = 256, .head_norm = 64}) == 64);
  CHECK(size("gemma", {.query_rows = 128}) == 32);
  CHECK(size("qwen3", {}) == 128);
}

TEST_CASE("biases that the configuration tells of must be as it says") {
  const auto with = [](const char* model_type, const char* field, bool stated, bool is_there) {
    Json config = base_config(model_type);
    config[field] = stated;
    try {
      format::read_hf_config(config, format::HfShapes{.has_query_bias = is_there, .has_ffn_bias = is_there});
    } catch (const Error& error) {
      CHECK(std::string(error.what()).find(field) != std::string::npos);
      return false;
    }
    return true;
  };
  for (const char* field : {"attention_bias", "mlp_bias"}) {
    CHECK(with("llama", field, true, true));
    CHECK_FALSE(with("llama", field, true, false));
    CHECK_FALSE(with("llama", field, false, true));
  }
  CHECK_FALSE(with("qwen2_moe", "qkv_bias", false, true));
  CHECK_FALSE(with("stablelm", "use_qkv_bias", true, false));
  CHECK(with("qwen2", "attention_bias", false, true));  // whose class has no such field
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
  CHECK(with("layer_types", Json::array({"full_attention", "sliding_attention"})).find("layer_types") !=
        std::string::npos);
  // Settings of attention that no row of ours obeys, among them names that are not known at all.
  for (const char* field :
       {"use_bidirectional_attention", "attn_temperature_tuning", "no_rope_layers", "attention_chunk_size",
        "clip_qkv", "rope_interleaved", "rotary_pct", "attention_sink_tokens", "block_window_size"})
    CHECK(with(field, 4).starts_with(std::string(field) + " is 4, which is not supported"));
  CHECK(with("is_causal", false).starts_with("is_causal is false"));
  CHECK(with("is_causal", true) == "");
  // Those that change nothing.
  for (const char* field : {"attention_dropout", "attn_pdrop", "_attn_implementation", "use_flash_attn",
                            "attention_probs_dropout_prob", "output_attentions"})
    CHECK(with(field, 1) == "");
  CHECK(with("attention_chunk_size", nullptr) == "");
  CHECK(with("rope_interleaved", false) == "");
  CHECK(with("partial_rotary_factor", 1.5).find("expected more than 0") != std::string::npos);
  CHECK(with("partial_rotary_factor", 0).find("expected more than 0") != std::string::npos);
  CHECK(with("hidden_act", "gelu") == "hidden_act is \"gelu\", expected silu");
  CHECK(with("quantization_config", {{"quant_method", "gptq"}}).find("quantised") != std::string::npos);
  CHECK(with("rope_scaling",
             {{"type", "llama3"}, {"factor", 8}, {"low_freq_factor", 4}, {"high_freq_factor", 4}})
            .find("high_freq_factor") != std::string::npos);
}
