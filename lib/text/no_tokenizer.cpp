#include "text/no_tokenizer.h"

#include "base/error.h"

namespace ruvllm::text {
namespace {

class NoTokenizer final : public Tokenizer {
 public:
  NoTokenizer(std::string_view kind, TokenId n_tokens) : kind_(kind), n_tokens_(n_tokens) {}

  std::vector<TokenId> encode(std::string_view, const EncodeOptions&) const override { refuse(); }
  std::string decode(std::span<const TokenId>, bool) const override { refuse(); }
  std::string token_bytes(TokenId, bool) const override { return {}; }
  bool strips_first_space() const override { return false; }
  TokenId n_tokens() const override { return n_tokens_; }
  TokenKind kind(TokenId) const override { return TokenKind::unused; }
  std::string_view spelling(TokenId) const override { return {}; }
  std::optional<TokenId> find(std::string_view) const override { return std::nullopt; }
  std::optional<TokenId> bos() const override { return std::nullopt; }
  std::optional<TokenId> eos() const override { return std::nullopt; }
  std::span<const TokenId> end_tokens() const override { return {}; }
  std::span<const TokenId> suppressed_tokens() const override { return {}; }
  const SpecialTexts& special_texts() const override { return special_texts_; }
  bool adds_bos() const override { return false; }
  std::string_view warning() const override { return {}; }

 private:
  [[noreturn]] void refuse() const {
    throw Error(Errc::usage,
                "the model has no tokenizer (tokenizer.ggml.model is \"{}\"), so it can't read or write text",
                kind_);
  }

  std::string kind_;
  TokenId n_tokens_;
  SpecialTexts special_texts_;
};

}  // namespace

std::shared_ptr<const Tokenizer> make_no_tokenizer(std::string_view kind, TokenId n_tokens) {
  return std::make_shared<NoTokenizer>(kind, n_tokens);
}

}  // namespace ruvllm::text
