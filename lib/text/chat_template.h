// Chat templates: from a conversation to the text a model was trained to continue.
//
// A model brings its template with it, in its metadata or beside its weights, sometimes one more for tools;
// where it brings none, a built-in format stands in, with a warning. What a template can do (system prompts,
// tools, thinking) is found out by trying. The prompt tells apart what the template wrote from what users
// wrote, and encode_prompt() takes control tokens only in the former. Immutable after it is made; shared by
// threads. Tested by tests/text/chat_template_test.cpp.
#pragma once

#include "format/model_file.h"
#include "text/chat_message.h"
#include "text/jinja/eval.h"
#include "text/tokenizer.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ruvllm::text {

/// A rendered conversation.
using Prompt = jinja::Rendering;

/// What the tokenizer lends to templates; a token that it hasn't is undefined there.
struct TokenizerVariables {
  std::optional<std::string> bos_token;
  std::optional<std::string> eos_token;
  SpecialTexts others = {};
};

TokenizerVariables tokenizer_variables(const Tokenizer& tokenizer);

/// What is rendered: the variables that Hugging Face's templates know, and more by name.
struct ChatRequest {
  OrderedJson messages = OrderedJson::array();
  std::optional<OrderedJson> tools;
  bool add_generation_prompt = true;
  std::vector<jinja::Variable> variables;  ///< e.g. enable_thinking; they win over all others
  std::optional<std::tm> now;              ///< for strftime_now; nothing: the clock
};

struct ChatCapabilities {
  bool system_role = false;  ///< a system message appears in the prompt
  bool tools = false;        ///< offered tools do
  bool thinking = false;     ///< enable_thinking changes the prompt
  bool operator==(const ChatCapabilities&) const = default;
};

class ChatTemplate {
 public:
  /// A template by its text. `name` stands in messages; `tool_use` is taken in its place when tools are
  /// offered. Throws Errc::corrupt_file with line and column.
  ChatTemplate(std::string_view source, std::string_view name, TokenizerVariables variables,
               std::string_view tool_use = {});

  /// Throws Errc::usage where the template refuses the conversation, Errc::corrupt_file where it fails.
  Prompt render(const ChatRequest& request) const;

  const ChatCapabilities& capabilities() const { return capabilities_; }
  /// For the user, where the template is not the model's own; else empty.
  const std::string& warning() const { return warning_; }
  void set_warning(std::string warning) { warning_ = std::move(warning); }

 private:
  ChatCapabilities probe() const;

  std::unique_ptr<const jinja::Program> program_;
  std::unique_ptr<const jinja::Program> tool_use_;  // null: the same
  TokenizerVariables variables_;
  ChatCapabilities capabilities_;
  std::string warning_;
};

/// The template of a model: one of those that it brings (chat_template_sources.h), or the built-in format
/// that its vocabulary tells, or its name where that says it was made to chat. Nothing for a model that only
/// continues text. Of several it is "default", and "tool_use" where tools are offered; or the one called
/// `name`. Throws Errc::not_found where there is none of that name, or several and no default.
std::optional<ChatTemplate> load_chat_template(const format::ModelFile& model, const Tokenizer& tokenizer,
                                               std::string_view name = {});

/// A built-in format by name, or nothing; and all names.
std::optional<std::string_view> find_chat_format(std::string_view name);
std::vector<std::string_view> chat_format_names();

/// The conversation with its system message at the front of the first user message, for templates that know
/// no system role.
OrderedJson fold_system_message(const OrderedJson& messages);

/// Tokens of a prompt. Control tokens are taken where the template wrote them; written by a user they are
/// text.
std::vector<TokenId> encode_prompt(const Tokenizer& tokenizer, const Prompt& prompt);

}  // namespace ruvllm::text
