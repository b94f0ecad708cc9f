// A model that does not exist yet: metadata for a shape that the user names, with a vocabulary trained on the
// user's text. What train-qat --from-scratch starts from. Tested by tests/train/fresh_model_test.cpp.
#pragma once

#include "base/json.h"
#include "format/model_file.h"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace ruvllm::train {

/// What a shape file says. "architecture" (default "llama") and "tied_head" (default true) are its own; keys
/// that begin with "general." (name, license, ...) go to the metadata as they are, all others as
/// "ARCHITECTURE.KEY", where the model's own reading checks them.
struct ModelShape {
  format::Metadata metadata;
  size_t n_vocabulary = 0;  ///< "vocab_size"
  bool tied_head = true;
};

/// Reads {"architecture":"llama","block_count":6,"embedding_length":256,...}. Throws Errc::corrupt_file
/// naming the key.
ModelShape read_model_shape(const Json& json, const std::string& name);

/// The special tokens that follow the trained ones: end of text (also BOS), begin and end of a chat turn.
inline constexpr std::string_view kSpecialTokens[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};

/// A byte-level BPE vocabulary of shape.n_vocabulary tokens, special ones included, trained on `corpus`, and
/// a ChatML template, into the shape's metadata. Documents and prompts begin with <|endoftext|>, so that the
/// model knows what it is fed at a beginning. Throws Errc::usage where the size can't hold the bytes and
/// special tokens.
void add_trained_tokenizer(ModelShape& shape, std::string_view corpus);

/// Another chat template in place of the one that the metadata holds.
void set_chat_template(ModelShape& shape, std::string source);

/// The tokenizer.* metadata of another model.
void copy_tokenizer(ModelShape& shape, const format::ModelFile& other);

}  // namespace ruvllm::train
