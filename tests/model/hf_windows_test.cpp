// Which layers have windows, for every rule that a model type's class in the library has.
#include "format/hf_config.h"

#include "base/error.h"
#include "format/hf_config_support.h"
#include "model/hparams.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace ruvllm;
using test::refusal;

namespace {

using Windows = std::vector<uint32_t>;

Json base_config(const std::string& model_type) {
  return {{"model_type", model_type}, {"hidden_size", 64},      {"num_attention_heads", 4}, {"head_dim", 16},
          {"num_key_value_heads", 2}, {"num_hidden_layers", 6}, {"sliding_window", 5}};
}

/// What each layer sees, read as the model reads it.
Windows windows(const Json& config) {
  format::ModelFile file;
  file.metadata = format::read_hf_config(config).metadata;
  const model::HyperParameters h = model::read_hyper_parameters(file);
  Windows found;
  for (uint32_t layer = 0; layer < h.n_layers; ++layer) found.push_back(h.window_of(layer));
  return found;
}

Json with(Json config, const char* field, const Json& value) {
  config[field] = value;
  return config;
}

}  // namespace

TEST_CASE("each model type has the windows of its class") {
  const Windows none(6, 0), all(6, 5);
  CHECK(windows(base_config("llama")) == none);  // whose class has no such field
  CHECK(windows(base_config("mistral")) == all);
  CHECK(windows(with(base_config("mistral"), "sliding_window", nullptr)) == none);
  CHECK(windows(base_config("phi3")) == all);
  CHECK(windows(base_config("gemma2")) == Windows{5, 0, 5, 0, 5, 0});
  CHECK(windows(base_config("gemma3_text")) == Windows{5, 5, 5, 5, 5, 0});
  for (const char* model_type : {"qwen2", "qwen3", "qwen2_moe", "qwen3_moe"})
    CHECK(windows(base_config(model_type)) == none);
  const auto used = [](const char* model_type, uint32_t border) {
    return windows(
        with(with(base_config(model_type), "use_sliding_window", true), "max_window_layers", border));
  };
  CHECK(used("qwen2", 4) == Windows{0, 0, 0, 0, 5, 5});
  CHECK(used("qwen3", 0) == all);
  CHECK(used("qwen3", 6) == none);
  CHECK(used("qwen2_moe", 4) == Windows{5, 0, 5, 0, 0, 0});
  CHECK(used("qwen3_moe", 4) == all);
}

TEST_CASE("a pattern and layer_types are obeyed where the class asks for them") {
  const Json gemma = base_config("gemma3_text");
  CHECK(windows(with(gemma, "sliding_window_pattern", 4)) == Windows{5, 5, 5, 0, 5, 5});
  CHECK(windows(with(gemma, "_sliding_window_pattern", 2)) == Windows{5, 0, 5, 0, 5, 0});
  CHECK(windows(with(gemma, "sliding_window_pattern", 1)) == Windows(6, 0));
  CHECK(windows(with(gemma, "sliding_window_pattern", 9)) == Windows(6, 5));
  const std::string s = "sliding_attention", f = "full_attention";
  const Json types = {f, s, s, f, f, s};
  for (const char* model_type : {"gemma2", "gemma3_text"})
    CHECK(windows(with(base_config(model_type), "layer_types", types)) == Windows{0, 5, 5, 0, 0, 5});
  CHECK(windows(with(with(base_config("qwen3"), "layer_types", types), "use_sliding_window", true)) ==
        Windows{0, 5, 5, 0, 0, 5});
  CHECK(windows(with(gemma, "layer_types", Json(std::vector(6, f)))) == Windows(6, 0));
  CHECK(windows(with(base_config("mistral"), "layer_types", Json(std::vector(6, s)))) == Windows(6, 5));
  CHECK(windows(with(base_config("llama"), "layer_types", Json(std::vector(6, f)))) == Windows(6, 0));
}

TEST_CASE("layers that no model of the type has are refused by name") {
  const std::string s = "sliding_attention", f = "full_attention";
  const Json gemma = base_config("gemma3_text");
  CHECK(refusal(with(gemma, "layer_types", {f, f})).find("layer_types has 2 layers") != std::string::npos);
  CHECK(refusal(with(gemma, "layer_types", {f, f, f, "chunked_attention", f, f})).find("layer_types[3]") !=
        std::string::npos);
  CHECK(refusal(with(gemma, "sliding_window_pattern", 0)).find("sliding_window_pattern") !=
        std::string::npos);
  CHECK(refusal(with(gemma, "sliding_window", nullptr)).find("sliding_window") != std::string::npos);
  CHECK(refusal(with(base_config("llama"), "layer_types", {f, s, f, f, f, f})).find("layer_types") !=
        std::string::npos);
  CHECK(refusal(with(base_config("mistral"), "layer_types", {f, s, f, s, f, s})).find("layer_types") !=
        std::string::npos);
  CHECK(refusal(with(base_config("mistral"), "sliding_window_pattern", 2)).find("sliding_window_pattern") !=
        std::string::npos);
  CHECK(refusal(with(base_config("gemma2"), "sliding_window_pattern", 4)).find("sliding_window_pattern") !=
        std::string::npos);
  CHECK(refusal(with(base_config("gemma2"), "sliding_window_pattern", 2)) == "");
  CHECK(refusal(with(base_config("llama"), "use_sliding_window", true)).find("use_sliding_window") !=
        std::string::npos);
  CHECK(refusal(with(base_config("qwen3"), "layer_types", Json(std::vector(6, s)))).find("sliding_window") !=
        std::string::npos);  // use_sliding_window is false
}
