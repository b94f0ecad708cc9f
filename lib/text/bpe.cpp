// Byte pair encoding. See subwords.h.
#include "base/error.h"
#include "base/utf8.h"
#include "text/byte_alphabet.h"
#include "text/subwords.h"

#include <algorithm>
#include <array>
#include <utility>

namespace ruvllm::text {
namespace {

class Bpe final : public Subwords {
 public:
  Bpe(std::shared_ptr<const Vocab> vocab, const BpeSettings& settings)
      : vocab_(std::move(vocab)),
        merges_(settings.merges.size()),
        rank_by_token_(settings.rank_by_token),
        byte_level_(settings.byte_level),
        ignore_merges_(settings.ignore_merges),
        fuse_unknown_(settings.fuse_unknown) {
    index_merges(settings);
    for (size_t byte = 0; byte < 256; ++byte) {
      const auto token = vocab_->find(to_byte_alphabet(std::string(1, static_cast<char>(byte))));
      byte_tokens_[byte] = token && vocab_->kind(*token) == TokenKind::normal ? *token : kNoToken;
    }
  }

  void encode_word(std::string_view word, Merger& merger, std::vector<TokenId>& tokens) const override {
    if (ignore_merges_) {
      if (const auto token = find_text(word)) return tokens.push_back(*token);
    }
    merger.clear();
    for (size_t at = 0; at < word.size();) {
      const uint32_t n_bytes = byte_level_ ? 1 : first_code_point(word.substr(at, 4)).n_bytes;
      const TokenId token = byte_level_ ? byte_tokens_[static_cast<uint8_t>(word[at])]
                                        : find_text(word.substr(at, n_bytes)).value_or(kNoToken);
      merger.add(static_cast<uint32_t>(at), n_bytes, token);
      at += n_bytes;
    }
    merger.run([&](const Symbol& left, const Symbol& right) { return join(word, left, right); });
    append_symbols(word, merger, tokens);
  }

 private:
  // Fills merges_. Both passes wait for memory most of the time, so they ask for it some steps ahead.
  void index_merges(const BpeSettings& settings) {
    constexpr size_t kAhead = 8;
    struct Merge {
      uint32_t left, right;
      TokenId joined;
    };
    std::vector<Merge> found(settings.merges.size());
    size_t n_ignored = 0;
    TokenId joined = kNoToken;
    for (size_t rank = 0; rank < found.size(); ++rank) {
      if (rank + kAhead < found.size()) {
        vocab_->prefetch(settings.merges[rank + kAhead].first);
        vocab_->prefetch(settings.merges[rank + kAhead].second);
      }
      const auto& [left, right] = settings.merges[rank];
      joined = find_joined(left, right, joined).value_or(kNoToken);
      const std::optional<TokenId> left_token = vocab_->find(left), right_token = vocab_->find(right);
      if (left_token && right_token && joined != kNoToken) {
        found[rank] = {static_cast<uint32_t>(*left_token), static_cast<uint32_t>(*right_token), joined};
        continue;
      }
      found[rank].joined = kNoToken;
      if (n_ignored++ > 0) continue;
      const std::string finding =
          fmt::format("{}: merge {} names \"{}\", which is no token", settings.source, rank,
                      printable(!left_token    ? left
                                : !right_token ? right
                                               : std::string(left).append(right),
                                40));
      if (!settings.warning) throw Error(Errc::corrupt_file, "{}", finding);
      *settings.warning = finding;
    }
    if (n_ignored > 0) *settings.warning += fmt::format("; ignored {} such of {}", n_ignored, found.size());
    for (size_t rank = 0; rank < found.size(); ++rank) {
      if (rank + kAhead < found.size())
        merges_.prefetch(found[rank + kAhead].left, found[rank + kAhead].right);
      const auto& [left, right, token] = found[rank];
      if (token != kNoToken && may_be_text(vocab_->kind(token)))
        merges_.add(left, right, {static_cast<uint32_t>(rank), static_cast<uint32_t>(token)});
    }
  }

  // The token that two parts make. In most files it is the one that the merge before made, or the next:
  // looked at first, since it lies in the cache.
  std::optional<TokenId> find_joined(std::string_view left, std::string_view right, TokenId before) const {
    for (TokenId guess = before; before != kNoToken && guess < std::min(before + 2, vocab_->n_tokens());
         ++guess) {
      const std::string_view spelling = vocab_->spelling(guess);
      if (spelling.size() == left.size() + right.size() && spelling.starts_with(left) &&
          spelling.ends_with(right))
        return guess;
    }
    return vocab_->find(std::string(left).append(right));
  }

  // The token that a text is, where it is not too long for any.
  std::optional<TokenId> find_text(std::string_view text) const {
    if (text.size() > vocab_->longest_spelling()) return std::nullopt;
    return vocab_->find_text(byte_level_ ? to_byte_alphabet(text) : std::string(text));
  }

  std::optional<Join> join(std::string_view word, const Symbol& left, const Symbol& right) const {
    if (left.token == kNoToken || right.token == kNoToken) return std::nullopt;
    if (rank_by_token_) {
      const auto token = find_text(word.substr(left.begin, left.n_bytes + right.n_bytes));
      return token ? std::optional(Join{static_cast<uint32_t>(*token), *token}) : std::nullopt;
    }
    const auto* found = merges_.find(static_cast<uint32_t>(left.token), static_cast<uint32_t>(right.token));
    return found ? std::optional(Join{found->first, static_cast<TokenId>(found->second)}) : std::nullopt;
  }

  void append_symbols(std::string_view word, const Merger& merger, std::vector<TokenId>& tokens) const {
    std::string_view unknown;  // characters that no token covers, if they are fused
    const auto flush = [&] {
      if (!unknown.empty()) vocab_->append_unknown(unknown, tokens);
      unknown = {};
    };
    merger.for_each([&](const Symbol& symbol) {
      if (symbol.token != kNoToken) {
        flush();
        tokens.push_back(symbol.token);
        return;
      }
      if (!fuse_unknown_) flush();
      const size_t begin = symbol.begin - unknown.size();
      unknown = word.substr(begin, unknown.size() + symbol.n_bytes);
    });
    flush();
  }

  std::shared_ptr<const Vocab> vocab_;
  PairTable merges_;  // (left, right) to (rank, joined)
  std::array<TokenId, 256> byte_tokens_;
  bool rank_by_token_;
  bool byte_level_;
  bool ignore_merges_;
  bool fuse_unknown_;
};

}  // namespace

std::unique_ptr<const Subwords> make_bpe(std::shared_ptr<const Vocab> vocab, const BpeSettings& settings) {
  return std::make_unique<Bpe>(std::move(vocab), settings);
}

}  // namespace ruvllm::text
