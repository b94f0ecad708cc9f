#include "text/same_tokenizer.h"

#include "base/limits.h"

#include <algorithm>

namespace ruvllm::text {
namespace {

constexpr std::string_view kTexts[] = {
    "",
    " ",
    "Once upon a time, there was a little girl named Lily.",
    "  two  spaces   and more    \t\ttabs\t \n\n\nlines \r\n\r\n  end  ",
    "I'm you're he's it'll we've they'd don't I'M YOU'RE HE'S IT'LL WE'VE THEY'D",
    "0 12 345 6789 12345 678901 3.14159 1,234,567.89 0x1F 1e-9 v2.0.1 007",
    "camelCaseWords HTMLParser snake_case_name kebab-case SHOUTING McDonald iPhone12Pro",
    "int main(void) {\n    return a[i]++ != b->c && !d ? ~e : f % 8;\n}\n",
    "!!! ??? ... --- === *** ### ((())) [[]] {{}} <<>> \"quoted\" 'single' `code` a/b\\c",
    "https://example.org/path?query=1&other=two#part user@example.org",
    "caf\xC3\xA9 na\xC3\xAFve \xC3\x9C"
    "ber stra\xC3\x9F"
    "e \xC5\x81\xC3\xB3"
    "d\xC5\xBA \xC4\xB0stanbul",  // composed
    "cafe\xCC\x81 nai\xCC\x88ve U\xCC\x88"
    "ber \xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB",  // decomposed
    "\xEF\xBC\xA6\xEF\xBD\x95\xEF\xBD\x8C\xEF\xBD\x8C \xEF\xAC\x81ne \xC2\xBD x\xC2\xB2 \xE2\x84\xA2 "
    "\xE2\x85\xA3 \xE3\x8E\x8F",  // compatibility forms
    "\xE4\xBD\xA0\xE5\xA5\xBD\xEF\xBC\x8C\xE4\xB8\x96\xE7\x95\x8C\xE3\x80\x82\xE6\xB5\x8B\xE8\xAF\x95"
    "123",  // Chinese
    "\xE3\x81\x93\xE3\x82\x93\xE3\x81\xAB\xE3\x81\xA1\xE3\x81\xAF\xE4\xB8\x96\xE7\x95\x8C\xE3\x82\xAB\xE3"
    "\x82\xBF\xE3\x82\xAB\xE3\x83\x8A",                                                       // Japanese
    "\xEC\x95\x88\xEB\x85\x95\xED\x95\x98\xEC\x84\xB8\xEC\x9A\x94 \xEC\x84\xB8\xEA\xB3\x84",  // Korean
    "\xD0\x9F\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82, \xD0\x9C\xD0\x98\xD0\xA0! \xCE\x93\xCE\xB5\xCE\xB9"
    "\xCE\xAC \xCF\x83\xCE\xBF\xCF\x85",  // Cyrillic, Greek
    "\xD9\x85\xD9\x8E\xD8\xB1\xD9\x92\xD8\xAD\xD9\x8E\xD8\xA8\xD9\x8B\xD8\xA7 \xD7\xA9\xD7\x9C\xD7\x95"
    "\xD7\x9D \xD9\xA1\xD9\xA2\xD9\xA3",  // Arabic, Hebrew
    "\xE0\xA4\xA8\xE0\xA4\xAE\xE0\xA4\xB8\xE0\xA5\x8D\xE0\xA4\xA4\xE0\xA5\x87 \xE0\xB8\xAA\xE0\xB8\xA7"
    "\xE0\xB8\xB1\xE0\xB8\xAA\xE0\xB8\x94\xE0\xB8\xB5",  // Devanagari, Thai
    "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x92\xBB \xF0\x9F\x87\xA9\xF0\x9F\x87\xAA \xE2\x9D\xA4\xEF\xB8\x8F",
    "no\xC2\xA0"
    "break \xE2\x80\x8Bzero\xE2\x80\x8B width\xEF\xBB\xBF \xE3\x80\x80wide\xE2\x80\xA8line",
    "\x01\x02 bell\x07 del\x7F \xC2\x85next",
    "\xE2\x96\x81low \xE2\x96\x81line\xE2\x96\x81 <0x0A> <0x41> [PAD1] [UNK] <unk> <s> </s>",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ababababababab ================ ------- ______",
    "a\n",
    "\na",
    " a",
    "a ",
    ".",
    "\n",
    "7",
};
constexpr TokenId kShownTokens = 64;  // of the added tokens, so many are shown among words
constexpr size_t kTokensInText = 24;

bool same_tokens(const Tokenizer& a, const Tokenizer& b, std::string_view text, const EncodeOptions& how) {
  return a.encode(text, how) == b.encode(text, how);
}

// What tokens look like, some at a time; every token once.
std::vector<std::string> texts_of_tokens(const Tokenizer& tokenizer) {
  std::vector<std::string> texts;
  std::vector<TokenId> tokens;
  for (TokenId id = 0; id < tokenizer.n_tokens(); ++id) {
    if (tokenizer.kind(id) == TokenKind::normal) tokens.push_back(id);
    if (tokens.size() < kTokensInText && id + 1 < tokenizer.n_tokens()) continue;
    texts.push_back(tokenizer.decode(tokens, false));
    tokens.clear();
  }
  return texts;
}

bool same_bytes(const Tokenizer& a, const Tokenizer& b) {
  const TokenId n_tokens = std::min(a.n_tokens(), b.n_tokens());
  for (TokenId id = 0; id < n_tokens; ++id)
    if (a.kind(id) != TokenKind::unused && (a.token_bytes(id, false) != b.token_bytes(id, false) ||
                                            a.token_bytes(id, true) != b.token_bytes(id, true)))
      return false;
  return true;
}

}  // namespace

std::vector<std::string> telling_texts(const Tokenizer& tokenizer) {
  std::vector<std::string> texts(std::begin(kTexts), std::end(kTexts));
  TokenId n_shown = 0;
  for (TokenId id = tokenizer.n_tokens(); id-- > 0 && n_shown < kShownTokens;) {
    const TokenKind kind = tokenizer.kind(id);
    if (kind != TokenKind::control && kind != TokenKind::user_defined) continue;
    const std::string spelling(tokenizer.spelling(id));
    texts.push_back("one " + spelling + "  two" + spelling + "three\n" + spelling + "\n");
    ++n_shown;
  }
  return texts;
}

size_t n_read_alike(const Tokenizer& a, const Tokenizer& b, std::span<const std::string> texts) {
  return static_cast<size_t>(std::ranges::count_if(texts, [&](const std::string& text) {
    return same_tokens(a, b, text, {.add_special = true, .parse_special = true}) &&
           same_tokens(a, b, text, {.add_special = false, .parse_special = false});
  }));
}

bool read_alike(const Tokenizer& a, const Tokenizer& b, std::span<const std::string> texts) {
  // A model that states no BOS is given one by its kind, in GGUF; what goes around texts is compared anyway.
  if ((a.bos() && (a.bos() != b.bos() || a.adds_bos() != b.adds_bos())) || a.eos() != b.eos() ||
      a.strips_first_space() != b.strips_first_space() || !same_bytes(a, b))
    return false;
  if (n_read_alike(a, b, texts) != texts.size()) return false;
  for (const std::string& text : texts) {
    const std::vector<TokenId> tokens = a.encode(text, {.add_special = false});
    if (a.decode(tokens, false) != b.decode(tokens, false)) return false;
  }
  const std::vector<std::string> of_tokens = texts_of_tokens(a);
  return n_read_alike(a, b, of_tokens) == of_tokens.size();
}

}  // namespace ruvllm::text
