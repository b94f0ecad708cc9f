#include "text/chat_message.h"

#include "base/error.h"

namespace ruvllm::text {
namespace {

// Arguments that are no JSON object stay the text that the model wrote.
OrderedJson arguments_json(const std::string& arguments) {
  try {
    OrderedJson parsed = parse_ordered_json(arguments, "tool call");
    if (parsed.is_object()) return parsed;
  } catch (const Error&) {
    return arguments;
  }
  return arguments;
}

OrderedJson content_json(const Message& message) {
  if (message.content.empty()) return message.tool_calls.empty() ? OrderedJson("") : OrderedJson();
  if (message.content.size() == 1 && message.content[0].type == "text") return message.content[0].text;
  OrderedJson parts = OrderedJson::array();
  for (const ContentPart& part : message.content) {
    OrderedJson json = {{"type", part.type}};
    if (part.type == "text") json["text"] = part.text;
    parts.push_back(std::move(json));
  }
  return parts;
}

}  // namespace

Message text_message(std::string role, std::string text) {
  Message message;
  message.role = std::move(role);
  message.content.push_back({.type = "text", .text = std::move(text)});
  return message;
}

OrderedJson to_json(const Message& message) {
  OrderedJson json = {{"role", message.role}, {"content", content_json(message)}};
  if (!message.reasoning.empty()) json["reasoning_content"] = message.reasoning;
  if (!message.name.empty()) json["name"] = message.name;
  if (!message.tool_call_id.empty()) json["tool_call_id"] = message.tool_call_id;
  for (const ToolCall& call : message.tool_calls) {
    OrderedJson entry = {{"type", "function"},
                         {"function", {{"name", call.name}, {"arguments", arguments_json(call.arguments)}}}};
    if (!call.id.empty()) entry["id"] = call.id;
    json["tool_calls"].push_back(std::move(entry));
  }
  return json;
}

OrderedJson to_json(const std::vector<Message>& messages) {
  OrderedJson list = OrderedJson::array();
  for (const Message& message : messages) list.push_back(to_json(message));
  return list;
}

}  // namespace ruvllm::text
