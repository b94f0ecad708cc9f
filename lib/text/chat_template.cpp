#include "text/chat_template.h"

#include "base/strings.h"
#include "base/utf8.h"
#include "text/chat_template_sources.h"
#include "text/jinja/parser.h"

#include <algorithm>
#include <array>
#include <map>

namespace ruvllm::text {
namespace {

struct ChatFormat {
  std::string_view name;
  std::string_view marker;
  std::string_view source;
};

constexpr std::array kFormats = {
#define CHAT_FORMAT(name, marker, source) ChatFormat{name, marker, source},
#include "text/chat_formats.def"
#undef CHAT_FORMAT
};

std::tm local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  return local;
}

// Whether a vocabulary is SentencePiece's of Llama's kind: the key says so, or tokens for bytes do.
bool is_sentencepiece(const format::ModelFile& model, const Tokenizer& tokenizer) {
  return model.folder.empty() ? model.metadata.string("tokenizer.ggml.model") == "llama"
                              : tokenizer.find("<0x0A>").has_value();
}

// The format that a vocabulary tells. Without any marker, for models that call themselves chat or instruct:
// llama2 with the vocabularies of its time, else chatml. Null for all others.
const ChatFormat* guess_format(const format::ModelFile& model, const Tokenizer& tokenizer) {
  for (const ChatFormat& format : kFormats)
    if (!format.marker.empty() && tokenizer.find(format.marker)) return &format;
  const std::string model_name = to_lower(model.metadata.string("general.name").value_or(""));
  if (model_name.find("chat") == std::string::npos && model_name.find("instruct") == std::string::npos)
    return nullptr;
  const bool is_old = is_sentencepiece(model, tokenizer);
  const std::string_view name = is_old ? "llama2" : "chatml";
  return &*std::find_if(kFormats.begin(), kFormats.end(),
                        [&](const ChatFormat& format) { return format.name == name; });
}

// What is asked for (empty: the default) is not among a model's templates.
[[noreturn]] void fail_without(std::string_view name, const std::map<std::string, std::string>& sources,
                               std::string_view model) {
  std::string names;
  for (const auto& [each, text] : sources) names += (names.empty() ? "" : ", ") + printable(each, 40);
  throw Error(Errc::not_found, "{} has no chat template \"{}\"; it has {}", model,
              name.empty() ? kDefaultTemplate : printable(name, 40), names.empty() ? "none" : names);
}

OrderedJson probe_message(std::string_view role, std::string_view content) {
  return {{"role", role}, {"content", content}};
}

}  // namespace

TokenizerVariables tokenizer_variables(const Tokenizer& tokenizer) {
  const auto spelling = [&](std::optional<TokenId> token) -> std::optional<std::string> {
    if (!token) return {};
    return std::string(tokenizer.spelling(*token));
  };
  return {.bos_token = spelling(tokenizer.bos()),
          .eos_token = spelling(tokenizer.eos()),
          .others = tokenizer.special_texts()};
}

ChatTemplate::ChatTemplate(std::string_view source, std::string_view name, TokenizerVariables variables,
                           std::string_view tool_use)
    : program_(jinja::parse(source, name)), variables_(std::move(variables)) {
  if (!tool_use.empty()) tool_use_ = jinja::parse(tool_use, fmt::format("{} (tool_use)", name));
  capabilities_ = probe();
}

Prompt ChatTemplate::render(const ChatRequest& request) const {
  std::vector<jinja::Variable> variables;
  const auto add = [&](std::string_view name, OrderedJson value, bool from_input) {
    variables.push_back({std::string(name), std::move(value), from_input});
  };
  add("messages", request.messages, true);
  if (request.tools) add("tools", *request.tools, true);
  add("add_generation_prompt", request.add_generation_prompt, false);
  if (variables_.bos_token) add("bos_token", *variables_.bos_token, false);
  if (variables_.eos_token) add("eos_token", *variables_.eos_token, false);
  for (const auto& [name, text] : variables_.others.named) add(name, text, false);
  if (!variables_.others.additional.empty())
    add("additional_special_tokens", variables_.others.additional, false);
  variables.insert(variables.end(), request.variables.begin(), request.variables.end());
  const jinja::Program& program = request.tools && tool_use_ ? *tool_use_ : *program_;
  return jinja::render(program, variables, request.now ? *request.now : local_time());
}

// Tries conversations with a word that no template has by itself. What fails isn't supported.
ChatCapabilities ChatTemplate::probe() const {
  constexpr std::string_view kWord = "ruvllmprobe";
  const auto try_render = [&](const ChatRequest& request) -> std::string {
    try {
      return render(request).text;
    } catch (const Error&) {
      return {};
    }
  };
  const OrderedJson user = OrderedJson::array({probe_message("user", "hello")});
  ChatCapabilities found;
  ChatRequest with_system;
  with_system.messages = OrderedJson::array({probe_message("system", kWord), probe_message("user", "hello")});
  found.system_role = try_render(with_system).find(kWord) != std::string::npos;

  ChatRequest with_tool;
  with_tool.messages = user;
  with_tool.tools =
      OrderedJson::array({{{"type", "function"},
                           {"function",
                            {{"name", kWord},
                             {"description", "A tool."},
                             {"parameters",
                              {{"type", "object"},
                               {"properties", {{"word", {{"type", "string"}, {"description", "A word."}}}}},
                               {"required", OrderedJson::array({"word"})}}}}}}});
  found.tools = try_render(with_tool).find(kWord) != std::string::npos;

  ChatRequest thinking;
  thinking.messages = user;
  thinking.variables = {{"enable_thinking", true, false}};
  ChatRequest not_thinking = thinking;
  not_thinking.variables[0].value = false;
  found.thinking = try_render(thinking) != try_render(not_thinking);
  return found;
}

std::optional<ChatTemplate> load_chat_template(const format::ModelFile& model, const Tokenizer& tokenizer,
                                               std::string_view name) {
  const std::map<std::string, std::string> sources = find_chat_templates(model);
  const auto find = [&](std::string_view wanted) {
    const auto found = sources.find(std::string(wanted));
    return found == sources.end() ? std::string_view() : std::string_view(found->second);
  };
  const std::string_view chosen = find(name.empty() ? kDefaultTemplate : name);
  if (!chosen.empty())
    return ChatTemplate(chosen, name.empty() ? "chat template" : fmt::format("chat template {}", name),
                        tokenizer_variables(tokenizer), name.empty() ? find("tool_use") : std::string_view());
  if (!name.empty() || !sources.empty()) fail_without(name, sources, model.source);
  const ChatFormat* format = guess_format(model, tokenizer);
  if (!format) return std::nullopt;
  ChatTemplate chat_template(format->source, fmt::format("built-in chat format {}", format->name),
                             tokenizer_variables(tokenizer));
  chat_template.set_warning(fmt::format(
      "the model has no chat template: assumed the format \"{}\", answers may be poor", format->name));
  return chat_template;
}

std::optional<std::string_view> find_chat_format(std::string_view name) {
  for (const ChatFormat& format : kFormats)
    if (format.name == name) return format.source;
  return {};
}

std::vector<std::string_view> chat_format_names() {
  std::vector<std::string_view> names;
  for (const ChatFormat& format : kFormats) names.push_back(format.name);
  return names;
}

OrderedJson fold_system_message(const OrderedJson& messages) {
  const bool folds = messages.size() >= 2 && messages[0].value("role", "") == "system" &&
                     messages[0].contains("content") && messages[0]["content"].is_string() &&
                     messages[1].value("role", "") == "user" && messages[1].contains("content") &&
                     messages[1]["content"].is_string();
  if (!folds) return messages;
  OrderedJson folded = messages;
  folded[1]["content"] =
      messages[0]["content"].get<std::string>() + "\n\n" + messages[1]["content"].get<std::string>();
  folded.erase(folded.begin());
  return folded;
}

std::vector<TokenId> encode_prompt(const Tokenizer& tokenizer, const Prompt& prompt) {
  return tokenizer.encode(prompt.text,
                          {.add_special = false, .parse_special = true, .literal = prompt.from_input});
}

}  // namespace ruvllm::text
