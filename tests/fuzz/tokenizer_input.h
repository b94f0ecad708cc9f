// Fuzz input for tokenizers: a small vocabulary described by the first bytes, then a text; and the promises
// that every tokenizer keeps, whatever its vocabulary.
#pragma once

#include "fuzz.h"

#include "base/error.h"
#include "base/utf8.h"
#include "format/model_file.h"
#include "text/tokenizer.h"

#include <algorithm>
#include <string>
#include <vector>

namespace ruvllm::fuzz {

/// The bytes of an input, taken from the front; past the end they are zero.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : bytes_(reinterpret_cast<const char*>(data), size) {}
  uint8_t byte() {
    const std::string_view one = text(1);
    return one.empty() ? 0 : static_cast<uint8_t>(one[0]);
  }
  std::string_view text(size_t n_bytes) {
    const std::string_view taken = bytes_.substr(0, n_bytes);
    bytes_.remove_prefix(taken.size());
    return taken;
  }
  std::string_view rest() { return text(bytes_.size()); }

 private:
  std::string_view bytes_;
};

/// Metadata with a vocabulary: count, then spelling, kind and score of each token; then special ids and
/// flags.
inline format::Metadata read_metadata(Input& input, const char* model) {
  format::Metadata metadata;
  metadata.set("tokenizer.ggml.model", std::string_view(model));
  std::vector<std::string> spellings;
  std::vector<int32_t> kinds;
  std::vector<float> scores;
  for (int n = input.byte(); n > 0; --n) {
    const uint8_t header = input.byte();  // three bits of kind, five of length
    spellings.emplace_back(input.text(header & 31));
    kinds.push_back(header >> 5);
    scores.push_back(static_cast<float>(static_cast<int8_t>(input.byte())) / 4);
  }
  metadata.set("tokenizer.ggml.tokens", metadata.keep_strings(spellings));
  metadata.set("tokenizer.ggml.token_type",
               metadata.keep_array(format::ValueType::i32, std::as_bytes(std::span(kinds))));
  metadata.set("tokenizer.ggml.scores",
               metadata.keep_array(format::ValueType::f32, std::as_bytes(std::span(scores))));
  const uint8_t flags = input.byte();
  if (flags & 1) metadata.set("tokenizer.ggml.bos_token_id", uint32_t{input.byte()});
  if (flags & 2) metadata.set("tokenizer.ggml.eos_token_id", uint32_t{input.byte()});
  if (flags & 4) metadata.set("tokenizer.ggml.unknown_token_id", uint32_t{input.byte()});
  if (flags & 8) metadata.set("tokenizer.ggml.add_space_prefix", (flags & 128) != 0);
  if (flags & 16) metadata.set("tokenizer.ggml.remove_extra_whitespaces", (flags & 128) != 0);
  if (flags & 32) metadata.set("tokenizer.ggml.add_eos_token", true);
  if (flags & 64) metadata.set("tokenizer.ggml.add_bos_token", true);
  return metadata;
}

/// Encodes and decodes, and holds what comes against what is promised.
inline void check_tokenizer(std::shared_ptr<const text::Tokenizer> tokenizer, std::optional<int64_t> unknown,
                            std::string_view text) {
  for (const bool parse_special : {false, true}) {
    const auto tokens =
        tokenizer->encode(text, {.add_special = parse_special, .parse_special = parse_special});
    FUZZ_CHECK(tokens.size() <= 4 * text.size() + 8);  // ▁ for a space is three bytes
    text::Detokeniser detokeniser(tokenizer, true);
    for (const text::TokenId token : tokens) {
      FUZZ_CHECK(token >= 0 && token < tokenizer->n_tokens());
      FUZZ_CHECK(parse_special || token == unknown || tokenizer->kind(token) != text::TokenKind::control);
      FUZZ_CHECK(is_utf8(detokeniser.push(token)));
    }
    FUZZ_CHECK(is_utf8(detokeniser.finish()));
    (void)tokenizer->decode(tokens, false);
  }
}

/// Makes a tokenizer of metadata and checks it; a refusal must say that the file is corrupt.
inline void check_metadata(format::Metadata metadata, std::string_view text) {
  format::ModelFile model;
  model.metadata = std::move(metadata);
  std::shared_ptr<const text::Tokenizer> tokenizer;
  try {
    tokenizer = text::make_tokenizer(model);
  } catch (const Error& error) {
    FUZZ_CHECK(error.code() == Errc::corrupt_file);
    return;
  }
  std::optional<int64_t> unknown = model.metadata.integer("tokenizer.ggml.unknown_token_id");
  if (!unknown) unknown = tokenizer->find("[UNK]");  // what BERT calls it
  check_tokenizer(tokenizer, unknown, text);
}

}  // namespace ruvllm::fuzz
