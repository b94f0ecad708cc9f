#include "engine/generate.h"

#include "base/error.h"
#include "engine/logits.h"
#include "engine/stop_strings.h"
#include "model/hparams.h"

#include <algorithm>
#include <chrono>

namespace ruvllm::engine {
namespace {

class Stopwatch {
 public:
  /// Seconds since the last call (or construction).
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(last_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

/// Text on its way out: tokens to whole code points, code points past stop strings, to the listener and the
/// result.
class Delivery {
 public:
  Delivery(std::shared_ptr<const text::Tokenizer> tokenizer, const std::vector<std::string>& stop,
           const OnText& on_text, std::string& text)
      : detokeniser_(std::move(tokenizer)), stop_(stop), on_text_(on_text), text_(text) {}

  /// False once a stop string is complete.
  bool push(text::TokenId token) {
    deliver(stop_.push(detokeniser_.push(token)));
    return !stop_.stopped();
  }

  /// The text ends here. False if its last bytes complete a stop string.
  bool finish() {
    deliver(stop_.push(detokeniser_.finish()));
    deliver(stop_.finish());
    return !stop_.stopped();
  }

 private:
  void deliver(const std::string& certain) {
    if (certain.empty()) return;
    text_ += certain;
    if (on_text_) on_text_(certain);
  }

  text::Detokeniser detokeniser_;
  StopStrings stop_;
  const OnText& on_text_;
  std::string& text_;
};

bool is_set(const std::atomic<bool>* cancel) { return cancel && cancel->load(std::memory_order_relaxed); }

void check_request(const GenerationRequest& request, const kv::KvCache& cache,
                   const model::HyperParameters& h) {
  if (!h.causal)
    throw Error(Errc::usage,
                "{}.attention.causal is false: this model reads texts whole and can't go on with them",
                h.arch->name);
  if (request.prompt.empty()) throw Error(Errc::usage, "the prompt has no tokens");
  if (request.max_tokens < 0)
    throw Error(Errc::usage, "max tokens is {}, expected 0 or more", request.max_tokens);
  RUVLLM_ASSERT(request.prefill_chunk > 0);
  const uint64_t wanted = uint64_t{cache.n_tokens()} + request.prompt.size();
  if (wanted > cache.capacity())
    throw Error(Errc::usage, "prompt and conversation are {} tokens, the context has room for {}", wanted,
                cache.capacity());
}

}  // namespace

std::string_view finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
      return "length";
    case FinishReason::context:
      return "context";
    case FinishReason::interrupted:
      return "interrupted";
  }
  RUVLLM_ASSERT(false);
}

Generator::Generator(std::shared_ptr<const model::Model> model,
                     std::shared_ptr<const text::Tokenizer> tokenizer, ThreadPool& pool)
    : model_(model),
      tokenizer_(std::move(tokenizer)),
      runner_(std::move(model), pool),
      forbidden_(
          text::forbidden_tokens(*tokenizer_, static_cast<text::TokenId>(model_->hparams().n_vocabulary))) {}

std::span<float> Generator::step(std::span<const text::TokenId> tokens, kv::KvCache& cache,
                                 model::Answers answers) {
  const model::Segment segment{tokens, &cache, answers};
  const std::span<const float> logits = runner_.forward({&segment, 1});
  logits_.assign(logits.begin(), logits.end());
  require_finite_logits(logits_, cache.n_tokens());
  return logits_;
}

std::span<float> Generator::prefill(const GenerationRequest& request, kv::KvCache& cache,
                                    const std::atomic<bool>* cancel) {
  std::span<const text::TokenId> rest = request.prompt;
  while (!is_set(cancel)) {
    const size_t n = std::min<size_t>(rest.size(), request.prefill_chunk);
    const bool is_last = n == rest.size();
    const std::span<float> logits =
        step(rest.first(n), cache, is_last ? model::Answers::last : model::Answers::none);
    if (is_last) return logits;
    rest = rest.subspan(n);
  }
  return {};
}

bool Generator::ends_turn(text::TokenId token) const {
  return std::ranges::find(tokenizer_->end_tokens(), token) != tokenizer_->end_tokens().end();
}

GenerationResult Generator::generate(const GenerationRequest& request, kv::KvCache& cache,
                                     const OnText& on_text, const std::atomic<bool>* cancel) {
  check_request(request, cache, model_->hparams());
  GenerationResult result;
  Delivery delivery(tokenizer_, request.stop, on_text, result.text);
  sample::Sampler sampler(request.sampling, static_cast<int32_t>(model_->hparams().n_vocabulary), forbidden_);

  Stopwatch watch;
  std::span<float> logits = prefill(request, cache, cancel);
  result.prefill_seconds = watch.lap();
  for (const text::TokenId token : request.history) sampler.accept(token);
  for (const text::TokenId token : request.prompt) sampler.accept(token);
  result.finish_reason = FinishReason::interrupted;
  while (!logits.empty()) {
    if (result.tokens.size() == static_cast<size_t>(request.max_tokens)) {
      result.finish_reason = FinishReason::length;
      break;
    }
    const text::TokenId token = sampler.sample(logits);
    if (!request.ignore_eos && ends_turn(token)) {
      result.finish_reason = FinishReason::stop;
      break;
    }
    sampler.accept(token);
    result.tokens.push_back(token);
    if (!delivery.push(token)) {
      result.finish_reason = FinishReason::stop;
      break;
    }
    if (result.tokens.size() == static_cast<size_t>(request.max_tokens)) continue;
    if (cache.n_tokens() == cache.capacity()) {
      result.finish_reason = FinishReason::context;
      break;
    }
    if (is_set(cancel)) break;
    logits = step({&token, 1}, cache, model::Answers::last);
  }
  if (!delivery.finish()) result.finish_reason = FinishReason::stop;
  result.decode_seconds = watch.lap();
  return result;
}

}  // namespace ruvllm::engine
