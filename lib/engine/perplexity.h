// How well a model predicts a text, and how far another one is from it. The text is cut into windows that are
// each run in an empty cache, so that every token has at most a context's worth of history. Tested by
// tests/engine/perplexity_test.cpp.
#pragma once

#include "kv/kv_cache.h"
#include "model/model.h"
#include "text/tokenizer.h"

#include <functional>
#include <memory>
#include <string_view>

namespace ruvllm::engine {

struct EvaluationOptions {
  uint32_t context = 512;  ///< a window is BOS and context - 1 tokens
  kv::KvFormat kv_format = kv::KvFormat::q16;
  tensor::ActivationPrecision precision = tensor::ActivationPrecision::fast;
  std::function<void(uint64_t done_tokens, uint64_t total_tokens)> progress;  ///< may throw to stop
};

struct Perplexity {
  double mean_nll = 0;        ///< natural log, of one token
  uint64_t n_tokens = 0;      ///< scored
  double perplexity() const;  ///< throws Errc::corrupt_file where it is beyond all numbers
};

/// How the probabilities of `model` differ from those of a reference, token by token.
struct Divergence {
  double mean_kl = 0;         ///< KL(reference || model), natural log
  double kl_99 = 0;           ///< 99 % of tokens have less
  double top1_agreement = 0;  ///< share of tokens where both think the same one likeliest
};

/// Scores every token of `text` (the first of each window only where the tokenizer has a BOS to put before
/// it). Throws Errc::usage where the text has no token to score, Errc::corrupt_file where a model answers
/// what is no number.
Perplexity measure_perplexity(const std::shared_ptr<const model::Model>& model,
                              const text::Tokenizer& tokenizer, ThreadPool& pool, std::string_view text,
                              const EvaluationOptions& options);

/// Both at once, over the same windows. The models must share a vocabulary: throws Errc::usage where its size
/// differs, and as measure_perplexity() does.
struct Comparison {
  Perplexity perplexity;
  Divergence divergence;
};
Comparison compare_models(const std::shared_ptr<const model::Model>& model,
                          const std::shared_ptr<const model::Model>& reference,
                          const text::Tokenizer& tokenizer, ThreadPool& pool, std::string_view text,
                          const EvaluationOptions& options);

}  // namespace ruvllm::engine
