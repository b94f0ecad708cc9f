// Tokenizers of Hugging Face folders: tokenizer.json, tokenizer.model (SentencePiece), and what
// tokenizer_config.json and its kin add. They become the same pipelines as GGUF's. Tested by
// tests/text/tokenizer_json_test.cpp and tests/fuzz/tokenizer_json_fuzz.cpp.
#pragma once

#include "base/json.h"
#include "text/pipeline.h"
#include "text/tokenizer.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace ruvllm::text {

/// What stands beside a tokenizer: its roles (bos_token, eos_token, ...), and tokens that end a turn.
struct TokenizerConfig {
  Json config = Json::object();         ///< tokenizer_config.json, with special_tokens_map.json under it
  std::vector<int64_t> end_ids;         ///< eos_token_id of generation_config.json or config.json
  std::vector<int64_t> suppressed_ids;  ///< suppress_tokens of generation_config.json
  Json added_tokens = Json::object();   ///< added_tokens.json: spelling to id; for tokenizer.model
  /// Rows of the embedding, where they are known: there has to be one for every token but the added ones. (A
  /// token added for other kinds of input than text may lack its row.)
  std::optional<TokenId> n_rows = {};
};

/// Throws corrupt_file naming the place in the document.
std::shared_ptr<const Tokenizer> parse_tokenizer_json(std::string_view text, const TokenizerConfig& config);
/// The same as parts; nothing in them points into the document.
Pipeline read_tokenizer_json(const Json& document, const TokenizerConfig& config);

/// SentencePiece's ModelProto. Throws corrupt_file.
std::shared_ptr<const Tokenizer> parse_sentencepiece_model(std::span<const std::byte> bytes,
                                                           const TokenizerConfig& config);
/// The same as parts; nothing in them points into `bytes`.
Pipeline read_sentencepiece_model(std::span<const std::byte> bytes, const TokenizerConfig& config);

/// The tokenizer of a folder: tokenizer.json if there, else tokenizer.model. `n_rows`: of the embedding,
/// where that is known. Throws not_found where there is neither.
std::shared_ptr<const Tokenizer> make_tokenizer_of_folder(const std::filesystem::path& folder,
                                                          std::optional<TokenId> n_rows = {});

}  // namespace ruvllm::text
