// WordPiece. See subwords.h.
#include "base/utf8.h"
#include "text/subwords.h"

#include <utility>

namespace ruvllm::text {
namespace {

class WordPiece final : public Subwords {
 public:
  WordPiece(std::shared_ptr<const Vocab> vocab, WordPieceSettings settings)
      : vocab_(std::move(vocab)), settings_(std::move(settings)) {
    // Prefixed spellings go into one trie each, without their prefix.
    const std::string& first = settings_.first_prefix;
    const std::string& continuing = settings_.continuing_prefix;
    for (TokenId id = 0; id < vocab_->n_tokens(); ++id) {
      if (vocab_->kind(id) != TokenKind::normal) continue;
      const std::string_view spelling = vocab_->spelling(id);
      const bool is_first = !first.empty() && spelling.starts_with(first);
      const bool is_continuing = !continuing.empty() && spelling.starts_with(continuing);
      if (is_first || (first.empty() && !is_continuing))
        first_.add(spelling.substr(first.size()), static_cast<uint32_t>(id));
      if (is_continuing || (continuing.empty() && !is_first))
        continuing_.add(spelling.substr(continuing.size()), static_cast<uint32_t>(id));
    }
  }

  void encode_word(std::string_view word, Merger&, std::vector<TokenId>& tokens) const override {
    const size_t n_before = tokens.size();
    size_t at = is_too_long(word) ? word.size() : 0;
    bool whole = at == 0;
    while (at < word.size()) {
      const auto [token, n_bytes] = longest(at == 0 ? first_ : continuing_, word.substr(at));
      if (n_bytes == 0) {
        whole = false;
        break;
      }
      tokens.push_back(token);
      at += n_bytes;
    }
    if (whole) return;
    tokens.resize(n_before);
    if (vocab_->special.unknown) tokens.push_back(*vocab_->special.unknown);
  }

 private:
  bool is_too_long(std::string_view word) const {
    size_t n_characters = 0;
    for (const char c : word) n_characters += (static_cast<uint8_t>(c) & 0xC0) != 0x80;
    return n_characters > settings_.most_characters || word.size() > 4 * settings_.most_characters;
  }

  // The longest token at the beginning of a text, and its bytes there; 0 bytes where there is none.
  static std::pair<TokenId, size_t> longest(const Trie& trie, std::string_view text) {
    std::pair<TokenId, size_t> found{kNoToken, 0};
    uint32_t node = Trie::kRoot;
    for (size_t end = 0; end < text.size();) {
      const auto next = trie.step(node, text[end++]);
      if (!next) break;
      node = *next;
      if (const auto id = trie.id_at(node)) found = {static_cast<TokenId>(*id), end};
    }
    return found;
  }

  std::shared_ptr<const Vocab> vocab_;
  WordPieceSettings settings_;
  Trie first_;
  Trie continuing_;
};

}  // namespace

std::unique_ptr<const Subwords> make_wordpiece(std::shared_ptr<const Vocab> vocab,
                                               WordPieceSettings settings) {
  return std::make_unique<WordPiece>(std::move(vocab), std::move(settings));
}

}  // namespace ruvllm::text
