// The tokenizer of a Hugging Face folder in GGUF's words: the keys tokenizer.ggml.*, so that a file made from
// a folder reads text as the folder does.
//
// The keys are written, read back, and both tokenizers tried on the same texts. Where a tokenizer is more
// than the keys can say (another expression to cut with, a normaliser, white space that belongs to an added
// token), the whole tokenizer.json goes into the file, too, under the GGUF specification's key for it, and is
// what our reader takes then. Tested by tests/text/gguf_tokenizer_test.cpp.
#pragma once

#include "format/metadata.h"
#include "text/pipeline.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::text {

/// A whole tokenizer.json (GGUF specification, "Tokenizer").
inline constexpr std::string_view kHuggingFaceJsonKey = "tokenizer.huggingface.json";

/// The parts of the tokenizer that tokenizer.ggml.* describe. Throws Errc::corrupt_file naming the key.
Pipeline read_gguf_tokenizer(const format::Metadata& metadata);

/// Adds the keys of a folder's tokenizer, for a token embedding of `n_rows` rows (0: as many as there are
/// tokens): rows without a token get one that is never used. Returns what the user is to be told. Throws
/// Errc::not_found where the folder has no tokenizer, Errc::corrupt_file where it can't be read.
std::vector<std::string> add_gguf_tokenizer(const std::filesystem::path& folder, uint64_t n_rows,
                                            format::Metadata& metadata);

/// Makes the list of tokens of metadata as long as the embedding: what is missing is added as tokens that are
/// never used, as every loader wants it. Metadata without a list stays as it is.
void pad_token_list(uint64_t n_rows, format::Metadata& metadata);

}  // namespace ruvllm::text
