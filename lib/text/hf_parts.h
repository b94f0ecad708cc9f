// The parts of a tokenizer.json other than its model, as parts of a pipeline: normalisers, pre-tokenisers,
// decoders and post-processors, each kind a row of a table. Used by tokenizer_json.cpp; tested by
// tests/text/tokenizer_json_test.cpp.
#pragma once

#include "text/json_view.h"
#include "text/pipeline.h"

namespace ruvllm::text {

/// Appends the steps of a "normalizer". Throws corrupt_file naming the place and a kind that is unknown.
void add_normaliser(const JsonView& json, Pipeline& pipeline);

/// Appends the steps of a "pre_tokenizer". True where one of them is ByteLevel: words are bytes then.
bool add_pretokeniser(const JsonView& json, Pipeline& pipeline);

/// The expressions that a "pre_tokenizer" cuts with, one after the other, as a row of pretokenizers.def has
/// them. What is no such expression stands there by its type.
std::vector<std::string> split_patterns(const JsonView& json);

/// How tokens become text again: bytes_of, strips_first_space, cleans_up_spaces.
void add_decoder(const JsonView& json, Pipeline& pipeline);

/// The special tokens around a text.
void add_postprocessor(const JsonView& json, Pipeline& pipeline);

}  // namespace ruvllm::text
