#include "conversation.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"

#include <utility>

namespace ruvllm::chat {
namespace {

std::string reasoning_of(const Json& entry) {
  const auto found = entry.find("reasoning_content");
  return found != entry.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

void Conversation::say(std::string text) { messages_.push_back({"user", std::move(text), {}}); }

void Conversation::answered(std::string text, std::string reasoning) {
  messages_.push_back({"assistant", std::move(text), std::move(reasoning)});
}

bool Conversation::take_back_answer() {
  if (messages_.empty() || messages_.back().role == "user") return false;
  messages_.pop_back();
  return true;
}

bool Conversation::undo() {
  const bool had_answer = take_back_answer();
  if (messages_.empty()) return had_answer;
  messages_.pop_back();
  return true;
}

void Conversation::save(const std::filesystem::path& path, const std::string& system) const {
  OrderedJson list = OrderedJson::array();
  if (!system.empty()) list.push_back({{"role", "system"}, {"content", system}});
  for (const Message& message : messages_) {
    OrderedJson& entry = list.emplace_back(OrderedJson{{"role", message.role}, {"content", message.text}});
    if (!message.reasoning.empty()) entry["reasoning_content"] = message.reasoning;
  }
  write_file_atomically(path, dump_json(OrderedJson{{"messages", std::move(list)}}) + "\n");
}

void Conversation::load(const std::filesystem::path& path, std::string& system) {
  const Json document = parse_json(read_file(path, limits::kJsonFileBytes), path.string());
  const auto wrong = [&](std::string_view finding) {
    return Error(Errc::corrupt_file, "{}: {}", path.string(), finding);
  };
  if (!document.is_object() || !document.contains("messages") || !document["messages"].is_array())
    throw wrong("expected {\"messages\": [...]}");
  std::vector<Message> messages;
  std::string new_system;
  for (const Json& entry : document["messages"]) {
    if (!entry.is_object() || !entry.contains("role") || !entry.contains("content") ||
        !entry["role"].is_string() || !entry["content"].is_string())
      throw wrong("expected a role and a content, both text, in every message");
    const std::string role = entry["role"];
    if (role == "system" && messages.empty())
      new_system = entry["content"];
    else if (role == (messages.size() % 2 == 0 ? "user" : "assistant"))
      messages.push_back({role, entry["content"], reasoning_of(entry)});
    else
      throw wrong("expected user and assistant to take turns, after at most one system message");
  }
  messages_ = std::move(messages);
  system = std::move(new_system);
}

}  // namespace ruvllm::chat
