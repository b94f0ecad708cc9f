// What is said in a chat: roles, parts of content, tool calls; and the JSON that chat templates see of it.
// Tested by tests/text/chat_message_test.cpp.
#pragma once

#include "base/json.h"

#include <optional>
#include <string>
#include <vector>

namespace ruvllm::text {

/// One call of a tool that a model asks for.
struct ToolCall {
  std::string id;  ///< empty where the model gives none
  std::string name;
  std::string arguments;  ///< a JSON object as text
  bool operator==(const ToolCall&) const = default;
};

/// A piece of content: text, or something else by its type ("image").
struct ContentPart {
  std::string type = "text";
  std::string text;
};

struct Message {
  std::string role;  ///< "system", "user", "assistant", "tool", ...
  std::vector<ContentPart> content = {};
  std::string reasoning = {};  ///< of an assistant, without its marks
  std::vector<ToolCall> tool_calls = {};
  std::string tool_call_id = {};  ///< of a tool's answer: the call it answers
  std::string name = {};          ///< of the tool
};

/// A message of plain text.
Message text_message(std::string role, std::string text);

/// A message as templates expect it (the shapes of Hugging Face's apply_chat_template): a lone text as a
/// string, arguments of tool calls as objects, what is empty left out. No content beside tool calls is null.
OrderedJson to_json(const Message& message);
OrderedJson to_json(const std::vector<Message>& messages);

}  // namespace ruvllm::text
