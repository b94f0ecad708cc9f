#include "text/pretokenize.h"

#include "base/random.h"
#include "base/utf8.h"
#include "test_support.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

using namespace ruvllm;

namespace {

std::vector<std::string> cut(const text::Pretokenizer& pretokenizer, std::string_view text) {
  std::vector<text::Piece> pieces{{0, static_cast<uint32_t>(text.size())}};
  pretokenizer.split(text, pieces);
  std::vector<std::string> words;
  for (const text::Piece& piece : pieces)
    words.emplace_back(text.substr(piece.begin, piece.end - piece.begin));
  return words;
}

std::vector<std::string> cut(std::string_view name, std::string_view text) {
  return cut(text::Pretokenizer(text::find_pretokenizer(name)->patterns), text);
}

// Text that stumbles over every rule: contractions, runs of spaces, digits, line ends, marks, odd letters.
std::string random_text(Random& random) {
  constexpr std::string_view kParts[] = {" ",
                                         " ",
                                         "  ",
                                         "\n",
                                         "\r\n",
                                         "\t",
                                         "\xC2\xA0",
                                         "\xE2\x80\x83",
                                         "\xC2\x85",
                                         "'",
                                         "'s",
                                         "'LL",
                                         "'Re",
                                         "'\xC5\xBF",
                                         "a",
                                         "Word",
                                         "\xC3\xA9",
                                         "e\xCC\x81",
                                         "7",
                                         "12345",
                                         "\xD9\xA3",
                                         "\xC2\xBD",
                                         "!",
                                         "...",
                                         "_",
                                         "$",
                                         "\xE4\xB8\xAD\xE6\x96\x87",
                                         "\xE3\x81\x82",
                                         "\xE3\x82\xAB",
                                         "\xED\x95\x9C",
                                         "\xE0\xA4\x95\xE0\xA5\x8D",
                                         "\xF0\x9F\x99\x82",
                                         "\xE2\x80\x8D",
                                         "\xEF\xBF\xBD",
                                         "\xFF",
                                         "\xC3",
                                         "\xD0\x96",
                                         "\xC7\x85",
                                         "\xE3\x80\x85"};
  std::string text;
  for (uint64_t n = random.below(24); n > 0; --n) text += kParts[random.below(std::size(kParts))];
  return text;
}

}  // namespace

TEST_CASE("every row compiles, has a name of its own, and its pieces cover any text") {
  Random random(test::test_seed());
  std::set<std::string_view> names;
  for (const text::PretokenizerRow& row : text::pretokenizer_rows()) {
    CAPTURE(row.name);
    CHECK(names.insert(row.name).second);
    const text::Pretokenizer pretokenizer(row.patterns);
    for (int round = 0; round < 50; ++round) {
      const std::string text = random_text(random);
      std::string joined;
      for (const std::string& word : cut(pretokenizer, text)) joined += word;
      CHECK(joined == text);
    }
  }
  CHECK(names.contains("llama-bpe"));
  CHECK(text::find_pretokenizer("no-such-name") == nullptr);
}

TEST_CASE("hand-written splitters cut as the expressions that they stand for") {
  Random random(test::test_seed());
  for (const std::string_view name :
       {"gpt-2", "llama-bpe", "qwen2", "jais-2", "starcoder", "superbpe", "afmoe", "tiny_aya"}) {
    CAPTURE(name);
    const auto patterns = text::find_pretokenizer(name)->patterns;
    const text::Pretokenizer fast(patterns), exact(patterns, false);
    for (int round = 0; round < 2000; ++round) {
      const std::string text = random_text(random);
      CAPTURE(printable(text, 400));
      CHECK(cut(fast, text) == cut(exact, text));
    }
  }
}

TEST_CASE("families cut digits, contractions, line ends and case as their models were trained") {
  using Words = std::vector<std::string>;
  CHECK(cut("gpt-2", "I'm 1234  x!?\n\n") == Words{"I", "'m", " 1234", " ", " x", "!?", "\n\n"});
  CHECK(cut("llama-bpe", "I'M 12345\n\n x(y)") ==
        Words{"I", "'M", " ", "123", "45", "\n\n", " x", "(y", ")"});
  CHECK(cut("qwen2", "a123") == Words{"a", "1", "2", "3"});
  CHECK(cut("starcoder", "ab12 3") == Words{"ab", "1", "2", " ", "3"});
  CHECK(cut("superbpe", "x1234567y") == Words{"x", "1", "234", "567", "y"});
  CHECK(cut("tiny_aya", "1234567 1234a") == Words{"1", "234", "567", " ", "123", "4", "a"});
  CHECK(cut("gpt-4o", "CamelCase don't HTTPServer") == Words{"Camel", "Case", " don't", " HTTPServer"});
  CHECK(cut("tekken", "CamelCase 12") == Words{"Camel", "Case", " ", "1", "2"});
  CHECK(cut("kimi-k2", "\xE4\xB8\xAD\xE6\x96\x87Word") == Words{"\xE4\xB8\xAD\xE6\x96\x87", "Word"});
  CHECK(cut("deepseek-v3", "1234 \xE4\xB8\xAD\xE6\x96\x87!") ==
        Words{"123", "4", " ", "\xE4\xB8\xAD\xE6\x96\x87", "!"});
  CHECK(cut("bloom", "a, b") == Words{"a", ",", " b"});
  CHECK(cut("exaone-moe", "ab cd 1") == Words{"ab cd", " ", "1"});
  CHECK(cut("gemma4", "a b\n\nc") == Words{"a b", "\n\n", "c"});
  CHECK(cut("gpt-2",
            "a\xFF\xFE"
            "b") == Words{"a", "\xFF\xFE", "b"});
}

TEST_CASE("a megabyte of one thing is cut in linear time by every family") {
  std::set<const std::string_view*> seen;
  for (const text::PretokenizerRow& row : text::pretokenizer_rows()) {
    if (!seen.insert(row.patterns.data()).second) continue;  // a family of several names
    CAPTURE(row.name);
    const text::Pretokenizer pretokenizer(row.patterns);
    for (const std::string_view unit :
         {"us", "A", " ", "\n", "7", "!", "\xCC\x81", "a ", " 1", "'", "\xE3\x81\x82"}) {
      CAPTURE(unit);
      std::string text;
      while (text.size() < 1 << 20) text += unit;
      text += "\xF0\x9F\x99\x82";
      size_t n_bytes = 0;
      for (const std::string& word : cut(pretokenizer, text)) n_bytes += word.size();
      CHECK(n_bytes == text.size());
    }
  }
}
