// Rotary embedding of Hugging Face configurations against the formulas of the library and of the papers.
#include "format/hf_config.h"

#include "base/error.h"
#include "format/hf_config_support.h"

#include <doctest/doctest.h>

#include <cmath>
#include <numbers>
#include <string>

using namespace ruvllm;
using test::base_config;
using test::refusal;

namespace {

format::HfModel with_scaling(const Json& scaling, const char* model_type = "llama") {
  Json config = base_config(model_type);
  config["rope_scaling"] = scaling;
  return format::read_hf_config(config);
}

}  // namespace

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

TEST_CASE("YaRN's magnitude is the quotient of both mscales, and attention_factor wins") {
  const auto magnitude = [](Json fields) {
    fields.update({{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 1024}});
    const auto keys = with_scaling(fields).metadata;
    return keys.number("llama.rope.scaling.attn_factor").value_or(1.0) * (0.1 * std::log(4.0) + 1.0);
  };
  const double own = 0.1 * std::log(4.0) + 1.0, half = 0.05 * std::log(4.0) + 1.0;
  CHECK(magnitude({}) == doctest::Approx(own));
  CHECK(magnitude({{"mscale", 1.0}, {"mscale_all_dim", 0.5}}) == doctest::Approx(own / half));
  CHECK(magnitude({{"mscale", 1.0}, {"mscale_all_dim", 1.0}}) == doctest::Approx(1.0));
  CHECK(magnitude({{"mscale", 0.5}}) == doctest::Approx(own));  // one alone says nothing
  CHECK(magnitude({{"mscale", 1.0}, {"mscale_all_dim", 0.5}, {"attention_factor", 1.5}}) ==
        doctest::Approx(1.5));
  // A factor of one or less leaves the magnitude alone, here and in GGUF.
  const auto shrunk = with_scaling({{"type", "yarn"}, {"factor", 0.5}, {"attention_factor", 1.25}}).metadata;
  CHECK(shrunk.number("llama.rope.scaling.attn_factor") == 1.25);
}

TEST_CASE("YaRN that is not truncated comes as factors, with ends of the ramp between pairs") {
  const auto model = with_scaling({{"rope_type", "yarn"},
                                   {"factor", 4.0},
                                   {"original_max_position_embeddings", 1024},
                                   {"truncate", false}});
  REQUIRE(model.tensors.size() == 1);
  CHECK(model.tensors[0].first == "rope_freqs.weight");
  CHECK(model.metadata.find("llama.rope.scaling.type") == nullptr);
  CHECK(model.metadata.number("llama.rope.scaling.attn_factor") ==
        static_cast<float>(0.1 * std::log(4.0) + 1.0));
  const auto pair_with_turns = [](double turns) {
    return 64 * std::log(1024 / (turns * 2 * std::numbers::pi)) / (2 * std::log(1e6));
  };
  const double first = pair_with_turns(32), last = pair_with_turns(1);
  for (uint32_t pair = 0; pair < 32; ++pair) {
    const double kept = 1 - std::min(1.0, std::max(0.0, (pair - first) / (last - first)));
    CHECK(model.tensors[0].second[pair] == doctest::Approx(1 / (kept + (1 - kept) / 4)).epsilon(1e-6));
  }
  CHECK(with_scaling({{"rope_type", "yarn"}, {"factor", 4.0}, {"truncate", true}}).tensors.empty());
}

TEST_CASE("YaRN takes null and 0 for what is usual") {
  const auto keys = with_scaling({{"rope_type", "yarn"},
                                  {"factor", nullptr},
                                  {"original_max_position_embeddings", 1024},
                                  {"beta_fast", 0},
                                  {"beta_slow", nullptr}})
                        .metadata;
  CHECK(keys.number("llama.rope.scaling.factor") == 4.0);  // 4096 / 1024
  CHECK(keys.number("llama.rope.scaling.yarn_beta_fast") == 32.0);
  CHECK(keys.find("llama.rope.scaling.yarn_beta_slow") == nullptr);
}

TEST_CASE("partial_rotary_factor counts where it stands, and inside first") {
  Json config = base_config("llama");
  config["rope_parameters"] = {
      {"rope_type", "default"}, {"rope_theta", 1e4}, {"partial_rotary_factor", 0.75}};
  CHECK(format::read_hf_config(config).metadata.integer("llama.rope.dimension_count") == 48);
  config["partial_rotary_factor"] = 0.5;
  CHECK(format::read_hf_config(config).metadata.integer("llama.rope.dimension_count") == 48);
  config.erase("rope_parameters");
  CHECK(format::read_hf_config(config).metadata.integer("llama.rope.dimension_count") == 32);
}

TEST_CASE("rope_parameters by layer type: each kind of layer has its own, or is refused") {
  Json config = base_config("gemma3_text");
  const auto with = [&](const Json& full, const Json& sliding) {
    config["rope_parameters"] = {{"full_attention", full}, {"sliding_attention", sliding}};
    return config;
  };
  const Json plain = {{"rope_type", "default"}, {"rope_theta", 2e4}};
  const auto keys =
      format::read_hf_config(with({{"rope_type", "linear"}, {"factor", 8.0}, {"rope_theta", 5e5}}, plain))
          .metadata;
  CHECK(keys.number("gemma3.rope.freq_base") == 5e5);
  CHECK(keys.number("gemma3.rope.freq_base_swa") == 2e4f);
  CHECK(keys.number("gemma3.rope.scaling.factor") == 8.0);
  CHECK(refusal(with(plain, {{"rope_type", "linear"}, {"factor", 2.0}})).find("sliding_attention") !=
        std::string::npos);
  CHECK(refusal(with(plain, {{"rope_type", "default"}, {"partial_rotary_factor", 0.5}}))
            .find("partial_rotary_factor") != std::string::npos);
  config["rope_parameters"]["chunked_attention"] = plain;
  CHECK(refusal(config).find("rope_parameters.chunked_attention") != std::string::npos);
}

TEST_CASE("a field that no scaling has, or another one, is refused by name") {
  const auto with = [](const Json& scaling) {
    Json config = base_config("llama");
    config["rope_parameters"] = scaling;
    return refusal(config);
  };
  CHECK(
      with({{"rope_type", "linear"}, {"factor", 2.0}, {"wobble", 3}}).starts_with("rope_parameters.wobble"));
  CHECK(with({{"rope_type", "default"}, {"factor", 2.0}}).starts_with("rope_parameters.factor"));
  CHECK(with({{"factor", 2.0}}).starts_with("rope_parameters.factor"));
  CHECK(with({{"rope_type", "linear"}, {"factor", 2.0}, {"mscale", 1.0}}).find("mscale") !=
        std::string::npos);
  CHECK(with({{"rope_type", "default"}, {"mrope_section", {1, 2}}}).find("mrope_section") !=
        std::string::npos);
  CHECK(with({{"rope_type", "proportional"}}).find("\"proportional\" is unknown") != std::string::npos);
  CHECK(with({{"rope_type", "linear"}, {"factor", 0}}).find("expected more than 0") != std::string::npos);
  CHECK(with({{"rope_type", "linear"}, {"factor", 2.0}, {"wobble", nullptr}}) == "");
  Json both = base_config("llama");
  both["rope_scaling"] = {{"rope_type", "linear"}, {"factor", 2.0}};
  both["rope_parameters"] = {{"rope_type", "linear"}, {"factor", 2.0}, {"rope_theta", 1e4}};
  CHECK(refusal(both) == "");
  both["rope_scaling"]["factor"] = 4.0;
  CHECK(refusal(both).find("rope_scaling.factor is 4.0, but rope_parameters.factor is 2.0") !=
        std::string::npos);
}
