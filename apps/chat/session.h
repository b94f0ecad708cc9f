// One conversation with one model: the cache of keys and values, and what is in it.
//
// A prompt is always given whole. What it shares with what was fed before is not fed again, which changes
// nothing but the time: results never depend on where a prefix came from. Tested by tests/cli/chat_test.cpp
// and repl_test.cpp.
#pragma once

#include "cli/load_model.h"
#include "engine/generate.h"
#include "kv/kv_cache.h"
#include "options.h"
#include "prompt.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace ruvllm::chat {

class Session {
 public:
  Session(cli::LoadedModel loaded, const Options& options);

  const cli::LoadedModel& loaded() const { return loaded_; }
  const PromptMaker& prompts() const { return prompts_; }
  const kv::KvCache& cache() const { return *cache_; }

  /// Tokens of the last prompt that weren't in the cache yet.
  size_t n_fed() const { return n_fed_; }

  /// Answers. Throws Errc::usage where the prompt doesn't fit the context.
  engine::GenerationResult answer(engine::GenerationRequest request,
                                  const std::function<void(std::string_view)>& on_text,
                                  const std::atomic<bool>* cancel);

 private:
  cli::LoadedModel loaded_;
  PromptMaker prompts_;
  std::unique_ptr<kv::KvCache> cache_;
  engine::Generator generator_;
  size_t n_fed_ = 0;
  std::vector<text::TokenId> cached_;  ///< the tokens whose keys and values are in the cache
};

}  // namespace ruvllm::chat
