// The small parts of tokenizers: tables, the byte alphabet, classes of characters, expressions, normalisers,
// cutters and added tokens.
#include "base/error.h"
#include "text/added_tokens.h"
#include "text/byte_alphabet.h"
#include "text/char_class.h"
#include "text/cut.h"
#include "text/lookup.h"
#include "text/normalise.h"
#include "text/regex.h"

#include <doctest/doctest.h>

#include <set>

using namespace ruvllm;
using text::TokenKind;
using Words = std::vector<std::string>;

namespace {

Words cut(const std::vector<text::Cutter>& cutters, std::string_view whole,
          text::FragmentPlace place = text::FragmentPlace::first) {
  text::CutText cut{whole, {{0, static_cast<uint32_t>(whole.size())}}, place, {}};
  for (const text::Cutter& cutter : cutters) cutter(cut);
  Words words;
  for (const text::Piece& word : cut.words) words.emplace_back(cut.word(word));
  return words;
}

}  // namespace

TEST_CASE("tables find what was added first, and nothing else") {
  text::TextTable texts(1000);
  std::vector<std::string> spellings;
  for (int i = 0; i < 1000; ++i)
    spellings.push_back(std::string(static_cast<size_t>(i % 20), 'x') + std::to_string(i));
  for (uint32_t i = 0; i < 1000; ++i) CHECK(texts.add(spellings[i], i));
  CHECK(!texts.add(spellings[7], 1));
  for (uint32_t i = 0; i < 1000; ++i) CHECK(texts.find(spellings[i]) == i);
  CHECK(!texts.find("y"));
  CHECK(!texts.find(""));

  text::PairTable pairs;  // grows
  for (uint32_t i = 0; i < 5000; ++i) CHECK(pairs.add(i, i * i, {i, 2 * i}));
  CHECK(!pairs.add(3, 9, {0, 0}));
  for (uint32_t i = 0; i < 5000; ++i) CHECK(pairs.find(i, i * i)->second == 2 * i);
  CHECK(pairs.find(9, 3) == nullptr);

  text::Trie trie;
  CHECK(trie.add("ab", 1));
  CHECK(!trie.add("ab", 2));
  CHECK(!trie.add("", 3));
  const auto node = trie.step(*trie.step(text::Trie::kRoot, 'a'), 'b');
  CHECK(trie.id_at(*node) == 1);
  CHECK(!trie.id_at(*trie.step(text::Trie::kRoot, 'a')));
  CHECK(!trie.step(*node, 'c'));
}

TEST_CASE("the byte alphabet writes every byte as one character of its own and reads it back") {
  std::set<std::string> letters;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string bytes(1, static_cast<char>(byte));
    CHECK(letters.insert(text::to_byte_alphabet(bytes)).second);
    CHECK(text::from_byte_alphabet(text::to_byte_alphabet(bytes)) == bytes);
  }
  CHECK(text::to_byte_alphabet(" a\n\xAD") ==
        "\xC4\xA0"
        "a\xC4\x8A\xC5\x83");
  CHECK(text::from_byte_alphabet("\xE4\xB8\xAD") == "\xE4\xB8\xAD");  // no letter of it: as it is
}

TEST_CASE("characters have the classes that Unicode gives them") {
  using text::CharType;
  const std::pair<uint32_t, CharType> cases[] = {
      {'a', CharType::letter},   {'1', CharType::number},      {' ', CharType::space},
      {'\n', CharType::space},   {'_', CharType::punctuation}, {'$', CharType::symbol},
      {0x85, CharType::space},   {0xA0, CharType::space},      {0x200B, CharType::other},
      {0x3000, CharType::space}, {0xBD, CharType::number},     {0x2164, CharType::number},
      {0x301, CharType::mark},   {0x4E2D, CharType::letter},   {0x1F642, CharType::symbol},
      {0, CharType::other},      {0x10FFFF, CharType::other}};
  for (const auto& [point, type] : cases) {
    CAPTURE(point);
    CHECK(text::char_type(point) == type);
  }
  CHECK(text::class_at("\xFFx", 0).n_bytes == 1);
  CHECK(text::class_at("\xFFx", 0).type == CharType::other);
}

TEST_CASE("expressions that are wrong, or take too long, are errors that say so") {
  CHECK_THROWS_WITH_AS(text::Regex("a("),
                       "regular expression \"a(\": missing closing parenthesis at offset 2", Error);
  CHECK_THROWS_AS(text::Regex("\\C"), Error);
  const text::Regex slow("(a+)+(a+)+(a+)+$");
  const auto scratch = text::Regex::make_scratch();
  text::Regex::Match match;
  const std::string text = std::string(200, 'a') + "b";
  CHECK_THROWS_AS((void)slow.find(text, 0, match, *scratch), Error);
  // More than the JIT's stack holds: the interpreter goes on.
  const text::Regex deep("(?:(a)|b)+c");
  CHECK(!deep.find(std::string(1 << 20, 'a').substr(0, 1 << 12), 0, match, *scratch));
  const text::Regex word("\\p{L}+");
  REQUIRE(word.find("1\xC3\xA9x2", 0, match, *scratch));
  CHECK(match.begin == 1);
  CHECK(match.end == 4);
}

TEST_CASE("normalisers do what Unicode, BERT and SentencePiece say, and keep malformed bytes") {
  using text::UnicodeForm;
  const std::string decomposed = "e\xCC\x81", composed = "\xC3\xA9";
  CHECK(text::unicode_form(UnicodeForm::nfc)(decomposed) == composed);
  CHECK(text::unicode_form(UnicodeForm::nfd)(composed) == decomposed);
  CHECK(text::unicode_form(UnicodeForm::nfkc)("\xEF\xAC\x81 \xE2\x84\xA2") == "fi TM");
  CHECK(text::unicode_form(UnicodeForm::nfkd)("\xC2\xBD") ==
        "1\xE2\x81\x84"
        "2");
  CHECK(text::unicode_form(UnicodeForm::nfc)("\xFF" + decomposed + "\xC3") == "\xFF" + composed + "\xC3");
  CHECK(text::lower_case()("\xC3\x84"
                           "B\xC4\xB0") ==
        "\xC3\xA4"
        "bi\xCC\x87");
  CHECK(text::strip_accents()(decomposed) == "e");
  CHECK(text::strip_spaces(true, false)("  a ") == "a ");
  CHECK(text::strip_spaces(true, true)("\xC2\xA0 \n") == "");
  CHECK(text::prepend("_")("") == "");
  CHECK(text::prepend("_")("a") == "_a");
  CHECK(text::replace_text("ab", "x")("abcab") == "xcx");
  CHECK(text::replace_pattern(" +", " ")("a   b  ") == "a b ");
  CHECK(text::replace_pattern("x*", "-")("abx") == "-a-b--");
  CHECK(text::collapse_spaces()("  a   b ") == "a b");
  CHECK(text::bert_normaliser({})("\xC3\x84 a\x01\tB\xE4\xB8\xAD") == "a a b \xE4\xB8\xAD ");
  CHECK(text::bert_normaliser({.strip_accents = false, .lower_case = false})("\xC3\x84") == "\xC3\x84");
}

TEST_CASE("a table of replacements is followed: the longest match wins") {
  // A double array over "a" (to "x") and "ab" (to "yz"): units by place; offsets are from a node to its
  // children.
  std::vector<uint32_t> units(512, 0);
  const auto offset = [](uint32_t value) { return value << 10; };
  units[0] = offset(128);                                        // root: children at 128 ^ byte
  units[128 ^ 'a'] = 'a' | 1u << 8 | offset((128 ^ 'a') ^ 256);  // has a value; children at 256 ^ byte
  units[256] = 1u << 31 | 0;                                     // "x"
  units[256 ^ 'b'] = 'b' | 1u << 8 | offset((256 ^ 'b') ^ 300);
  units[300] = 1u << 31 | 2;  // "yz"
  std::vector<std::byte> table;
  const auto append = [&](const void* data, size_t n_bytes) {
    const auto* bytes = static_cast<const std::byte*>(data);
    table.insert(table.end(), bytes, bytes + n_bytes);
  };
  const auto n_bytes = static_cast<uint32_t>(units.size() * 4);
  append(&n_bytes, 4);
  append(units.data(), n_bytes);
  append("x\0yz", 5);
  const text::Normaliser normalise = text::precompiled_charsmap(table, "table");
  CHECK(normalise("a ab ba c\xFF") == "x yz bx c\xFF");
  table.pop_back();
  CHECK_THROWS_AS(text::precompiled_charsmap(table, "table"), Error);
}

TEST_CASE("what a cutter finds is removed, set apart or joined as it is told") {
  using text::Found;
  const auto at_dash = [](Found found, bool inverted = false) {
    return cut({text::cut_at_text("-", found, inverted)}, "the-final--count-");
  };
  // The examples of Hugging Face's documentation of SplitDelimiterBehavior.
  CHECK(at_dash(Found::removed) == Words{"the", "final", "count"});
  CHECK(at_dash(Found::isolated) == Words{"the", "-", "final", "-", "-", "count", "-"});
  CHECK(at_dash(Found::merged_with_previous) == Words{"the-", "final-", "-", "count-"});
  CHECK(at_dash(Found::merged_with_next) == Words{"the", "-final", "-", "-count", "-"});
  CHECK(at_dash(Found::contiguous) == Words{"the", "-", "final", "--", "count", "-"});
  CHECK(at_dash(Found::removed, true) == Words{"-", "-", "-", "-"});
  CHECK(cut({text::cut_by_pattern("\\w+|[^\\w\\s]+", Found::removed, true)}, "Hey man!? \xC3\xA9") ==
        Words{"Hey", "man", "!?", "\xC3\xA9"});
  CHECK(cut({text::cut_by_pattern("\\d", Found::isolated, false)}, "a12") == Words{"a", "1", "2"});
  CHECK(cut(text::bert_cutters(), "Hey, you\t(all)") == Words{"Hey", ",", "you", "(", "all", ")"});
}

TEST_CASE("cutters that rewrite put signs and spaces where they are told") {
  using text::PrependScheme;
  const std::string sign = "_";
  CHECK(cut({text::metaspace(sign, PrependScheme::always, true)}, "Hey  you") == Words{"_Hey", "_", "_you"});
  CHECK(cut({text::metaspace(sign, PrependScheme::always, true)}, " Hey") == Words{"_Hey"});
  CHECK(cut({text::metaspace(sign, PrependScheme::never, false)}, "Hey you") == Words{"Hey_you"});
  const auto first = text::metaspace(sign, PrependScheme::first, true);
  CHECK(cut({first}, "Hey you") == Words{"_Hey", "_you"});
  CHECK(cut({first}, "Hey you", text::FragmentPlace::after_added_token) == Words{"Hey", "_you"});
  CHECK(cut({text::add_prefix_space()}, "a") == Words{" a"});
  CHECK(cut({text::add_prefix_space()}, " a") == Words{" a"});
  CHECK(cut({text::add_prefix_space()}, "\na") == Words{" \na"});  // as the Rust library has it
  CHECK(cut({text::cut_before_space_signs()},
            "\xE2\x96\x81\xE2\x96\x81"
            "a\xE2\x96\x81"
            "b") == Words{"\xE2\x96\x81\xE2\x96\x81"
                          "a",
                          "\xE2\x96\x81"
                          "b"});
}

TEST_CASE(
    "added tokens are found leftmost and longest, control tokens only if asked for, and strip what they "
    "own") {
  text::Vocab vocab(8);
  vocab.add("<s>", 0, TokenKind::control);
  vocab.add("  ", 0, TokenKind::user_defined);
  vocab.add("   ", 0, TokenKind::user_defined);
  vocab.add("[M]", 0, TokenKind::control);
  vocab.add("cat", 0, TokenKind::user_defined);
  vocab.index();
  const text::AddedTokens added(vocab, {{.id = 0},
                                        {.id = 1},
                                        {.id = 2},
                                        {.id = 3, .strip_left = true, .strip_right = true},
                                        {.id = 4, .single_word = true}});
  const auto split = [&](std::string_view text, bool parse_special) {
    Words parts;
    for (const text::Fragment& fragment : added.split(text, parse_special))
      parts.push_back(fragment.added ? "#" + std::to_string(*fragment.added) : std::string(fragment.text));
    return parts;
  };
  CHECK(split("a<s>b", false) == Words{"a<s>b"});
  CHECK(split("a<s>b", true) == Words{"a", "#0", "b"});
  CHECK(split("a    b", false) == Words{"a", "#2", " b"});
  CHECK(split("x \n[M] \ty", true) == Words{"x", "#3", "y"});
  CHECK(split(" [M] ", true) == Words{"#3"});
  CHECK(split("cat cats concat (cat)", false) == Words{"#4", " cats concat (", "#4", ")"});
  CHECK(split("", true) == Words{});
  CHECK(split("<s><s", true) == Words{"#0", "<s"});
}
