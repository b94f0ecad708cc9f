// From what was said to the tokens that the model is fed: through the model's chat template, or, where it has
// none (or with --raw), the last text as it stands. Special tokens are only ever parsed in what the
// template's author or --raw wrote, never in what a user says. Tested by tests/cli/chat_test.cpp.
#pragma once

#include "cli/load_model.h"
#include "options.h"
#include "text/chat_template.h"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ruvllm::chat {

struct Message {
  std::string role;  ///< "user" or "assistant", in turns
  std::string text;
  std::string reasoning = {};  ///< of the assistant, before it spoke
};

/// What a model is fed.
struct PromptTokens {
  std::vector<text::TokenId> tokens;
  bool opens_reasoning = false;  ///< the template has begun the model's reasoning
};

class PromptMaker {
 public:
  /// Throws Errc::usage where --chat-format names none, corrupt_file where the model's template is wrong.
  PromptMaker(const cli::LoadedModel& loaded, const Options& options);

  bool uses_template() const { return template_ != nullptr; }

  /// The prompt that the next answer follows; the last message is the user's. Throws Errc::usage where there
  /// is a `system` text but no template to put it in.
  PromptTokens prompt(std::span<const Message> messages, const std::string& system) const;

 private:
  PromptTokens templated(std::span<const Message> messages, const std::string& system) const;

  std::shared_ptr<const text::Tokenizer> tokenizer_;
  bool raw_;
  std::shared_ptr<const text::ChatTemplate> template_;
};

/// cli::load_model(), and the model's chat template where it will be used.
cli::LoadedModel load_chat_model(const std::string& reference, const Options& options,
                                 const cli::CommonOptions& common);

}  // namespace ruvllm::chat
