// Scores for tokens of which only a list of merges is known: SentencePiece's way of joining neighbours asks
// for scores, and a tokenizer.json of such a model has merges, by rank. Used by gguf_tokenizer.h and tested
// with it.
#pragma once

#include "base/json.h"
#include "text/vocab.h"

#include <vector>

namespace ruvllm::text {

struct MergeScores {
  std::vector<float> scores;  ///< one a token; the earlier a token is made, the higher
  bool is_exact = false;      ///< joining by these scores is joining by the merges
};

/// `merges` as tokenizer.json has them: "a b" or ["a", "b"], read before and found well-formed. Exact where
/// all merges that make one token stand together, and every two tokens that would make a third are a merge:
/// then neither order nor list says more than the scores do.
MergeScores scores_of_merges(const Json& merges, const Vocab& vocab);

}  // namespace ruvllm::text
