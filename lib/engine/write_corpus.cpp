#include "engine/write_corpus.h"

#include "base/error.h"
#include "base/random.h"
#include "engine/logits.h"
#include "kv/kv_cache.h"
#include "model/hparams.h"
#include "sample/sampler.h"

#include <algorithm>
#include <optional>

namespace ruvllm::engine {
namespace {

sample::SamplingParameters sampling_of(uint64_t number, uint64_t seed) {
  sample::SamplingParameters sampling;
  sampling.temperature = kCorpusTemperatures[number % std::size(kCorpusTemperatures)];
  sampling.top_p = 1.0f;
  sampling.repeat_penalty = 1.0f;
  sampling.seed = seed;
  return sampling;
}

/// A sequence that is being written.
struct Writer {
  uint64_t number;
  std::vector<text::TokenId> tokens;
  std::unique_ptr<kv::KvCache> cache;
  sample::Sampler sampler;
};

class Corpus {
 public:
  Corpus(const std::shared_ptr<const model::Model>& model, const text::Tokenizer& tokenizer, ThreadPool& pool,
         const CorpusOptions& options)
      : tokenizer_(tokenizer),
        options_(options),
        runner_(model, pool),
        n_vocabulary_(static_cast<int32_t>(model->hparams().n_vocabulary)),
        forbidden_(text::forbidden_tokens(tokenizer, n_vocabulary_)),
        capacity_(std::min(options.sequence_tokens, model->hparams().n_context)) {}

  std::vector<std::vector<text::TokenId>> write() {
    // Sequences are finished in any order and counted in theirs: the corpus is the first ones that together
    // have enough tokens, however many were written side by side.
    while (n_in_order_ < options_.n_tokens) {
      while (writers_.size() < options_.n_parallel) writers_.push_back(start(n_started_++));
      step();
      if (options_.progress) options_.progress(std::min(n_in_order_, options_.n_tokens), options_.n_tokens);
    }
    sequences_.resize(n_counted_);
    std::vector<std::vector<text::TokenId>> corpus;
    for (auto& sequence : sequences_) corpus.push_back(std::move(*sequence));
    return corpus;
  }

 private:
  Writer start(uint64_t number) {
    const Random random = Random(options_.seed).split(number);
    const text::TokenId first =
        tokenizer_.bos() ? *tokenizer_.bos()
                         : static_cast<text::TokenId>(random.split(0).below(
                               static_cast<uint64_t>(std::min(n_vocabulary_, tokenizer_.n_tokens()))));
    return {
        number,
        {first},
        kv::make_contiguous_cache(runner_.model().kv_shape(kv::KvFormat::q16, kv::KvFormat::q16), capacity_),
        sample::Sampler(sampling_of(number, random.split(1).next()), n_vocabulary_, forbidden_)};
  }

  // One more token for every sequence.
  void step() {
    std::vector<model::Segment> segments;
    for (Writer& writer : writers_)
      segments.push_back({std::span(writer.tokens).last(1), writer.cache.get(), model::Answers::last});
    const std::span<const float> logits = runner_.forward(segments);
    for (size_t i = 0; i < writers_.size(); ++i) {
      const auto row =
          logits.subspan(i * static_cast<size_t>(n_vocabulary_), static_cast<size_t>(n_vocabulary_));
      require_finite_logits(row, writers_[i].tokens.size());
      row_.assign(row.begin(), row.end());
      writers_[i].tokens.push_back(writers_[i].sampler.sample(row_));
    }
    std::erase_if(writers_, [&](Writer& writer) { return finish(writer); });
  }

  bool finish(Writer& writer) {
    const auto ends = tokenizer_.end_tokens();
    const text::TokenId last = writer.tokens.back();
    // A text that ends is followed by the beginning of the next, where the model learned it so.
    const bool is_end = std::ranges::find(ends, last) != ends.end() || tokenizer_.bos() == last;
    if (!is_end && writer.tokens.size() <= capacity_) return false;
    sequences_.resize(std::max<size_t>(sequences_.size(), writer.number + 1));
    sequences_[writer.number] = std::move(writer.tokens);
    while (n_in_order_ < options_.n_tokens && n_counted_ < sequences_.size() && sequences_[n_counted_])
      n_in_order_ += sequences_[n_counted_++]->size();
    return true;
  }

  const text::Tokenizer& tokenizer_;
  const CorpusOptions& options_;
  model::Runner runner_;
  int32_t n_vocabulary_;
  std::vector<text::TokenId> forbidden_;
  uint32_t capacity_;
  std::vector<Writer> writers_;
  std::vector<float> row_;
  std::vector<std::optional<std::vector<text::TokenId>>> sequences_;  // by number; those finished
  uint64_t n_started_ = 0, n_counted_ = 0, n_in_order_ = 0;
};

}  // namespace

std::vector<std::vector<text::TokenId>> write_corpus(const std::shared_ptr<const model::Model>& model,
                                                     const text::Tokenizer& tokenizer, ThreadPool& pool,
                                                     const CorpusOptions& options) {
  RUVLLM_ASSERT(options.sequence_tokens >= 2 && options.n_parallel >= 1);
  return Corpus(model, tokenizer, pool, options).write();
}

}  // namespace ruvllm::engine
