// Text that a model writes by itself, for training without a data set (LLM-QAT, Liu et al. 2023): many
// sequences side by side, from the token that texts begin with (or any token, where there is none), each at a
// temperature of its own so that the usual and the rare both occur. Tested by
// tests/engine/write_corpus_test.cpp.
#pragma once

#include "model/model.h"
#include "text/tokenizer.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace ruvllm::engine {

struct CorpusOptions {
  uint64_t n_tokens = 0;           ///< to write, in all; the last sequence may go over
  uint32_t sequence_tokens = 256;  ///< of the longest sequence
  uint64_t seed = 0;
  uint32_t n_parallel = 16;  ///< sequences in a batch; no bit of the text depends on it
  std::function<void(uint64_t done_tokens, uint64_t total_tokens)> progress;  ///< may throw to stop
};

/// Sequence number i is written with these, in turn.
inline constexpr float kCorpusTemperatures[] = {1.0f, 0.7f, 1.0f, 1.2f};

/// The sequences, in order, each with the token that it began with; an end token is kept, and ends one.
std::vector<std::vector<text::TokenId>> write_corpus(const std::shared_ptr<const model::Model>& model,
                                                     const text::Tokenizer& tokenizer, ThreadPool& pool,
                                                     const CorpusOptions& options);

}  // namespace ruvllm::engine
