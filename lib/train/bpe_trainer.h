// Training a byte-level BPE vocabulary (Sennrich, Haddow and Birch 2016, over bytes as in GPT-2): starting
// from the 256 bytes, the most frequent neighbouring pair becomes a token, again and again. Equal counts are
// decided by the smaller pair of ids, so the same text gives the same vocabulary everywhere. Tested by
// tests/train/bpe_trainer_test.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace ruvllm::train {

struct BpeVocabulary {
  std::vector<std::string> tokens;  ///< raw bytes; ids 0 to 255 are the bytes themselves
  std::vector<std::pair<int32_t, int32_t>>
      merges;  ///< in order of rank: the pair that token 256 + i is made of
};

/// How often each pre-token (word with its leading space, number, run of punctuation) occurs.
using WordCounts = std::unordered_map<std::string, uint64_t>;

/// Learns up to n_tokens - 256 merges; stops early when no pair occurs twice. n_tokens >= 256.
BpeVocabulary train_bpe(const WordCounts& words, size_t n_tokens);

}  // namespace ruvllm::train
