// What stands in for a tokenizer where a model says that it has none (tokenizer.ggml.model is "none" or
// "no_vocab"): its speed can be measured, and token ids go in and out, but no text. Tested by
// tests/text/special_tokens_test.cpp.
#pragma once

#include "text/tokenizer.h"

#include <memory>
#include <string_view>

namespace ruvllm::text {

/// `kind`: what the model calls it, for messages.
std::shared_ptr<const Tokenizer> make_no_tokenizer(std::string_view kind, TokenId n_tokens);

}  // namespace ruvllm::text
