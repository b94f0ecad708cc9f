// Unigram. See subwords.h.
#include "base/limits.h"
#include "base/utf8.h"
#include "text/subwords.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace ruvllm::text {
namespace {

constexpr double kUnknownPenalty = 10.0;  // below the worst score; SentencePiece's kUnkPenalty

class Unigram final : public Subwords {
 public:
  explicit Unigram(std::shared_ptr<const Vocab> vocab) : vocab_(std::move(vocab)) {
    double worst = std::numeric_limits<double>::infinity();
    for (TokenId id = 0; id < vocab_->n_tokens(); ++id) {
      if (!may_be_text(vocab_->kind(id)) || vocab_->spelling(id).size() > limits::kMatchedTokenBytes)
        continue;
      trie_.add(vocab_->spelling(id), static_cast<uint32_t>(id));
      if (vocab_->kind(id) == TokenKind::normal) worst = std::min<double>(worst, vocab_->score(id));
    }
    unknown_score_ = (worst == std::numeric_limits<double>::infinity() ? 0.0 : worst) - kUnknownPenalty;
  }

  void encode_word(std::string_view word, Merger&, std::vector<TokenId>& tokens) const override {
    std::vector<Step> best(word.size() + 1);
    best[0].score = 0.0;
    for (size_t at = 0; at < word.size();) {
      const uint32_t n_bytes = first_code_point(word.substr(at, 4)).n_bytes;
      if (best[at].score != kUnreached && !try_tokens(word, at, n_bytes, best))
        improve(best[at + n_bytes], {best[at].score + unknown_score_, at, kNoToken});
      at += n_bytes;
    }
    append_path(word, best, tokens);
  }

 private:
  static constexpr double kUnreached = -std::numeric_limits<double>::infinity();
  // The best way found to a place in the word: where its last token begins, and which it is.
  struct Step {
    double score = kUnreached;
    size_t begin = 0;
    TokenId token = kNoToken;
  };

  static void improve(Step& step, const Step& other) {
    if (other.score > step.score) step = other;
  }

  // Tries all tokens that begin at a place; true where one of them is the first character alone.
  bool try_tokens(std::string_view word, size_t at, uint32_t n_first_bytes, std::vector<Step>& best) const {
    bool has_first = false;
    uint32_t node = Trie::kRoot;
    for (size_t end = at; end < word.size();) {
      const auto next = trie_.step(node, word[end++]);
      if (!next) break;
      node = *next;
      const auto id = trie_.id_at(node);
      if (!id) continue;
      const auto token = static_cast<TokenId>(*id);
      // User-defined tokens have no score to speak of; they win over normal ones, whose scores are negative.
      const double score = vocab_->kind(token) == TokenKind::user_defined ? 0.0 : vocab_->score(token);
      improve(best[end], {best[at].score + score, at, token});
      has_first = has_first || end - at == n_first_bytes;
    }
    return has_first;
  }

  void append_path(std::string_view word, const std::vector<Step>& best, std::vector<TokenId>& tokens) const {
    std::vector<size_t> ends;
    for (size_t end = word.size(); end > 0; end = best[end].begin) ends.push_back(end);
    std::ranges::reverse(ends);
    size_t unknown_begin = 0, unknown_end = 0;  // unknown characters in a row are one unknown token
    const auto flush = [&] {
      if (unknown_end > unknown_begin)
        vocab_->append_unknown(word.substr(unknown_begin, unknown_end - unknown_begin), tokens);
      unknown_begin = unknown_end = 0;
    };
    for (const size_t end : ends) {
      const Step& step = best[end];
      if (step.token != kNoToken) {
        flush();
        tokens.push_back(step.token);
      } else {
        if (unknown_end == 0) unknown_begin = step.begin;
        unknown_end = end;
      }
    }
    flush();
  }

  std::shared_ptr<const Vocab> vocab_;
  Trie trie_;
  double unknown_score_ = 0.0;
};

}  // namespace

std::unique_ptr<const Subwords> make_unigram(std::shared_ptr<const Vocab> vocab) {
  return std::make_unique<Unigram>(std::move(vocab));
}

}  // namespace ruvllm::text
