#include "text/added_tokens.h"

#include "base/limits.h"
#include "text/char_class.h"

#include <utility>

namespace ruvllm::text {
namespace {

bool is_ascii_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Whether a word of letters and digits goes on across a border in the text.
bool touches_word(std::string_view text, size_t begin, size_t n_bytes) {
  if (const size_t end = begin + n_bytes; end < text.size() && is_word_class(class_at(text, end).type))
    return true;
  size_t before = begin;
  while (before > 0 && begin - before < 4) {
    --before;
    if ((static_cast<uint8_t>(text[before]) & 0xC0) != 0x80) break;
  }
  return before < begin && is_word_class(class_at(text, before).type);
}

}  // namespace

AddedTokens::AddedTokens(const Vocab& vocab, std::vector<AddedTokenRule> rules,
                         const std::function<std::string(std::string_view)>& spell)
    : rules_(std::move(rules)) {
  for (size_t i = 0; i < rules_.size(); ++i) {
    const std::string_view plain = vocab.spelling(rules_[i].id);
    const std::string spelling = spell ? spell(plain) : std::string(plain);
    if (spelling.size() > limits::kMatchedTokenBytes)
      throw Error(Errc::corrupt_file, "added token {} is {} bytes long, expected at most {}", rules_[i].id,
                  spelling.size(), limits::kMatchedTokenBytes);
    const TokenKind kind = vocab.kind(rules_[i].id);
    is_special_.push_back(kind == TokenKind::control || kind == TokenKind::unknown);
    if (trie_.add(spelling, static_cast<uint32_t>(i))) may_start_[static_cast<uint8_t>(spelling[0])] = true;
  }
}

std::optional<AddedTokens::Match> AddedTokens::match_at(std::string_view text, size_t begin,
                                                        size_t special_end) const {
  std::optional<Match> longest;
  uint32_t node = Trie::kRoot;
  for (size_t end = begin; end < text.size();) {
    const auto next = trie_.step(node, text[end++]);
    if (!next) break;
    node = *next;
    const auto found = trie_.id_at(node);
    if (!found || (is_special_[*found] && end > special_end)) continue;
    const AddedTokenRule& rule = rules_[*found];
    if (rule.single_word && touches_word(text, begin, end - begin)) continue;
    longest = Match{&rule, end - begin};
  }
  return longest;
}

std::vector<Fragment> AddedTokens::split(std::string_view text, bool parse_special,
                                         std::span<const ByteRange> literal) const {
  std::vector<Fragment> fragments;
  // How far a special token that begins here may reach; in a literal range nowhere.
  const auto special_end = [&](size_t at) -> size_t {
    if (!parse_special) return 0;
    while (!literal.empty() && literal.front().end <= at) literal = literal.subspan(1);
    return literal.empty() ? text.size() : literal.front().begin;
  };
  size_t pending = 0;  // where the text that is in no fragment yet begins
  for (size_t at = 0; at < text.size();) {
    const auto match =
        may_start_[static_cast<uint8_t>(text[at])] ? match_at(text, at, special_end(at)) : std::nullopt;
    if (!match) {
      ++at;
      continue;
    }
    size_t before = at;
    if (match->rule->strip_left)
      while (before > pending && is_ascii_space(text[before - 1])) --before;
    if (before > pending) fragments.push_back({text.substr(pending, before - pending), std::nullopt});
    fragments.push_back({text.substr(at, match->n_bytes), match->rule->id});
    at += match->n_bytes;
    if (match->rule->strip_right)
      while (at < text.size() && is_ascii_space(text[at])) ++at;
    pending = at;
  }
  if (pending < text.size()) fragments.push_back({text.substr(pending), std::nullopt});
  return fragments;
}

std::vector<AddedTokenRule> rules_by_kind(const Vocab& vocab) {
  std::vector<AddedTokenRule> rules;
  for (TokenId id = 0; id < vocab.n_tokens(); ++id) {
    const TokenKind kind = vocab.kind(id);
    if (kind == TokenKind::control || kind == TokenKind::unknown || kind == TokenKind::user_defined)
      rules.push_back({.id = id});
  }
  return rules;
}

}  // namespace ruvllm::text
