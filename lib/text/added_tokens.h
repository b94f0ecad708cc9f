// Finds added tokens (control and user-defined ones) written out in a text: leftmost, then longest, in one
// pass. Tested by tests/text/added_tokens_test.cpp.
#pragma once

#include "text/vocab.h"

#include <array>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::text {

/// A stretch of text between added tokens, or an added token.
struct Fragment {
  std::string_view text;         ///< what lies here, as written (stripped white space is in no fragment)
  std::optional<TokenId> added;  ///< the token, where it is one
};

class AddedTokens {
 public:
  AddedTokens() = default;
  /// `rules` name tokens of the vocabulary, which are sought as `spell` writes their spellings (empty: as
  /// they are). Throws corrupt_file where that is longer than limits::kMatchedTokenBytes: matching takes that
  /// long for each byte at worst.
  AddedTokens(const Vocab& vocab, std::vector<AddedTokenRule> rules,
              const std::function<std::string(std::string_view)>& spell = {});

  bool empty() const { return rules_.empty(); }

  /// Cuts a text. Control and unknown tokens are found only where `parse_special`, and not where they touch a
  /// `literal` range (in order, apart from each other); user-defined ones always.
  std::vector<Fragment> split(std::string_view text, bool parse_special,
                              std::span<const ByteRange> literal = {}) const;

 private:
  struct Match {
    const AddedTokenRule* rule;
    size_t n_bytes;
  };
  /// Special tokens must end at or before `special_end`.
  std::optional<Match> match_at(std::string_view text, size_t begin, size_t special_end) const;

  std::vector<AddedTokenRule> rules_;
  std::vector<bool> is_special_;       // per rule: control or unknown
  Trie trie_;                          // of spellings, to the number of the rule
  std::array<bool, 256> may_start_{};  // the first bytes of all spellings
};

/// A rule for every control, unknown and user-defined token of a vocabulary, with no stripping.
std::vector<AddedTokenRule> rules_by_kind(const Vocab& vocab);

}  // namespace ruvllm::text
