// Joining neighbouring symbols, best pair first: the heart of byte pair encoding and of SentencePiece's
// variant.
//
// A queue holds the pairs that may be joined, best rank first, leftmost among equals; symbols are a linked
// list. So n symbols take n log n steps whatever the text is. Tested through both tokenizers by tests/text.
#pragma once

#include "text/lookup.h"
#include "text/tokenizer.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace ruvllm::text {

inline constexpr TokenId kNoToken = -1;

/// A stretch of text that has become, or may become, a token.
struct Symbol {
  uint32_t begin;
  uint32_t n_bytes;  ///< 0 when it was joined to its left neighbour
  TokenId token;     ///< kNoToken where no token is spelled so
  uint32_t previous;
  uint32_t next;
};

/// What two neighbours may become.
struct Join {
  uint32_t rank;  ///< lower is done earlier
  TokenId token;
};

/// Symbols in text order, and joining them. Kept between words for its memory.
class Merger {
 public:
  void clear() { symbols_.clear(); }
  void add(uint32_t begin, uint32_t n_bytes, TokenId token) {
    const auto i = static_cast<uint32_t>(symbols_.size());
    symbols_.push_back({begin, n_bytes, token, i - 1, i + 1});
  }

  /// Joins until no pair is left. `join(left, right)` says what two symbols may become: std::optional<Join>.
  template <typename JoinRule>
  void run(const JoinRule& join) {
    queue_.clear();
    for (uint32_t i = 0; i + 1 < symbols_.size(); ++i) offer(i, join);
    while (!queue_.empty()) {
      std::pop_heap(queue_.begin(), queue_.end(), Later());
      const Candidate best = queue_.back();
      queue_.pop_back();
      Symbol& left = symbols_[best.left];
      if (left.n_bytes == 0 || !has_next(left)) continue;
      Symbol& right = symbols_[left.next];
      if (left.n_bytes + right.n_bytes != best.n_bytes) continue;  // one of the two has grown since
      left.n_bytes += right.n_bytes;
      left.token = best.token;
      right.n_bytes = 0;
      left.next = right.next;
      if (has_next(left)) symbols_[left.next].previous = best.left;
      if (best.left != 0) offer(left.previous, join);
      offer(best.left, join);
    }
  }

  /// Calls take(symbol) for what is left, in text order.
  template <typename Take>
  void for_each(Take take) const {
    for (uint32_t i = 0; i < symbols_.size(); i = symbols_[i].next) take(symbols_[i]);
  }

 private:
  struct Candidate {
    uint32_t rank;
    uint32_t left;
    uint32_t n_bytes;  // of both together: says whether both are still as they were
    TokenId token;
  };
  struct Later {
    bool operator()(const Candidate& a, const Candidate& b) const {
      return a.rank != b.rank ? a.rank > b.rank : a.left > b.left;
    }
  };

  bool has_next(const Symbol& symbol) const { return symbol.next < symbols_.size(); }

  template <typename JoinRule>
  void offer(uint32_t left, const JoinRule& join) {
    if (!has_next(symbols_[left])) return;
    const Symbol& right = symbols_[symbols_[left].next];
    if (const std::optional<Join> joined = join(symbols_[left], right)) {
      queue_.push_back({joined->rank, left, symbols_[left].n_bytes + right.n_bytes, joined->token});
      std::push_heap(queue_.begin(), queue_.end(), Later());
    }
  }

  std::vector<Symbol> symbols_;
  std::vector<Candidate> queue_;
};

/// Remembers how the words of one text were encoded, so that each is worked out once. Direct-mapped: the
/// latest word with a hash stays. Lives as long as one call of encode(): tokenizers stay immutable and
/// lock-free.
class WordCache {
 public:
  /// For a text of `n_bytes`.
  explicit WordCache(size_t n_bytes) : slots_(std::bit_ceil(std::clamp<size_t>(n_bytes / 16, 16, 1 << 14))) {}

  /// Appends the tokens of `word`: from an earlier place in `tokens`, or as `encode(tokens)` appends them.
  template <typename Encode>
  void append(std::string_view word, std::vector<TokenId>& tokens, Encode encode) {
    if (word.size() > kLongest) return encode(tokens);
    Slot& slot = slots_[hash_text(word) & (slots_.size() - 1)];
    if (slot.word == word) {
      const size_t n_before = tokens.size();
      tokens.resize(n_before + slot.n_tokens);
      std::copy_n(tokens.begin() + static_cast<ptrdiff_t>(slot.first), slot.n_tokens,
                  tokens.begin() + static_cast<ptrdiff_t>(n_before));
      return;
    }
    const size_t first = tokens.size();
    encode(tokens);
    slot = {word, first, tokens.size() - first};
  }

 private:
  static constexpr size_t kLongest = 128;
  struct Slot {
    std::string_view word;  // into the text being encoded
    size_t first = 0;       // place of its tokens in the output
    size_t n_tokens = 0;
  };
  std::vector<Slot> slots_;
};

}  // namespace ruvllm::text
