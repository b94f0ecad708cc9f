// One generation from prompt tokens to finished text: prefill in chunks, decode, sample, stop strings that
// cross token borders, streaming. The scheduler for many sequences will call the same steps. Tested by
// tests/engine/.
#pragma once

#include "kv/kv_cache.h"
#include "model/model.h"
#include "sample/sampler.h"
#include "text/tokenizer.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::engine {

struct GenerationRequest {
  std::vector<text::TokenId> history;  ///< the tokens in the cache, for the repetition penalty
  std::vector<text::TokenId> prompt;
  int max_tokens = 256;
  bool ignore_eos = false;  ///< end tokens are text like any other
  std::vector<std::string> stop;
  sample::SamplingParameters sampling;
  uint32_t prefill_chunk = 512;  ///< tokens of the prompt fed in one pass; no bit of the answer depends on it
};

enum class FinishReason { stop, length, context, interrupted };
std::string_view finish_reason_name(FinishReason reason);

struct GenerationResult {
  std::string text;
  std::vector<text::TokenId> tokens;  ///< generated, without the end token
  FinishReason finish_reason = FinishReason::stop;
  double prefill_seconds = 0;  ///< to the first token
  double decode_seconds = 0;   ///< of the tokens after the first
};

/// Takes text that is certain: no stop string can begin in it, and no code point is cut.
using OnText = std::function<void(std::string_view)>;

class Generator {
 public:
  Generator(std::shared_ptr<const model::Model> model, std::shared_ptr<const text::Tokenizer> tokenizer,
            ThreadPool& pool);

  /// Answers `request`; its prompt follows the tokens already in `cache`. Afterwards the cache holds the
  /// prompt and the generated tokens but the last. Setting `cancel` ends the answer between two steps (and
  /// two chunks of the prompt). Throws Errc::usage for an empty prompt, and where prompt and cache don't fit
  /// together; Errc::corrupt_file where the model answers what is no number.
  GenerationResult generate(const GenerationRequest& request, kv::KvCache& cache, const OnText& on_text,
                            const std::atomic<bool>* cancel = nullptr);

 private:
  /// Feeds the prompt; the logits of its last token, or nothing where it was cancelled.
  std::span<float> prefill(const GenerationRequest& request, kv::KvCache& cache,
                           const std::atomic<bool>* cancel);
  std::span<float> step(std::span<const text::TokenId> tokens, kv::KvCache& cache, model::Answers answers);
  bool ends_turn(text::TokenId token) const;

  std::shared_ptr<const model::Model> model_;
  std::shared_ptr<const text::Tokenizer> tokenizer_;
  model::Runner runner_;
  std::vector<text::TokenId> forbidden_;  // never sampled
  std::vector<float> logits_;             // a copy that the sampler may change
};

}  // namespace ruvllm::engine
