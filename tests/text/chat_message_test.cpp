#include "text/chat_message.h"

#include <doctest/doctest.h>

using namespace ruvllm;
using namespace ruvllm::text;

TEST_CASE("a message of plain text is a role and a string") {
  CHECK(dump_json(to_json(text_message("user", "hi"))) == R"({"role":"user","content":"hi"})");
}

TEST_CASE("several parts of content stay parts, and pictures show their place") {
  Message message{.role = "user", .content = {{"text", "look: "}, {"image", ""}}};
  CHECK(dump_json(to_json(message)) ==
        R"({"role":"user","content":[{"type":"text","text":"look: "},{"type":"image"}]})");
}

TEST_CASE(
    "arguments of calls are objects where they can be, and content beside calls is null where there is "
    "none") {
  Message message{.role = "assistant"};
  message.tool_calls = {{"id1", "f", R"({"b":1,"a":[2]})"}, {"", "g", "not json"}, {"", "h", "[1]"}};
  CHECK(dump_json(to_json(message)) ==
        R"({"role":"assistant","content":null,"tool_calls":[)"
        R"({"type":"function","function":{"name":"f","arguments":{"b":1,"a":[2]}},"id":"id1"},)"
        R"({"type":"function","function":{"name":"g","arguments":"not json"}},)"
        R"({"type":"function","function":{"name":"h","arguments":"[1]"}}]})");
}

TEST_CASE("reasoning and tool names come along, a conversation is a list") {
  Message answer{.role = "tool", .content = {{"text", "21"}}, .tool_call_id = "id1", .name = "f"};
  Message thought{.role = "assistant", .content = {{"text", "ok"}}, .reasoning = "hm"};
  CHECK(dump_json(to_json(std::vector<Message>{answer, thought})) ==
        R"([{"role":"tool","content":"21","name":"f","tool_call_id":"id1"},)"
        R"({"role":"assistant","content":"ok","reasoning_content":"hm"}])");
}
