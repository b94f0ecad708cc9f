// Texts made to be slow, and bytes that are no text, through the kinds of tokenizer that the reference
// vocabularies don't have: Unigram and WordPiece. (SentencePiece and BPE: tokenizer_test.cpp.)
#include "text/tokenizer.h"

#include "base/random.h"
#include "base/utf8.h"
#include "format/model_file.h"
#include "test_support.h"

#include <doctest/doctest.h>

#include <chrono>

using namespace ruvllm;

namespace {

struct Token {
  std::string spelling;
  float score;
  text::TokenKind kind = text::TokenKind::normal;
};

std::shared_ptr<const text::Tokenizer> make(const char* kind, const std::vector<Token>& tokens) {
  format::ModelFile model;
  format::Metadata& metadata = model.metadata;
  std::vector<std::string> spellings;
  std::vector<float> scores;
  std::vector<int32_t> kinds;
  for (const Token& token : tokens) {
    spellings.push_back(token.spelling);
    scores.push_back(token.score);
    kinds.push_back(static_cast<int32_t>(token.kind));
  }
  metadata.set("tokenizer.ggml.model", std::string_view(kind));
  metadata.set("tokenizer.ggml.tokens", metadata.keep_strings(spellings));
  metadata.set("tokenizer.ggml.scores",
               metadata.keep_array(format::ValueType::f32, std::as_bytes(std::span(scores))));
  metadata.set("tokenizer.ggml.token_type",
               metadata.keep_array(format::ValueType::i32, std::as_bytes(std::span(kinds))));
  metadata.set("tokenizer.ggml.unknown_token_id", uint32_t{0});
  metadata.set("tokenizer.ggml.add_eos_token", false);
  return text::make_tokenizer(model);
}

/// A Unigram model that knows every byte, letters, and runs of 'a' and spaces of many lengths: as many ways
/// to cut a text of them as there can be.
std::shared_ptr<const text::Tokenizer> unigram() {
  std::vector<Token> tokens = {{"<unk>", 0, text::TokenKind::unknown}};
  for (int byte = 0; byte < 256; ++byte)
    tokens.push_back({fmt::format("<0x{:02X}>", byte), 0, text::TokenKind::byte});
  for (char letter = 'a'; letter <= 'z'; ++letter) tokens.push_back({std::string(1, letter), -5});
  const std::string space = "\xE2\x96\x81";
  std::string spaces;
  for (size_t n = 1; n <= 64; ++n) {
    spaces += space;
    tokens.push_back({spaces, -4.0f - static_cast<float>(n % 7)});
    tokens.push_back({std::string(n, 'a') + space, -4.0f - static_cast<float>(n % 5)});
    if (n > 1) tokens.push_back({std::string(n, 'a'), -4.0f - static_cast<float>(n % 3)});
  }
  return make("t5", tokens);
}

std::shared_ptr<const text::Tokenizer> wordpiece() {
  const std::string space = "\xE2\x96\x81";
  std::vector<Token> tokens = {{"[UNK]", 0, text::TokenKind::unknown},
                               {"[CLS]", 0, text::TokenKind::control},
                               {"[SEP]", 0, text::TokenKind::control}};
  for (size_t n = 1; n <= 40; ++n) {
    tokens.push_back({space + std::string(n, 'a'), 0});
    tokens.push_back({std::string(n, 'a'), 0});
  }
  for (char letter = 'b'; letter <= 'z'; ++letter) {
    tokens.push_back({space + letter, 0});
    tokens.push_back({std::string(1, letter), 0});
  }
  return make("bert", tokens);
}

std::string random_text(Random& random, bool may_be_malformed) {
  std::string text;
  for (uint64_t n = random.below(80); n > 0; --n) {
    switch (random.below(may_be_malformed ? 5 : 4)) {
      case 0:
        text += std::string(random.below(9), ' ');
        break;
      case 1:
        text += std::string(random.below(9), 'a');
        break;
      case 2:
        text += static_cast<char>('a' + random.below(26));
        break;
      case 3:
        if (const auto point = static_cast<uint32_t>(1 + random.below(0xD7FF)); point != 0x2581)
          append_utf8(text, point);  // the sign for a space stands for one
        break;
      default:
        text += static_cast<char>(random.below(256));
    }
  }
  return text;
}

}  // namespace

TEST_CASE("Unigram gives every text back, whatever its bytes are") {
  const auto tokenizer = unigram();
  Random random(test::test_seed());
  for (int round = 0; round < 1000; ++round) {
    const std::string text = random_text(random, round % 2 == 1);
    CAPTURE(printable(text, 400));
    CHECK(tokenizer->decode(tokenizer->encode(text, {.add_special = false}), true) == text);
  }
}

TEST_CASE("WordPiece gives lower-case words back, and never a control token") {
  const auto tokenizer = wordpiece();
  CHECK(tokenizer->decode(tokenizer->encode("aaa bcd za", {.add_special = false}), true) == "aaa bcd za");
  Random random(test::test_seed());
  for (int round = 0; round < 1000; ++round) {
    const std::string text = random_text(random, round % 2 == 1) + "[CLS]";
    CAPTURE(printable(text, 400));
    for (const text::TokenId token : tokenizer->encode(text, {.add_special = false}))
      CHECK(tokenizer->kind(token) != text::TokenKind::control);
  }
}

TEST_CASE("a megabyte made to be slow takes Unigram and WordPiece linear time") {
  constexpr size_t kBytes = 1 << 20;
  const auto repeat = [](std::string_view unit) {
    std::string text;
    while (text.size() < kBytes) text += unit;
    return text;
  };
  const std::string texts[] = {
      repeat("a"),    repeat(" "),           repeat("a "),           repeat("ab"),
      repeat("\n"),   repeat("\xFF"),        repeat(" \xC3"),        repeat("\xCC\x81"),
      repeat("[CLS"), repeat("\xE4\xBD"),    repeat("\xE4\xBD\xA0"), repeat("a,"),
      repeat("A"),    repeat("\xEF\xB7\xBA")};
  for (const auto& [name, tokenizer] : {std::pair("unigram", unigram()), std::pair("wordpiece", wordpiece())})
    for (const std::string& text : texts) {
      CAPTURE(name);
      CAPTURE(printable(text, 20));
      const auto start = std::chrono::steady_clock::now();
      const auto ids = tokenizer->encode(text, {.add_special = false});
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      CHECK(seconds < 20.0);  // under a second where nothing else runs; hours if it were quadratic
      if (name == std::string_view("unigram")) CHECK(tokenizer->decode(ids, true) == text);
    }
}
