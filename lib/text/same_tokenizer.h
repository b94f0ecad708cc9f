// Do two tokenizers read alike? Their lists of tokens are compared one by one, and both are tried on texts
// that tell apart what tokenizers differ in. Used by gguf_tokenizer.h; tested by
// tests/text/gguf_tokenizer_test.cpp.
#pragma once

#include "text/tokenizer.h"

#include <span>
#include <string>
#include <vector>

namespace ruvllm::text {

/// Texts in which the usual normalisers, cutters and subword models show: contractions, numbers, runs of
/// white space, scripts, forms of Unicode; and what the tokenizer's added tokens look like among words.
std::vector<std::string> telling_texts(const Tokenizer& tokenizer);

/// How many of the texts both tokenizers make the same tokens of, with and without control tokens.
size_t n_read_alike(const Tokenizer& a, const Tokenizer& b, std::span<const std::string> texts);

/// Whether both read all of the texts alike, and what every token of `a` looks like, alone and after others;
/// every token of `a` means the same bytes in `b`; and both go on from the same BOS to the same end.
bool read_alike(const Tokenizer& a, const Tokenizer& b, std::span<const std::string> texts);

}  // namespace ruvllm::text
