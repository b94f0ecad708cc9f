#include "engine/write_corpus.h"

#include <doctest/doctest.h>

#include "format/model_file.h"
#include "test_support.h"

#include <algorithm>

namespace ruvllm::engine {

TEST_CASE("a model writes as many tokens as asked, the same ones however many sequences run side by side") {
  const auto path = test::test_data("stories260K/stories260K.gguf");
  if (!path) return;
  const auto file = format::open_model_file(*path);
  const auto tokenizer = text::make_tokenizer(*file);
  const auto write = [&](uint32_t n_parallel, int n_threads, uint64_t seed) {
    ThreadPool pool(n_threads);
    const auto model = model::Model::load(file, pool);
    CorpusOptions options;
    options.n_tokens = 600;
    options.sequence_tokens = 64;
    options.seed = seed;
    options.n_parallel = n_parallel;
    return write_corpus(model, *tokenizer, pool, options);
  };
  const auto corpus = write(16, 2, 1);
  size_t n = 0;
  for (const auto& sequence : corpus) {
    CHECK(sequence.front() == *tokenizer->bos());
    CHECK((sequence.size() >= 2 && sequence.size() <= 65));
    n += sequence.size();
  }
  CHECK((n >= 600 && n < 600 + 65));
  CHECK(corpus == write(1, 1, 1));
  CHECK(corpus == write(5, 3, 1));
  CHECK(corpus != write(16, 2, 2));
  const std::string text = tokenizer->decode(corpus[1], false);
  CHECK(text.find("Once upon a time") != std::string::npos);
}

}  // namespace ruvllm::engine
