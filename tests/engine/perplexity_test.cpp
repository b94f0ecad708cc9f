#include "engine/perplexity.h"

#include "base/file.h"
#include "model/model_test_support.h"

namespace ruvllm::test {

TEST_CASE("the perplexity of stories260K on its own stories is the reference's within 1e-4") {
  const auto path = test_data("stories260K/stories260K.gguf");
  const auto text_path = test_data("stories260K/stories-eval.txt");
  if (!path || !text_path) return;
  const nlohmann::json wanted = read_reference(*test_data("stories260K/ref/eval.json"));
  const auto file = format::open_model_file(*path);
  ThreadPool pool(2);
  const auto model = model::Model::load(file, pool);
  const auto tokenizer = text::make_tokenizer(*file);
  const std::string text = read_file(*text_path, 1 << 20);
  engine::EvaluationOptions options;
  options.kv_format = kv::KvFormat::f32;
  uint64_t last_done = 0, total = 0;
  options.progress = [&](uint64_t done, uint64_t all) { last_done = done, total = all; };
  const engine::Perplexity found = engine::measure_perplexity(model, *tokenizer, pool, text, options);
  CHECK(found.n_tokens == wanted["n_tokens"].get<uint64_t>());
  CHECK(std::abs(found.perplexity() / wanted["perplexity"].get<double>() - 1) < 1e-4);
  CHECK(last_done == found.n_tokens);
  CHECK(total == found.n_tokens);

  SUBCASE("and a model compared with itself diverges by nothing") {
    const auto same = engine::compare_models(model, model, *tokenizer, pool, text.substr(0, 3000), options);
    CHECK(same.divergence.mean_kl < 1e-12);
    CHECK(same.divergence.top1_agreement == 1.0);
  }
}

}  // namespace ruvllm::test
