// Cutters: how text is cut into words before each word is cut into tokens. Each goes over the words that the
// one before it left; some rewrite the text. Tested by tests/text/cut_test.cpp.
#pragma once

#include "text/pretokenize.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::text {

/// What stands before a fragment of plain text.
enum class FragmentPlace { first, after_added_token, after_text };

/// A text and the words that it has been cut into, in order; what is in no word is dropped.
struct CutText {
  std::string_view text;
  std::vector<Piece> words;
  FragmentPlace place = FragmentPlace::first;
  std::string rewritten;  ///< what `text` points into once a cutter has changed it

  /// Whether a word goes on from a text before: then nothing is put in front of it.
  bool goes_on(const Piece& word) const { return place == FragmentPlace::after_text && word.begin == 0; }

  std::string_view word(const Piece& piece) const {
    return text.substr(piece.begin, piece.end - piece.begin);
  }
};

using Cutter = std::function<void(CutText& text)>;

/// What becomes of what a cutter finds.
enum class Found { removed, isolated, merged_with_previous, merged_with_next, contiguous };

/// Words by a pre-tokeniser: matches and the text between them.
Cutter cut_by_pretokenizer(std::shared_ptr<const Pretokenizer> pretokenizer);
/// Cuts at every match of a pattern; `inverted`: what is between matches is what was found.
Cutter cut_by_pattern(std::string_view pattern, Found found, bool inverted);
/// Cuts at every place where a text stands.
Cutter cut_at_text(std::string text, Found found, bool inverted);
/// Cuts at every character that `wanted` says yes to.
Cutter cut_at_characters(std::function<bool(uint32_t code_point)> wanted, Found found);

/// Where Metaspace puts a sign in front of a word that doesn't begin with one.
enum class PrependScheme { always, first, never };
/// Spaces become `sign`; with `split`, words begin at each.
Cutter metaspace(std::string sign, PrependScheme scheme, bool split);
/// A space in front of every word that doesn't begin with one.
Cutter add_prefix_space();
/// BERT's words: cut at white space, which is dropped, and every punctuation mark by itself.
std::vector<Cutter> bert_cutters();
/// Words begin where space signs (▁) do: for vocabularies in which no token goes on over one.
Cutter cut_before_space_signs();

/// Punctuation as BERT has it: ASCII's, and Unicode's categories P.
bool is_punctuation(uint32_t code_point);

}  // namespace ruvllm::text
