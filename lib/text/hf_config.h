// tokenizer_config.json: which token has which role, and whether BOS and EOS go around a text. Shared by the
// readers of tokenizer.json and tokenizer.model; tested by tests/text/tokenizer_json_test.cpp.
#pragma once

#include "text/pipeline.h"
#include "text/tokenizer_json.h"

namespace ruvllm::text {

/// Fills vocab.special from "bos_token" and its kin, where they name tokens, and the end tokens.
void apply_roles(const TokenizerConfig& config, Vocab& vocab);

/// The special tokens that the configuration names, with their texts, as templates see them.
SpecialTexts configured_texts(const TokenizerConfig& config);

/// Throws corrupt_file where a model of `n_tokens` tokens has fewer rows in its embedding.
void check_rows(size_t n_tokens, std::optional<TokenId> n_rows, std::string_view where);

/// Makes "add_bos_token" and "add_eos_token" true or false of the pipeline, where they are given.
void apply_framing_flags(const TokenizerConfig& config, Pipeline& pipeline);

/// The configuration that stands beside a tokenizer. Throws corrupt_file.
TokenizerConfig read_tokenizer_config(const std::filesystem::path& folder);

}  // namespace ruvllm::text
