// Chains of reasoning steps in training text: where each step ends, in tokens. A chain is a line of .jsonl,
// {"prompt":..,"steps":[{"text":..,"type":..}],"answer":..}, or a plain text whose lines are its steps.
// Tested by tests/train/reasoning_test.cpp.
#pragma once

#include "base/json.h"
#include "text/tokenizer.h"
#include "train/dataset.h"

#include <functional>
#include <string>
#include <string_view>

namespace ruvllm::train {

/// Prompt, steps and answer on lines of their own; everything after the prompt is to be learned. An answer is
/// a step, too, unless the last step is of that type already. Throws Errc::corrupt_file naming the key.
Document chain_document(const OrderedJson& line, const text::Tokenizer& tokenizer);

/// Hands over what such a line says: prompt, steps, answer.
void for_each_part(const OrderedJson& line, const std::function<void(const std::string&)>& take);

/// Makes the lines of a text its steps, all of weight 1. `document` is the text's, beginning with BOS where
/// the tokenizer adds one.
void mark_lines(Document& document, std::string_view text, const text::Tokenizer& tokenizer);

}  // namespace ruvllm::train
