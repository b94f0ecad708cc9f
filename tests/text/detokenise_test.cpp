#include "base/utf8.h"
#include "reference.h"

using namespace ruvllm;

namespace {

// A tokenizer whose tokens are all short stretches of UTF-8 that a code point may be split into: bytes, and
// more.
class PieceTokenizer final : public text::Tokenizer {
 public:
  explicit PieceTokenizer(std::vector<std::string> pieces, bool strips = false)
      : pieces_(std::move(pieces)), strips_(strips) {}
  std::vector<text::TokenId> encode(std::string_view, const text::EncodeOptions&) const override {
    return {};
  }
  std::string token_bytes(text::TokenId token, bool) const override {
    return pieces_.at(static_cast<size_t>(token));
  }
  std::string decode(std::span<const text::TokenId>, bool) const override { return {}; }
  bool strips_first_space() const override { return strips_; }
  text::TokenId n_tokens() const override { return static_cast<text::TokenId>(pieces_.size()); }
  text::TokenKind kind(text::TokenId) const override { return text::TokenKind::normal; }
  std::string_view spelling(text::TokenId token) const override {
    return pieces_.at(static_cast<size_t>(token));
  }
  std::optional<text::TokenId> find(std::string_view) const override { return std::nullopt; }
  std::optional<text::TokenId> bos() const override { return std::nullopt; }
  std::optional<text::TokenId> eos() const override { return std::nullopt; }
  std::span<const text::TokenId> end_tokens() const override { return {}; }
  std::span<const text::TokenId> suppressed_tokens() const override { return {}; }
  const text::SpecialTexts& special_texts() const override { return special_texts_; }
  bool adds_bos() const override { return false; }
  std::string_view warning() const override { return {}; }

 private:
  std::vector<std::string> pieces_;
  bool strips_;
  text::SpecialTexts special_texts_;
};

std::string stream(const std::vector<std::string>& pieces, bool& always_valid) {
  text::Detokeniser detokeniser(std::make_shared<PieceTokenizer>(pieces));
  std::string text;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const std::string part = detokeniser.push(static_cast<text::TokenId>(i));
    always_valid = always_valid && is_utf8(part);
    text += part;
  }
  return text + detokeniser.finish();
}

}  // namespace

TEST_CASE("every way of splitting every four-byte character streams as the whole character") {
  size_t n_wrong = 0;
  bool always_valid = true;
  for (uint32_t point = 0x10000; point <= 0x10FFFF; point += point < 0x10100 ? 1 : 37) {
    std::string whole;
    append_utf8(whole, point);
    for (unsigned cuts = 0; cuts < 8; ++cuts) {  // bit i: a cut behind byte i
      std::vector<std::string> pieces(1, "x");
      for (size_t i = 0; i < 4; ++i) {
        pieces.back() += whole[i];
        if (i < 3 && cuts >> i & 1) pieces.emplace_back();
      }
      n_wrong += stream(pieces, always_valid) != "x" + whole;
    }
  }
  CHECK(n_wrong == 0);
  CHECK(always_valid);
}

TEST_CASE("bytes that can't become a character come as U+FFFD, and what follows is not lost") {
  bool always_valid = true;
  CHECK(stream({"a\xF0\x9F", "b"}, always_valid) ==
        "a\xEF\xBF\xBD\xEF\xBF\xBD"
        "b");
  CHECK(stream({"\xE2", "\x82"}, always_valid) == "\xEF\xBF\xBD\xEF\xBF\xBD");
  CHECK(stream({"\xFF", "\xC3", "\xA9"}, always_valid) == "\xEF\xBF\xBD\xC3\xA9");
  CHECK(always_valid);
}

TEST_CASE("the space that encoding puts in front is dropped at the beginning of a text, not after a prompt") {
  const auto tokenizer = std::make_shared<PieceTokenizer>(std::vector<std::string>{" a"}, true);
  text::Detokeniser after_prompt(tokenizer), at_beginning(tokenizer, false, text::TextStart::at_beginning);
  CHECK(after_prompt.push(0) == " a");
  CHECK(at_beginning.push(0) == "a");
  CHECK(at_beginning.push(0) == " a");
}

TEST_CASE("what is streamed is what is decoded") {
  const auto tokenizer = test::vocabulary("llama-spm");
  if (!tokenizer) return;
  const std::string text = "Hello  \xF0\x9F\x99\x82 \xE0\xA4\x95\xE0\xA5\x8D na\xC3\xAFve \xE4\xB8\xAD\n";
  const auto tokens = tokenizer->encode(text, {});
  text::Detokeniser detokeniser(tokenizer, false, text::TextStart::at_beginning);
  std::string streamed;
  for (const text::TokenId token : tokens) streamed += detokeniser.push(token);
  CHECK(streamed + detokeniser.finish() == text);
  CHECK(tokenizer->decode(tokens, false) == text);
}

TEST_CASE("English spacing is put right as Hugging Face does") {
  CHECK(text::clean_up_spaces("a , b . Is n't it ? I 'm") == "a, b. Isn't it? I'm");
  CHECK(text::clean_up_spaces("x ' y") == "x'y");
  CHECK(text::clean_up_spaces("we 've 'll !") == "we've 'll!");
  CHECK(text::clean_up_spaces("") == "");
}
