#include "train/rows.h"

#include "base/error.h"
#include "base/utf8.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace ruvllm::train {
namespace {

/// Roles as data spells them, and as chat templates know them.
struct Role {
  std::string_view spelled, role;
};
constexpr Role kRoles[] = {
    {"system", "system"},   {"developer", "developer"}, {"user", "user"},       {"assistant", "assistant"},
    {"tool", "tool"},       {"human", "user"},          {"gpt", "assistant"},   {"chatgpt", "assistant"},
    {"model", "assistant"}, {"function", "function"},   {"ipython", "ipython"}, {"observation", "tool"},
};

const OrderedJson* find(const OrderedJson& object, std::string_view key) {
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string text_of(const OrderedJson& row, std::string_view key) {
  const OrderedJson* value = find(row, key);
  if (!value || !value->is_string()) throw Error(Errc::corrupt_file, "\"{}\" is no string", key);
  return value->get<std::string>();
}

std::string_view read_role(const OrderedJson& message) {
  const std::string spelled = text_of(message, message.contains("role") ? "role" : "from");
  for (const Role& row : kRoles)
    if (row.spelled == spelled) return row.role;
  throw Error(Errc::corrupt_file, "the role is \"{}\", expected system, user, assistant or tool",
              printable(spelled, 40));
}

// A list of parts is one text where all of them are text; a model of language reads nothing else.
OrderedJson read_content(const OrderedJson* content, bool may_lack) {
  if (!content) {
    if (may_lack) return {};
    throw Error(Errc::corrupt_file, "there is no content, and no tool call either");
  }
  if (content->is_string()) return *content;
  if (!content->is_array())
    throw Error(Errc::corrupt_file, "the content is neither a text nor a list of parts");
  std::string text;
  for (const OrderedJson& part : *content) {
    if (part.is_string()) {
      text += part.get<std::string>();
      continue;
    }
    const std::string type = part.is_object() ? text_of(part, "type") : "none";
    if (type != "text")
      throw Error(Errc::corrupt_file, "a part of the content is of the type \"{}\", expected text",
                  printable(type, 40));
    text += text_of(part, "text");
  }
  return text;
}

// Templates want the arguments of a call as an object; data often has them as a text that holds one.
void open_arguments(OrderedJson& calls) {
  if (!calls.is_array()) throw Error(Errc::corrupt_file, "\"tool_calls\" is no list");
  for (OrderedJson& call : calls) {
    OrderedJson& function = call.is_object() && call.contains("function") ? call["function"] : call;
    if (!function.is_object()) throw Error(Errc::corrupt_file, "a tool call is no object");
    if (function.contains("arguments") && function["arguments"].is_string())
      function["arguments"] = parse_ordered_json(function["arguments"].get<std::string>(), "arguments");
  }
}

bool read_weight(const OrderedJson& message) {
  const OrderedJson* weight = find(message, "weight");
  if (!weight) return true;
  if (*weight != 0 && *weight != 1)
    throw Error(Errc::corrupt_file, "the weight of a message is {}, expected 0 or 1", dump_json(*weight));
  return *weight == 1;
}

void add_message(const OrderedJson& said, bool is_learned, Conversation& conversation) {
  if (!said.is_object()) throw Error(Errc::corrupt_file, "expected an object with role and content");
  OrderedJson message;
  const std::string_view role = read_role(said);
  message["role"] = role;
  const bool has_calls = find(said, "tool_calls") && !said["tool_calls"].empty();
  message["content"] = read_content(find(said, said.contains("content") ? "content" : "value"), has_calls);
  for (const auto& [key, value] : said.items()) {
    const bool is_read =
        key == "role" || key == "from" || key == "content" || key == "value" || key == "weight";
    if (!is_read && !value.is_null()) message[key] = value;
  }
  if (has_calls)
    open_arguments(message["tool_calls"]);
  else
    message.erase("tool_calls");
  conversation.is_learned.push_back(is_learned && role == "assistant" && read_weight(said));
  conversation.messages.push_back(std::move(message));
}

void add_messages(const OrderedJson& row, std::string_view key, bool are_learned,
                  Conversation& conversation) {
  const OrderedJson* messages = find(row, key);
  if (!messages || !messages->is_array()) throw Error(Errc::corrupt_file, "\"{}\" is no list", key);
  size_t number = 0;
  for (const OrderedJson& message : *messages) {
    try {
      add_message(message, are_learned, conversation);
    } catch (const Error& error) {
      throw with_context(error, fmt::format("message {} of \"{}\"", number, key));
    }
    ++number;
  }
}

// What stands beside the messages of a row.
Conversation begin_conversation(const OrderedJson& row, std::string_view key) {
  Conversation conversation;
  if (const OrderedJson* tools = find(row, "tools"); tools && !tools->empty()) {
    conversation.tools = tools->is_string() ? parse_ordered_json(tools->get<std::string>(), "tools") : *tools;
    if (!conversation.tools->is_array()) throw Error(Errc::corrupt_file, "\"tools\" is no list");
  }
  const OrderedJson* messages = find(row, key);
  const bool has_system = messages && messages->is_array() && !messages->empty() &&
                          (*messages)[0].is_object() &&
                          ((*messages)[0].value("role", OrderedJson()) == "system" ||
                           (*messages)[0].value("from", OrderedJson()) == "system");
  if (const OrderedJson* system = find(row, "system"); system && !has_system && *system != "")
    add_message({{"role", "system"}, {"content", *system}}, false, conversation);
  return conversation;
}

Row read_text(const OrderedJson& row, bool) {
  return {.kind = Row::Kind::text, .text = text_of(row, "text")};
}

Row read_chain(const OrderedJson& row, bool) { return {.kind = Row::Kind::chain, .chain = row}; }

Row read_messages_of(const OrderedJson& row, std::string_view key) {
  Row read{.kind = Row::Kind::conversation, .conversation = begin_conversation(row, key)};
  add_messages(row, key, true, read.conversation);
  return read;
}
Row read_messages(const OrderedJson& row, bool) { return read_messages_of(row, "messages"); }
Row read_conversations(const OrderedJson& row, bool) { return read_messages_of(row, "conversations"); }

// Both may be lists of messages; then those of the completion are learned.
Row read_completion(const OrderedJson& row, bool) {
  if (!row["prompt"].is_array())
    return {
        .kind = Row::Kind::completion, .prompt = text_of(row, "prompt"), .text = text_of(row, "completion")};
  Row read{.kind = Row::Kind::conversation, .conversation = begin_conversation(row, "prompt")};
  add_messages(row, "prompt", false, read.conversation);
  add_messages(row, "completion", true, read.conversation);
  return read;
}

Row read_instruction(const OrderedJson& row, bool has_template) {
  std::string asked = text_of(row, "instruction");
  if (find(row, "input") && row["input"] != "") asked += "\n\n" + text_of(row, "input");
  if (const OrderedJson* history = find(row, "history"); history && !history->empty())
    throw Error(Errc::corrupt_file, "\"history\" of instructions is not read; write \"messages\"");
  if (has_template) {
    Row read{.kind = Row::Kind::conversation, .conversation = begin_conversation(row, "instruction")};
    add_message({{"role", "user"}, {"content", asked}}, false, read.conversation);
    add_message({{"role", "assistant"}, {"content", text_of(row, "output")}}, true, read.conversation);
    return read;
  }
  if (find(row, "system") && row["system"] != "")
    throw Error(Errc::corrupt_file, "\"system\" needs a chat template, and the model has none");
  return {.kind = Row::Kind::completion, .prompt = std::move(asked), .text = text_of(row, "output")};
}

/// A shape of rows: the keys that it must have (the second may be empty), and who reads it.
struct Shape {
  std::array<std::string_view, 2> keys;
  Row (*read)(const OrderedJson& row, bool has_template);
};
// Where a row has the keys of several, the first counts: what was rendered from messages often stands beside
// them.
constexpr Shape kShapes[] = {
    {{"messages", ""}, read_messages},
    {{"conversations", ""}, read_conversations},
    {{"prompt", "steps"}, read_chain},
    {{"prompt", "completion"}, read_completion},
    {{"instruction", "output"}, read_instruction},
    {{"text", ""}, read_text},
};

const Shape* find_shape(const OrderedJson& row) {
  if (!row.is_object()) return nullptr;
  for (const Shape& shape : kShapes)
    if (std::ranges::all_of(shape.keys,
                            [&](std::string_view key) { return key.empty() || row.contains(key); }))
      return &shape;
  return nullptr;
}

}  // namespace

bool has_known_shape(const OrderedJson& row) { return find_shape(row) != nullptr; }

Row read_row(const OrderedJson& row, bool has_template) {
  if (!row.is_object()) throw Error(Errc::corrupt_file, "expected an object");
  if (const Shape* shape = find_shape(row)) return shape->read(row, has_template);
  std::string found;
  for (const auto& [key, value] : row.items())
    found += fmt::format("{}\"{}\"", found.empty() ? "" : ", ", printable(key, 40));
  std::string wanted;
  for (const Shape& shape : kShapes) {
    if (!wanted.empty()) wanted += &shape == std::end(kShapes) - 1 ? " or " : ", ";
    wanted += fmt::format("\"{}\"", shape.keys[0]);
    if (!shape.keys[1].empty()) wanted += fmt::format(" and \"{}\"", shape.keys[1]);
  }
  throw Error(Errc::corrupt_file, "the row's keys are {}, expected {}",
              found.empty() ? "none" : printable(found, 300), wanted);
}

}  // namespace ruvllm::train
