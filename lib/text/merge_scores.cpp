#include "text/merge_scores.h"

#include "base/utf8.h"

#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

namespace ruvllm::text {
namespace {

struct Merge {
  TokenId left, right, made;
};

// Nothing where a part or what they make is no token.
std::optional<Merge> read_merge(const Json& json, const Vocab& vocab) {
  std::string left, right;
  if (json.is_array()) {
    left = json.at(0).get<std::string>();
    right = json.at(1).get<std::string>();
  } else {
    const std::string text = json.get<std::string>();
    const size_t space = text.find(' ');
    left = text.substr(0, space);
    right = text.substr(space + 1);
  }
  const auto left_id = vocab.find(left), right_id = vocab.find(right), made = vocab.find(left + right);
  if (!left_id || !right_id || !made) return std::nullopt;
  return Merge{*left_id, *right_id, *made};
}

uint64_t pair_of(TokenId left, TokenId right) {
  return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
}

bool is_one_character(std::string_view text) {
  return !text.empty() && first_code_point(text.substr(0, 4)).n_bytes == text.size();
}

}  // namespace

MergeScores scores_of_merges(const Json& merges, const Vocab& vocab) {
  MergeScores result;
  result.is_exact = true;
  const auto n_tokens = static_cast<size_t>(vocab.n_tokens());
  std::vector<bool> is_made(n_tokens);
  std::unordered_set<uint64_t> pairs;
  result.scores.assign(n_tokens, 0.0f);
  float score = 0.0f;
  TokenId last = -1;
  for (const Json& json : merges) {
    const auto merge = read_merge(json, vocab);
    if (!merge) continue;
    pairs.insert(pair_of(merge->left, merge->right));
    if (merge->made == last) continue;
    last = merge->made;
    const auto made = static_cast<size_t>(last);
    if (is_made[made]) {
      result.is_exact = false;
      continue;
    }
    is_made[made] = true;
    result.scores[made] = -(score += 1.0f);
  }
  const auto may_stand = [&](TokenId id) {
    return may_be_text(vocab.kind(id)) &&
           (is_made[static_cast<size_t>(id)] || is_one_character(vocab.spelling(id)));
  };
  for (TokenId id = 0; id < vocab.n_tokens(); ++id) {
    const std::string_view spelling = vocab.spelling(id);
    if (!is_made[static_cast<size_t>(id)]) result.scores[static_cast<size_t>(id)] = -(score + 1.0f);
    if (!may_be_text(vocab.kind(id))) continue;
    for (size_t cut = 0; cut < spelling.size() && result.is_exact;) {
      cut += first_code_point(spelling.substr(cut, 4)).n_bytes;
      if (cut >= spelling.size()) break;
      const auto left = vocab.find(spelling.substr(0, cut)), right = vocab.find(spelling.substr(cut));
      if (left && right && may_stand(*left) && may_stand(*right))
        result.is_exact = pairs.contains(pair_of(*left, *right));
    }
  }
  return result;
}

}  // namespace ruvllm::text
