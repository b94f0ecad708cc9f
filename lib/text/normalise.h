// Normalisers: what is done to text before it is cut. Each is a function from text to text that keeps
// malformed bytes as they are; a pipeline runs some of them in a row. Tested by
// tests/text/normalise_test.cpp.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace ruvllm::text {

using Normaliser = std::function<std::string(std::string_view text)>;

/// SentencePiece's sign for a space, U+2581.
inline constexpr std::string_view kSpaceSign = "\xE2\x96\x81";

enum class UnicodeForm { nfc, nfd, nfkc, nfkd };
Normaliser unicode_form(UnicodeForm form);
Normaliser lower_case();
/// Removes marks (accents that stand apart; put NFD before it).
Normaliser strip_accents();
/// Removes white space at the ends.
Normaliser strip_spaces(bool left, bool right);
/// `prefix` in front of a text that isn't empty.
Normaliser prepend(std::string prefix);
Normaliser replace_text(std::string from, std::string to);
Normaliser replace_pattern(std::string_view pattern, std::string to);
/// Runs of white space become one space, and none stays at the ends.
Normaliser collapse_spaces();

/// BERT's: control characters dropped, white space made spaces, ideographs set apart, accents stripped, lower
/// case.
struct BertNormalisation {
  bool clean_text = true;
  bool separate_ideographs = true;
  bool strip_accents = true;
  bool lower_case = true;
};
Normaliser bert_normaliser(BertNormalisation settings);

/// SentencePiece's precompiled table of replacements. `where` names the table in messages. Throws
/// corrupt_file.
Normaliser precompiled_charsmap(std::span<const std::byte> table, std::string_view where);

/// Throws Errc::usage where a text has grown beyond what a pipeline takes: replacements may be long.
void limit_growth(const std::string& text);

}  // namespace ruvllm::text
