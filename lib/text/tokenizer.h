// Tokenizers: text to token ids and back.
//
// A Tokenizer is immutable after load and shared by threads. Kinds: SentencePiece-like with scores ("llama"),
// byte-level BPE ("gpt2"), WordPiece ("bert"), Unigram ("t5"). Which one, its vocabulary and its special
// tokens come from the model's metadata. Encoding is linear in the text (n log n at worst) whatever the text
// is. Tested by tests/text/.
#pragma once

#include "format/model_file.h"
#include "text/byte_range.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ruvllm::text {

using TokenId = int32_t;

/// Kinds of token, with the numbers of tokenizer.ggml.token_type.
enum class TokenKind : int32_t {
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,
  unused = 5,
  byte = 6
};

struct EncodeOptions {
  bool add_special = true;     ///< BOS, EOS and the like, as the model asks for
  bool parse_special = false;  ///< control tokens written out in the text become their ids
  bool continues = false;      ///< a text stands before this one: no space of its own in front
  /// Where they don't for all that, in order: what users wrote into a prompt. A token that touches such a
  /// range stays text.
  std::span<const ByteRange> literal = {};
};

/// Special tokens as Hugging Face's templates name them: "unk_token", "pad_token", ...
struct SpecialTexts {
  std::vector<std::pair<std::string, std::string>> named;  ///< but for bos_token and eos_token
  std::vector<std::string> additional;                     ///< additional_special_tokens
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  virtual std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options) const = 0;

  /// The bytes of one token as they stand in running text (may be part of a code point). Control tokens give
  /// nothing unless `show_special`.
  virtual std::string token_bytes(TokenId token, bool show_special) const = 0;

  /// The bytes of a whole text; undoes what encode() puts in front (SentencePiece's space prefix).
  virtual std::string decode(std::span<const TokenId> tokens, bool show_special) const = 0;
  /// Whether encode() puts a space in front of a text, which is no part of it when the text is decoded.
  virtual bool strips_first_space() const = 0;

  virtual TokenId n_tokens() const = 0;
  virtual TokenKind kind(TokenId token) const = 0;
  /// The token as the vocabulary spells it ("▁the", "Ġthe").
  virtual std::string_view spelling(TokenId token) const = 0;
  /// The id of a spelling.
  virtual std::optional<TokenId> find(std::string_view spelling) const = 0;

  virtual std::optional<TokenId> bos() const = 0;
  virtual std::optional<TokenId> eos() const = 0;
  /// Tokens that end a turn: EOS, EOT and their kin.
  virtual std::span<const TokenId> end_tokens() const = 0;
  /// Tokens that the model's makers want never sampled.
  virtual std::span<const TokenId> suppressed_tokens() const = 0;
  /// The texts of special tokens by the names that templates have for them.
  virtual const SpecialTexts& special_texts() const = 0;
  virtual bool adds_bos() const = 0;
  /// What was assumed where the model doesn't say (an unknown pre-tokeniser), for the user; else empty.
  virtual std::string_view warning() const = 0;
};

/// The tokenizer of a model: of its metadata (tokenizer.ggml.*), or of the Hugging Face folder that it was
/// read from. A model that says it has none gets one that throws Errc::usage wherever text is asked of it.
/// Throws Errc::corrupt_file naming the key that is wrong.
std::shared_ptr<const Tokenizer> make_tokenizer(const format::ModelFile& model);

/// What a sampler must never choose, in ascending order: suppressed tokens, and rows of an embedding of
/// `n_rows` that are beyond the tokenizer's tokens (padding).
std::vector<TokenId> forbidden_tokens(const Tokenizer& tokenizer, TokenId n_rows);

/// What stands before the first token of a Detokeniser: a prompt that the text goes on from, or nothing.
enum class TextStart { after_prompt, at_beginning };

/// Turns a stream of tokens into text without ever splitting a code point: bytes are held back until they are
/// whole.
class Detokeniser {
 public:
  explicit Detokeniser(std::shared_ptr<const Tokenizer> tokenizer, bool show_special = false,
                       TextStart start = TextStart::after_prompt);
  /// Text that is now certain (always valid UTF-8; bytes that can't become a code point come as U+FFFD).
  std::string push(TokenId token);
  /// What is still held back, made valid. The next push() begins anew, after a prompt.
  std::string finish();

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  bool show_special_;
  bool strip_space_;
  std::string held_;
};

/// English spacing put right, as Hugging Face's clean_up_tokenization_spaces does: no space before . ? ! ,
/// n't 'm 's 've 're and around a lone apostrophe.
std::string clean_up_spaces(std::string_view text);

}  // namespace ruvllm::text
