// Embeddings: texts to vectors. An encoder (BERT and its kin) or any language model reads a text; the hidden
// states of its tokens are pooled into one vector. Tested by tests/engine/embed_test.cpp.
#pragma once

#include "model/hparams.h"
#include "model/model.h"
#include "text/tokenizer.h"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::engine {

using model::Pooling;

/// By name: "mean", "cls", "last". Throws Errc::usage listing them.
Pooling find_pooling(std::string_view name);
std::string_view pooling_name(Pooling pooling);

struct EmbeddingOptions {
  std::optional<Pooling> pooling = {};  ///< as the model says, if not given
  bool normalise = true;                ///< to length 1
  tensor::ActivationPrecision precision = tensor::ActivationPrecision::fast;
};

struct Embedding {
  std::vector<float> vector;  ///< as wide as the model
  uint32_t n_tokens = 0;      ///< of the text, special ones included
};

/// Not thread-safe; one per caller.
class Embedder {
 public:
  Embedder(std::shared_ptr<const model::Model> model, std::shared_ptr<const text::Tokenizer> tokenizer,
           ThreadPool& pool, const EmbeddingOptions& options = {});

  /// One vector a text, several texts in one pass. What a text gets doesn't depend on the others. Throws
  /// Errc::usage for a text without tokens, or longer than the model's context; Errc::corrupt_file where the
  /// model makes what is no number of one.
  std::vector<Embedding> embed(std::span<const std::string> texts);

 private:
  std::vector<Embedding> embed_batch(std::span<const std::vector<text::TokenId>> texts);
  std::vector<float> pool_states(std::span<const float> states) const;

  std::shared_ptr<const model::Model> model_;
  std::shared_ptr<const text::Tokenizer> tokenizer_;
  model::Runner runner_;
  EmbeddingOptions options_;
  Pooling pooling_;
};

}  // namespace ruvllm::engine
