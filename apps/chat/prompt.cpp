#include "prompt.h"

#include "base/error.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "text/prompt_tokens.h"
#include "text/reply_parse.h"

#include <utility>

namespace ruvllm::chat {
namespace {

text::ChatTemplate built_in_template(const std::string& name, const text::Tokenizer& tokenizer) {
  if (const auto source = text::find_chat_format(name))
    return {*source, "chat format " + name, text::tokenizer_variables(tokenizer)};
  std::vector<std::string> names;
  for (const std::string_view known : text::chat_format_names()) names.emplace_back(known);
  const auto nearest = nearest_match(name, names);
  std::string list;
  for (const std::string& known : names) list += (list.empty() ? "" : ", ") + known;
  throw Error(Errc::usage, "--chat-format: there is no '{}'; {}", printable(name),
              nearest ? "did you mean " + *nearest + "?" : "choose one of " + list);
}

}  // namespace

PromptMaker::PromptMaker(const cli::LoadedModel& loaded, const Options& options)
    : tokenizer_(loaded.tokenizer), raw_(options.raw) {
  if (raw_) return;
  template_ =
      options.chat_format.empty()
          ? loaded.chat_template
          : std::make_shared<const text::ChatTemplate>(built_in_template(options.chat_format, *tokenizer_));
}

cli::LoadedModel load_chat_model(const std::string& reference, const Options& options,
                                 const cli::CommonOptions& common) {
  cli::LoadedModel loaded = cli::load_model(reference, common, options.quantize_on_load);
  if (!options.raw && options.chat_format.empty()) cli::add_chat_template(loaded, common);
  return loaded;
}

PromptTokens PromptMaker::prompt(std::span<const Message> messages, const std::string& system) const {
  RUVLLM_ASSERT(!messages.empty() && messages.back().role == "user");
  if (template_) return templated(messages, system);
  if (!system.empty())
    throw Error(Errc::usage, "a system text needs a chat template, and {}; --chat-format gives one",
                raw_ ? "--raw uses none" : "this model has none");
  return {text::plain_prompt_tokens(*tokenizer_, messages.back().text, raw_)};
}

PromptTokens PromptMaker::templated(std::span<const Message> messages, const std::string& system) const {
  text::ChatRequest request;
  if (!system.empty()) request.messages.push_back({{"role", "system"}, {"content", system}});
  for (const Message& message : messages) {
    OrderedJson& said =
        request.messages.emplace_back(OrderedJson{{"role", message.role}, {"content", message.text}});
    if (!message.reasoning.empty()) said["reasoning_content"] = message.reasoning;
  }
  const text::Prompt rendered = text::render_prompt(*template_, std::move(request));
  return {text::prompt_tokens(*tokenizer_, rendered), text::ReplyParser::opens_reasoning(rendered.text)};
}

}  // namespace ruvllm::chat
