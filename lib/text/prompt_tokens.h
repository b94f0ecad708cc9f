// What a model is fed, in tokens: one rule for programs that ask and for those that train, so that a model
// learns to go on from the very tokens that it will be asked with. BOS stands in front once, whether the
// tokenizer adds it, the template writes it, or both; and what a model writes goes on from what it was fed,
// with no space of its own. Tested by tests/text/prompt_tokens_test.cpp.
#pragma once

#include "text/chat_template.h"

#include <span>
#include <string_view>
#include <vector>

namespace ruvllm::text {

/// The prompt of a conversation, its system message with the first user's where the template knows no system
/// role. Throws as ChatTemplate::render() does.
Prompt render_prompt(const ChatTemplate& chat_template, ChatRequest request);

/// The tokens of a rendered prompt.
std::vector<TokenId> prompt_tokens(const Tokenizer& tokenizer, const Prompt& prompt);

/// The tokens of a text that a model is to go on from without a template. `parse_special` and `literal` as in
/// EncodeOptions.
std::vector<TokenId> plain_prompt_tokens(const Tokenizer& tokenizer, std::string_view text,
                                         bool parse_special, std::span<const ByteRange> literal = {});

/// The tokens with which a model goes on from a prompt by writing `text`.
std::vector<TokenId> answer_tokens(const Tokenizer& tokenizer, std::string_view text, bool parse_special,
                                   std::span<const ByteRange> literal = {});

}  // namespace ruvllm::text
