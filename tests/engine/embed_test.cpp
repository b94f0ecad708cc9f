#include "engine/embed.h"

#include "model/model_test_support.h"

namespace ruvllm::test {
namespace {

double length(const std::vector<float>& v) {
  double squares = 0;
  for (const float value : v) squares += double{value} * value;
  return std::sqrt(squares);
}

}  // namespace

TEST_CASE("pooled hidden states are the embedding, alone and in company") {
  const auto path = test_data("stories260K/stories260K.gguf");
  if (!path) return;
  const auto file = format::open_model_file(*path);
  ThreadPool pool(2);
  const auto model = model::Model::load(file, pool);
  const std::shared_ptr<const text::Tokenizer> tokenizer = text::make_tokenizer(*file);
  const std::vector<std::string> texts = {"Once upon a time", "Lily",
                                          "a dog and a cat played in the park all day"};
  const size_t width = model->hparams().width;

  for (const engine::Pooling pooling : {engine::Pooling::mean, engine::Pooling::cls, engine::Pooling::last}) {
    engine::EmbeddingOptions options;
    options.pooling = pooling;
    options.normalise = false;
    const auto together = engine::Embedder(model, tokenizer, pool, options).embed(texts);
    options.normalise = true;
    const auto unit = engine::Embedder(model, tokenizer, pool, options).embed(texts);
    for (size_t i = 0; i < texts.size(); ++i) {
      const Tokens tokens = tokenizer->encode(texts[i], {});
      model::Runner runner(model, pool);
      const auto cache = f32_cache(*model, 100);
      const model::Segment segment{tokens, cache.get(), model::Answers::all};
      const std::span<const float> states = runner.hidden({&segment, 1});
      CHECK(together[i].n_tokens == tokens.size());
      for (size_t k = 0; k < width; ++k) {
        double mean = 0;
        for (size_t row = 0; row < tokens.size(); ++row)
          mean += states[row * width + k] / static_cast<double>(tokens.size());
        const double wanted = pooling == engine::Pooling::mean  ? mean
                              : pooling == engine::Pooling::cls ? states[k]
                                                                : states[(tokens.size() - 1) * width + k];
        CHECK(together[i].vector[k] == doctest::Approx(wanted).epsilon(1e-5));
        CHECK(unit[i].vector[k] == doctest::Approx(wanted / length(together[i].vector)).epsilon(1e-5));
      }
      CHECK(length(unit[i].vector) == doctest::Approx(1));
    }
  }
}

TEST_CASE("texts that have no embedding are errors, poolings are found by name") {
  const auto path = test_data("stories260K/stories260K.gguf");
  if (!path) return;
  const auto file = format::open_model_file(*path);
  ThreadPool pool(1);
  engine::Embedder embedder(model::Model::load(file, pool), text::make_tokenizer(*file), pool);
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "word ";
  CHECK_THROWS_AS(embedder.embed({&text, 1}), Error);
  CHECK(embedder.embed({}).empty());
  CHECK(engine::find_pooling("cls") == engine::Pooling::cls);
  CHECK(engine::pooling_name(engine::Pooling::last) == "last");
  CHECK_THROWS_AS(engine::find_pooling("max"), Error);
}

}  // namespace ruvllm::test
