#include "train/bpe_trainer.h"

#include "base/error.h"

#include <algorithm>
#include <map>
#include <queue>
#include <set>

namespace ruvllm::train {
namespace {

using Pair = std::pair<int32_t, int32_t>;

struct Word {
  std::vector<int32_t> ids;
  uint64_t count;
};

struct Candidate {
  uint64_t count;
  Pair pair;
  // A heap gives the largest: more frequent first, then the smaller pair.
  bool operator<(const Candidate& other) const {
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

class Trainer {
 public:
  explicit Trainer(const WordCounts& words) {
    std::vector<std::pair<std::string, uint64_t>> sorted(words.begin(), words.end());
    std::sort(sorted.begin(), sorted.end());
    for (const auto& [text, count] : sorted) {
      Word word{{}, count};
      for (const char c : text) word.ids.push_back(static_cast<uint8_t>(c));
      words_.push_back(std::move(word));
    }
    for (size_t w = 0; w < words_.size(); ++w)
      for (size_t i = 0; i + 1 < words_[w].ids.size(); ++i)
        change({words_[w].ids[i], words_[w].ids[i + 1]}, w, static_cast<int64_t>(words_[w].count));
    for (const auto& [pair, count] : counts_) heap_.push({count, pair});
  }

  // The most frequent pair, or false where none occurs twice. The heap holds outdated counts, which are put
  // right when they come up.
  bool next(Pair& pair) {
    while (!heap_.empty()) {
      const Candidate top = heap_.top();
      heap_.pop();
      const auto found = counts_.find(top.pair);
      const uint64_t count = found == counts_.end() ? 0 : found->second;
      if (count != top.count) {
        if (count > 1) heap_.push({count, top.pair});
        continue;
      }
      if (count < 2) return false;
      pair = top.pair;
      return true;
    }
    return false;
  }

  void merge(const Pair& pair, int32_t token) {
    std::set<Pair> touched;
    const std::set<size_t> where = std::move(where_[pair]);
    for (const size_t w : where) {
      Word& word = words_[w];
      const auto count = static_cast<int64_t>(word.count);
      std::vector<int32_t> merged;
      for (size_t i = 0; i + 1 < word.ids.size(); ++i) change({word.ids[i], word.ids[i + 1]}, w, -count);
      for (size_t i = 0; i < word.ids.size(); ++i) {
        const bool is_here =
            i + 1 < word.ids.size() && word.ids[i] == pair.first && word.ids[i + 1] == pair.second;
        merged.push_back(is_here ? token : word.ids[i]);
        if (is_here) ++i;
      }
      word.ids = std::move(merged);
      for (size_t i = 0; i + 1 < word.ids.size(); ++i) {
        const Pair now{word.ids[i], word.ids[i + 1]};
        change(now, w, count);
        if (now.first == token || now.second == token) touched.insert(now);
      }
    }
    for (const Pair& fresh : touched) heap_.push({counts_[fresh], fresh});
  }

 private:
  void change(const Pair& pair, size_t word, int64_t by) {
    uint64_t& count = counts_[pair];
    count += static_cast<uint64_t>(by);
    if (count == 0) counts_.erase(pair);
    if (by > 0) where_[pair].insert(word);
  }

  std::vector<Word> words_;
  std::map<Pair, uint64_t> counts_;
  std::map<Pair, std::set<size_t>> where_;  // words that hold (or once held) the pair
  std::priority_queue<Candidate> heap_;
};

}  // namespace

BpeVocabulary train_bpe(const WordCounts& words, size_t n_tokens) {
  RUVLLM_ASSERT(n_tokens >= 256);
  BpeVocabulary vocabulary;
  for (int byte = 0; byte < 256; ++byte) vocabulary.tokens.emplace_back(1, static_cast<char>(byte));
  Trainer trainer(words);
  for (Pair pair; vocabulary.tokens.size() < n_tokens && trainer.next(pair);) {
    const auto token = static_cast<int32_t>(vocabulary.tokens.size());
    vocabulary.tokens.push_back(vocabulary.tokens[static_cast<size_t>(pair.first)] +
                                vocabulary.tokens[static_cast<size_t>(pair.second)]);
    vocabulary.merges.push_back(pair);
    trainer.merge(pair, token);
  }
  return vocabulary;
}

}  // namespace ruvllm::train
