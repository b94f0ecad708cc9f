// Look-up tables for vocabularies: spelling to id, and pair of numbers to a number.
//
// Both are flat open-addressing tables, filled once and then only read: a vocabulary of 150k tokens with 300k
// merges is ready in tens of milliseconds, and one look-up is about one cache miss. Tested by
// tests/text/lookup_test.cpp.
#pragma once

#include "base/error.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

namespace ruvllm::text {

/// Mixes 64 bits into 64 well-spread ones (the finaliser of MurmurHash3).
inline uint64_t mix_bits(uint64_t bits) {
  bits ^= bits >> 33;
  bits *= 0xff51afd7ed558ccdull;
  bits ^= bits >> 33;
  bits *= 0xc4ceb9fe1a85ec53ull;
  return bits ^ (bits >> 33);
}

/// A hash of a text, eight bytes at a time.
inline uint64_t hash_text(std::string_view text) {
  uint64_t hash = 0x9e3779b97f4a7c15ull ^ text.size();
  while (text.size() >= 8) {
    uint64_t word;
    std::memcpy(&word, text.data(), 8);
    hash = std::rotl(hash ^ (word * 0x87c37b91114253d5ull), 29) * 0x4cf5ad432745937full;
    text.remove_prefix(8);
  }
  uint64_t rest = 0;
  if (!text.empty()) std::memcpy(&rest, text.data(), text.size());
  return mix_bits(hash ^ (rest * 0x87c37b91114253d5ull));
}

/// Texts to ids. The texts are views: whoever fills the table keeps the bytes.
class TextTable {
 public:
  /// An empty table with room for `n_texts`.
  explicit TextTable(size_t n_texts = 0) : slots_(std::bit_ceil(n_texts * 3 / 2 + 2)) {}

  /// False where the text is there already: the first id stays.
  bool add(std::string_view text, uint32_t id) {
    RUVLLM_ASSERT(n_used_ + 1 < slots_.size());
    const uint64_t hash = hash_text(text);
    Slot& slot = slots_[slot_of(text, hash)];
    if (slot.tag != 0) return false;
    slot = {text, id, tag_of(hash)};
    ++n_used_;
    return true;
  }

  /// Brings the place of a text into the cache, for a find() soon.
  void prefetch(std::string_view text) const {
    __builtin_prefetch(&slots_[hash_text(text) & (slots_.size() - 1)]);
  }

  std::optional<uint32_t> find(std::string_view text) const {
    const Slot& slot = slots_[slot_of(text, hash_text(text))];
    return slot.tag != 0 ? std::optional(slot.id) : std::nullopt;
  }

 private:
  struct Slot {
    std::string_view text;
    uint32_t id = 0;
    uint32_t tag = 0;  // other bits of the hash than the place; 0: free. Spares most looks at texts elsewhere
  };

  static uint32_t tag_of(uint64_t hash) { return static_cast<uint32_t>(hash >> 32) | 1; }

  // The slot that holds the text, or the free one where it belongs.
  size_t slot_of(std::string_view text, uint64_t hash) const {
    size_t i = hash & (slots_.size() - 1);
    while (slots_[i].tag != 0 && (slots_[i].tag != tag_of(hash) || slots_[i].text != text))
      i = (i + 1) & (slots_.size() - 1);
    return i;
  }

  std::vector<Slot> slots_;
  size_t n_used_ = 0;
};

/// Pairs of numbers to pairs of numbers: merges (left, right) to (rank, merged), edges of a trie (node, byte)
/// to a node. Grows as it is filled.
class PairTable {
 public:
  struct Value {
    uint32_t first = 0;
    uint32_t second = 0;
  };

  explicit PairTable(size_t n_pairs = 0) : slots_(std::bit_ceil(n_pairs * 3 / 2 + 2)) {}

  /// False where the key is there already: the first value stays.
  bool add(uint32_t left, uint32_t right, Value value) {
    if ((n_used_ + 1) * 3 > slots_.size() * 2) grow();
    Slot& slot = slots_[slot_of(key_of(left, right))];
    if (slot.key != kEmpty) return false;
    slot = {key_of(left, right), value};
    ++n_used_;
    return true;
  }

  /// Brings the place of a pair into the cache, for an add() or find() soon.
  void prefetch(uint32_t left, uint32_t right) const {
    __builtin_prefetch(&slots_[mix_bits(key_of(left, right)) & (slots_.size() - 1)]);
  }

  /// The value of a pair, or null.
  const Value* find(uint32_t left, uint32_t right) const {
    const Slot& slot = slots_[slot_of(key_of(left, right))];
    return slot.key == kEmpty ? nullptr : &slot.value;
  }

  size_t n_pairs() const { return n_used_; }

 private:
  static constexpr uint64_t kEmpty =
      ~uint64_t{0};  // the pair (2^32-1, 2^32-1), which is no token and no node
  struct Slot {
    uint64_t key = kEmpty;
    Value value;
  };

  static uint64_t key_of(uint32_t left, uint32_t right) { return uint64_t{left} << 32 | right; }

  size_t slot_of(uint64_t key) const {
    size_t i = mix_bits(key) & (slots_.size() - 1);
    while (slots_[i].key != key && slots_[i].key != kEmpty) i = (i + 1) & (slots_.size() - 1);
    return i;
  }

  void grow() {
    std::vector<Slot> old(slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old)
      if (slot.key != kEmpty) slots_[slot_of(slot.key)] = slot;
  }

  std::vector<Slot> slots_;
  size_t n_used_ = 0;
};

/// A set of byte strings with ids that is walked byte by byte: prefixes of a text are found in one pass.
class Trie {
 public:
  static constexpr uint32_t kRoot = 0;

  /// False where the text is there already (the first id stays) or empty.
  bool add(std::string_view text, uint32_t id) {
    if (text.empty()) return false;
    uint32_t node = kRoot;
    for (const char c : text) {
      const auto byte = static_cast<uint8_t>(c);
      if (const auto* next = edges_.find(node, byte)) {
        node = next->first;
      } else {
        edges_.add(node, byte, {static_cast<uint32_t>(ids_.size()), 0});
        node = static_cast<uint32_t>(ids_.size());
        ids_.push_back(kNoId);
      }
    }
    if (ids_[node] != kNoId) return false;
    ids_[node] = id;
    return true;
  }

  /// The child of a node, or nothing.
  std::optional<uint32_t> step(uint32_t node, char byte) const {
    const auto* next = edges_.find(node, static_cast<uint8_t>(byte));
    return next ? std::optional(next->first) : std::nullopt;
  }

  /// The id of the text that ends in a node, or nothing.
  std::optional<uint32_t> id_at(uint32_t node) const {
    return ids_[node] == kNoId ? std::nullopt : std::optional(ids_[node]);
  }

  bool empty() const { return ids_.size() == 1; }

 private:
  static constexpr uint32_t kNoId = ~uint32_t{0};
  PairTable edges_;
  std::vector<uint32_t> ids_{kNoId};
};

}  // namespace ruvllm::text
