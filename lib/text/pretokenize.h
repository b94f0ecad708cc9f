// Pre-tokenisers: how text is cut into pieces before byte pairs are merged inside each.
//
// A pre-tokeniser is a row of regular expressions (pretokenizers.def, or a tokenizer.json). The expressions
// that most models use have hand-written splitters (splitters.h) that find the same pieces several times
// faster; the expressions stay their definition, and tests hold one against the other. Tested by
// tests/text/pretokenize_test.cpp.
#pragma once

#include "text/regex.h"
#include "text/splitters.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace ruvllm::text {

/// What a pre-tokeniser's name says beside the cutting; bits of PretokenizerRow::traits.
enum PretokenizerTrait : uint32_t {
  kIgnoreMerges = 1,  ///< a piece that is a token stays whole
  kAddBos = 2,        ///< BOS goes in front unless the file says otherwise
  kAddSeparator = 4,  ///< BOS in front and the separator behind, as RoBERTa does
  kRankByToken = 8,   ///< without merges, a pair's rank is the id of the token that it makes
  kPlainText = 16,    ///< tokens are spelled in plain UTF-8 with ▁ for space, not in GPT-2's byte alphabet
};

/// One row of pretokenizers.def.
struct PretokenizerRow {
  std::string_view name;
  std::span<const std::string_view> patterns;
  uint32_t traits;
};

std::span<const PretokenizerRow> pretokenizer_rows();
/// The row of a name, or null.
const PretokenizerRow* find_pretokenizer(std::string_view name);

/// Calls take(piece, is_match) for the matches of an expression in a range of a text, and for what lies
/// between them, in order; pieces may be empty. Nothing outside the range is looked at; malformed UTF-8
/// matches nothing.
void for_each_match(const Regex& regex, std::string_view text, Piece range, Regex::Scratch& scratch,
                    const std::function<void(Piece piece, bool is_match)>& take);

class Pretokenizer {
 public:
  /// `use_splitters` false: regular expressions alone, for tests.
  explicit Pretokenizer(std::span<const std::string_view> patterns, bool use_splitters = true);

  /// Cuts each of some pieces of a text. Runs of malformed UTF-8 become pieces of their own. Linear in the
  /// text.
  void split(std::string_view text, std::vector<Piece>& pieces) const;

 private:
  struct Step {
    Splitter splitter = nullptr;  // where there is one; else
    std::shared_ptr<const Regex> regex;
  };
  std::vector<Step> steps_;
  bool needs_scratch_ = false;
};

}  // namespace ruvllm::text
