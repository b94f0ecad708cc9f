#include "session.h"

#include "base/error.h"
#include "model/hparams.h"

#include <algorithm>
#include <utility>

namespace ruvllm::chat {

Session::Session(cli::LoadedModel loaded, const Options& options)
    : loaded_(std::move(loaded)),
      prompts_(loaded_, options),
      cache_(kv::make_contiguous_cache(
          loaded_.model->kv_shape(options.kv_format, options.kv_format),
          options.n_context ? options.n_context : loaded_.model->hparams().n_context)),
      generator_(loaded_.model, loaded_.tokenizer, *loaded_.pool) {}

engine::GenerationResult Session::answer(engine::GenerationRequest request,
                                         const std::function<void(std::string_view)>& on_text,
                                         const std::atomic<bool>* cancel) {
  std::vector<text::TokenId> prompt = std::move(request.prompt);
  if (prompt.empty()) throw Error(Errc::usage, "the prompt is empty, and this model opens no text by itself");
  if (prompt.size() > cache_->capacity())
    throw Error(Errc::usage,
                "the prompt has {} tokens, the context has room for {}; make it larger with --ctx",
                prompt.size(), cache_->capacity());
  const auto differs = std::mismatch(prompt.begin(), prompt.end(), cached_.begin(), cached_.end()).first;
  const auto n_shared = std::min<size_t>(static_cast<size_t>(differs - prompt.begin()), prompt.size() - 1);
  cache_->truncate(static_cast<uint32_t>(n_shared));
  request.history.assign(prompt.begin(), prompt.begin() + static_cast<ptrdiff_t>(n_shared));
  request.prompt.assign(prompt.begin() + static_cast<ptrdiff_t>(n_shared), prompt.end());
  n_fed_ = request.prompt.size();
  cached_.clear();  // unknown, should generate() throw
  engine::GenerationResult result = generator_.generate(request, *cache_, on_text, cancel);
  cached_ = std::move(prompt);
  cached_.insert(cached_.end(), result.tokens.begin(), result.tokens.end());
  cached_.resize(std::min<size_t>(cached_.size(), cache_->n_tokens()));
  cache_->truncate(static_cast<uint32_t>(cached_.size()));
  return result;
}

}  // namespace ruvllm::chat
