// A vocabulary: tokens with their spelling, score and kind, the special ones among them, and reading all of
// it from GGUF metadata. Everything is checked here (element types, counts, ids in range), so that the
// tokenizers above may trust it. Tested by tests/text/vocab_test.cpp.
#pragma once

#include "format/metadata.h"
#include "text/lookup.h"
#include "text/tokenizer.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::text {

/// Tokens with a part to play. What a model lacks is absent.
struct SpecialTokens {
  std::optional<TokenId> bos, eos, unknown, separator, padding, mask, classifier;
  std::optional<TokenId> end_of_turn, end_of_message;
  std::optional<TokenId> fill_padding, fill_repository, fill_separator;  ///< of fill-in-the-middle formats
};

/// Tokens that plain text may become. Control and byte tokens are none: else a text could forge them by
/// spelling them.
inline bool may_be_text(TokenKind kind) {
  return kind == TokenKind::normal || kind == TokenKind::user_defined || kind == TokenKind::unused;
}

/// How an added (control or user-defined) token is found in text.
struct AddedTokenRule {
  TokenId id = 0;
  bool strip_left = false;   ///< white space before it belongs to it
  bool strip_right = false;  ///< white space after it belongs to it
  bool single_word = false;  ///< only where no letter or digit touches it
  bool normalised = false;   ///< it is sought in the normalised text, and its own spelling is normalised
};

class Vocab {
 public:
  /// Room for `n_tokens`.
  explicit Vocab(size_t n_tokens);
  Vocab(Vocab&&) = default;

  /// The next token; its id is the number of tokens added before. A spelling that is there already keeps its
  /// first id in find(). Throws corrupt_file where the score is not a number.
  TokenId add(std::string_view spelling, float score, TokenKind kind);

  TokenId n_tokens() const { return static_cast<TokenId>(tokens_.size()); }
  bool contains(int64_t id) const { return id >= 0 && id < n_tokens(); }
  std::string_view spelling(TokenId id) const {
    return {letters_.data() + tokens_[id].begin, tokens_[id].n_bytes};
  }
  float score(TokenId id) const { return tokens_[id].score; }
  TokenKind kind(TokenId id) const { return tokens_[id].kind; }
  void set_kind(TokenId id, TokenKind kind) { tokens_[id].kind = kind; }

  /// Call when all tokens are added; find() and byte_token() work from then on.
  void index();
  std::optional<TokenId> find(std::string_view spelling) const;
  /// Makes a find() soon after faster: hundreds of thousands of merges are looked up when a model loads.
  void prefetch(std::string_view spelling) const { ids_.prefetch(spelling); }
  /// find() for tokens that plain text may become (may_be_text), in constant time for texts that are too
  /// long.
  std::optional<TokenId> find_text(std::string_view text) const;
  /// The token of kind `byte` for one byte, "<0x0A>".
  std::optional<TokenId> byte_token(uint8_t byte) const;
  /// The byte that a token of kind `byte` stands for.
  std::optional<uint8_t> byte_of(TokenId id) const;
  /// Appends a text that no token covers: a byte token for each byte, else the unknown token, else nothing.
  void append_unknown(std::string_view text, std::vector<TokenId>& tokens) const;
  /// Bytes of the longest spelling.
  size_t longest_spelling() const { return longest_spelling_; }

  SpecialTokens special;
  /// Tokens that end a turn; filled by find_end_tokens().
  std::vector<TokenId> end_tokens;
  /// Tokens that are never to be sampled.
  std::vector<TokenId> suppressed_tokens;

  /// Fills end_tokens from `special` and from the spellings that models end their texts with; those become
  /// control tokens, whatever the file says.
  void find_end_tokens();

 private:
  struct Token {
    uint64_t begin;
    uint32_t n_bytes;
    float score;
    TokenKind kind;
  };

  std::vector<char>
      letters_;  // all spellings, one after the other; ids_ points into it, also when it has been moved
  std::vector<Token> tokens_;
  TextTable ids_;
  std::array<TokenId, 256> byte_tokens_;
  size_t longest_spelling_ = 0;
};

/// The vocabulary of GGUF metadata (tokenizer.ggml.tokens and its kin), without end tokens: they are found
/// once the roles are complete. Throws corrupt_file naming the key.
Vocab read_vocab(const format::Metadata& metadata);

/// The byte that "<0x0A>" names: exactly two hexadecimal digits.
std::optional<uint8_t> parse_byte_spelling(std::string_view spelling);

}  // namespace ruvllm::text
