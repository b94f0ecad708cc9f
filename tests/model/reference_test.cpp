// Models against true answers: logits of exact (float64) passes, and greedy continuations.
#include "model/model_test_support.h"

namespace ruvllm::test {
namespace {

struct TinyReference {
  std::string model;
  std::string reference;
  double tolerance;
};

// Exact activations: int16 where weights are quantised, f32 where they are BF16.
const TinyReference kTiny[] = {
    {"tiny/llama.gguf", "tiny/ref/llama.json", 1e-3},
    {"tiny/qwen2.gguf", "tiny/ref/qwen2.json", 1e-3},
    {"tiny/gemma2.gguf", "tiny/ref/gemma2.json", 1e-3},
    {"tiny/phi3.gguf", "tiny/ref/phi3.json", 1e-3},
    {"tiny/llama-moe.gguf", "tiny/ref/llama-moe.json", 1e-3},
    {"tiny/quantised/llama-Q4_0.gguf", "tiny/ref/llama-Q4_0.json", 2e-3},
    {"tiny/quantised/llama-Q4_K_M.gguf", "tiny/ref/llama-Q4_K_M.json", 2e-3},
};

}  // namespace

TEST_CASE("tiny models of every architecture give the exact logits and greedy tokens") {
  for (const TinyReference& row : kTiny) {
    const auto path = test_data(row.model);
    const auto reference = test_data(row.reference);
    if (!path || !reference) continue;
    CAPTURE(row.model);
    const auto model = load_model(*path);
    const size_t n_vocabulary = model->hparams().n_vocabulary;
    const auto cases = read_reference(*reference)["cases"];
    for (const auto& wanted : cases) {
      const auto tokens = wanted["tokens"].get<Tokens>();
      const RunOptions options{.capacity = wanted["n_ctx"].get<uint32_t>(),
                               .precision = tensor::ActivationPrecision::exact};
      const std::vector<float> logits = logits_of(model, tokens, options);
      for (size_t i = 0; i < wanted["positions"].size(); ++i) {
        const auto position = wanted["positions"][i].get<size_t>();
        const double difference =
            largest_difference(std::span(logits).subspan(position * n_vocabulary, n_vocabulary),
                               wanted["logits"][i].get<std::vector<float>>());
        CHECK(difference <= row.tolerance);
      }
      if (wanted.contains("greedy")) {
        const auto& continuation = wanted["greedy"];
        const auto ids = (continuation.is_object() ? continuation["tokens"] : continuation).get<Tokens>();
        CHECK(greedy(model, tokens, ids.size(), options) == ids);
      }
    }
  }
}

TEST_CASE("stories260K gives the reference logits within 1e-4 and every greedy token") {
  const auto path = test_data("stories260K/stories260K.gguf");
  if (!path) return;
  const auto model = load_model(*path);
  const size_t n_vocabulary = model->hparams().n_vocabulary;
  const auto cases = read_reference(*test_data("stories260K/ref/logits.json"))["cases"];
  for (const auto& wanted : cases) {
    const std::vector<float> logits = logits_of(model, wanted["tokens"].get<Tokens>());
    for (size_t i = 0; i < wanted["positions"].size(); ++i) {
      const auto position = wanted["positions"][i].get<size_t>();
      CHECK(largest_difference(std::span(logits).subspan(position * n_vocabulary, n_vocabulary),
                               wanted["logits"][i].get<std::vector<float>>()) <= 1e-4);
    }
  }
}

}  // namespace ruvllm::test
