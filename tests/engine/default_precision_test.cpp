// How far the default way of computing is from the exact one, of weights in f32: what keys and values in q16
// and attention in integers lose, on text that the built-in model writes.
#include "engine/write_corpus.h"
#include "model/model_test_support.h"
#include "text/tokenizer.h"

namespace ruvllm::test {
namespace {

/// The built-in model with all weights in f32.
std::shared_ptr<const model::Model> load_tiny_in_f32(const std::shared_ptr<const format::ModelFile>& file,
                                                     ThreadPool& pool) {
  format::Tensor made;
  std::vector<float> values;
  return model::Model::load(file, pool, {}, [&](const format::Tensor& tensor) -> const format::Tensor& {
    values.resize(tensor.n_values());
    tensor.decode(0, values);
    made = tensor;
    made.format = tensor::Format::F32;
    made.bytes = std::as_bytes(std::span(values));
    return made;
  });
}

std::vector<float> all_logits(model::Runner& runner, kv::KvFormat format, const Tokens& tokens) {
  const auto cache = kv::make_contiguous_cache(runner.model().kv_shape(format, format),
                                               static_cast<uint32_t>(tokens.size()));
  const model::Segment segment{tokens, cache.get(), model::Answers::all};
  const std::span<const float> logits = runner.forward({&segment, 1});
  return {logits.begin(), logits.end()};
}

/// KL(exact || other) of one position, in nats.
double divergence(std::span<const float> exact, std::span<const float> other) {
  const auto log_sum = [](std::span<const float> logits) {
    const double most = *std::ranges::max_element(logits);
    double sum = 0;
    for (const float x : logits) sum += std::exp(x - most);
    return most + std::log(sum);
  };
  const double of_exact = log_sum(exact), of_other = log_sum(other);
  double kl = 0;
  for (size_t i = 0; i < exact.size(); ++i)
    kl += std::exp(exact[i] - of_exact) * ((exact[i] - of_exact) - (other[i] - of_other));
  return kl;
}

}  // namespace

TEST_CASE("the default is within 2e-7 nats a token of exact attention, and chooses the same tokens") {
  const auto file = format::open_model_file(std::string(RUVLLM_SOURCE_DIR) + "/models/tiny.gguf");
  ThreadPool pool(2);
  const auto model = load_tiny_in_f32(file, pool);
  const auto tokenizer = text::make_tokenizer(*file);
  model::Runner exact(model, pool, tensor::ActivationPrecision::exact);
  model::Runner fast(model, pool, tensor::ActivationPrecision::fast);
  const size_t n_tokens = model->hparams().n_vocabulary;
  double kl = 0;
  size_t n = 0, n_agree = 0;
  engine::CorpusOptions corpus;
  corpus.n_tokens = 1500;
  corpus.sequence_tokens = 250;
  corpus.seed = test_seed();
  for (const Tokens& tokens : engine::write_corpus(model, *tokenizer, pool, corpus)) {
    const std::vector<float> wanted = all_logits(exact, kv::KvFormat::f32, tokens);
    const std::vector<float> found = all_logits(fast, kv::KvFormat::q16, tokens);
    for (size_t at = 0; at < wanted.size(); at += n_tokens, ++n) {
      const auto a = std::span(wanted).subspan(at, n_tokens), b = std::span(found).subspan(at, n_tokens);
      kl += divergence(a, b);
      n_agree += std::ranges::max_element(a) - a.begin() == std::ranges::max_element(b) - b.begin();
    }
  }
  REQUIRE(n > 1000);
  MESSAGE("mean KL ", kl / static_cast<double>(n), ", ", n_agree, " of ", n, " choices agree");
  CHECK(kl / static_cast<double>(n) < 2e-7);
  CHECK(static_cast<double>(n_agree) > 0.997 * static_cast<double>(n));
}

}  // namespace ruvllm::test
