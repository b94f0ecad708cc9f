// What a model answers is looked at once, before anything is chosen, scored or told from it: logits that are
// no numbers are the mark of broken weights, and comparisons would pass them over. Tested by
// tests/engine/logits_test.cpp.
#pragma once

#include "base/finite.h"

#include <cstdint>
#include <span>
#include <string_view>

namespace ruvllm::engine {

/// Throws Errc::corrupt_file naming the first logit that is NaN or infinite: a row of `whose` ("the model")
/// after `n_tokens` of context. Some microseconds for a large vocabulary.
inline void require_finite_logits(std::span<const float> logits, uint64_t n_tokens,
                                  std::string_view whose = "the model") {
  if (const auto at = find_non_finite(logits))
    throw Error(
        Errc::corrupt_file,
        "{} is broken: after {} tokens, the logit of token {} is {}; see 'ruvllm inspect tensors --stats'",
        whose, n_tokens, *at, non_finite_name(logits[*at]));
}

}  // namespace ruvllm::engine
