#include "train/rows.h"
#include "base/error.h"

#include <doctest/doctest.h>

using namespace ruvllm;
using namespace ruvllm::train;

namespace {

Row read(std::string_view json, bool has_template = true) {
  return read_row(parse_ordered_json(json, "JSON"), has_template);
}

std::string message_of(std::string_view json, bool has_template = true) {
  try {
    read(json, has_template);
  } catch (const Error& error) {
    CHECK(error.code() == Errc::corrupt_file);
    return error.what();
  }
  return "nothing was thrown";
}

// What one message becomes; its role is the assistant's.
OrderedJson message(const std::string& fields) {
  return read(R"({"messages":[{"role":"assistant",)" + fields + "}]}").conversation.messages[0];
}

}  // namespace

TEST_CASE("conversations of every shape become the same messages") {
  constexpr std::string_view kWanted =
      R"([{"role":"system","content":"S"},{"role":"user","content":"Q"},{"role":"assistant","content":"A"}])";
  constexpr std::string_view kShapes[] = {
      R"({"messages":[{"role":"system","content":"S"},{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]})",
      R"({"id":7,"conversations":[{"from":"system","value":"S"},{"from":"human","value":"Q"},{"from":"gpt","value":"A"}]})",
      R"({"system":"S","conversations":[{"from":"human","value":"Q"},{"from":"gpt","value":"A"}]})",
      R"({"text":"rendered","messages":[{"role":"system","content":[{"type":"text","text":"S"}]},{"role":"user","content":["Q"]},{"role":"assistant","content":"A","name":null}]})",
      R"({"prompt":[{"role":"system","content":"S"},{"role":"user","content":"Q"}],"completion":[{"role":"assistant","content":"A"}]})",
      R"({"instruction":"Q","input":"","output":"A","system":"S","text":"rendered"})",
  };
  for (const std::string_view shape : kShapes) {
    const Row row = read(shape);
    CHECK(row.kind == Row::Kind::conversation);
    CHECK(dump_json(row.conversation.messages) == kWanted);
    CHECK(row.conversation.is_learned == std::vector<bool>{false, false, true});
  }
}

TEST_CASE("only answers are learned, not those of a prompt, and none of weight 0") {
  const Row row =
      read(R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","weight":0},)"
           R"({"role":"user","content":"c"},{"role":"assistant","content":"d","weight":1}]})");
  CHECK(row.conversation.is_learned == std::vector<bool>{false, false, false, true});
  CHECK_FALSE(row.conversation.messages[1].contains("weight"));
  const Row asked =
      read(R"({"prompt":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},)"
           R"({"role":"user","content":"c"}],"completion":[{"role":"assistant","content":"d"}]})");
  CHECK(asked.conversation.is_learned == std::vector<bool>{false, false, false, true});
  CHECK(message_of(R"({"messages":[{"role":"assistant","content":"b","weight":0.5}]})").find("0 or 1") !=
        std::string::npos);
}

TEST_CASE("content may be null beside tool calls, whose arguments become an object") {
  const OrderedJson called = message(
      R"("content":null,"tool_calls":[{"type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}])");
  CHECK(called["content"].is_null());
  CHECK(called["tool_calls"][0]["function"]["arguments"] == OrderedJson{{"x", 1}});
  CHECK_FALSE(message(R"("content":"a","tool_calls":null)").contains("tool_calls"));
  CHECK(
      message_of(R"({"messages":[{"role":"assistant","content":null}]})").find("message 0 of \"messages\"") ==
      0);
  CHECK(message_of(R"({"messages":[{"role":"user","content":[{"type":"image_url"}]}]})").find("image_url") !=
        std::string::npos);
  const Row row = read(R"({"messages":[],"tools":[{"type":"function"}]})");
  CHECK(row.conversation.tools->size() == 1);
}

TEST_CASE("instructions are a completion where there is no template") {
  const Row row = read(R"({"instruction":"Add.","input":"1 + 1","output":"2"})", false);
  CHECK(row.kind == Row::Kind::completion);
  CHECK(row.prompt == "Add.\n\n1 + 1");
  CHECK(row.text == "2");
  CHECK(message_of(R"({"instruction":"Add.","output":"2","system":"S"})", false).find("chat template") !=
        std::string::npos);
  CHECK(message_of(R"({"instruction":"Add.","output":"2","history":[["a","b"]]})").find("history") !=
        std::string::npos);
}

TEST_CASE("what is no row that is known is refused by what it has and what is wanted") {
  const std::string unknown = message_of(R"({"question":"Q","response":"A"})");
  CHECK(unknown.find(R"("question", "response")") != std::string::npos);
  CHECK(unknown.find(R"("prompt" and "completion")") != std::string::npos);
  CHECK(message_of(R"({"prompt":"Q","chosen":"A"})").find(R"("prompt", "chosen")") != std::string::npos);
  CHECK(message_of("[1]").find("expected an object") != std::string::npos);
  CHECK(message_of(R"({"messages":[{"role":"narrator","content":"x"}]})").find("\"narrator\"") !=
        std::string::npos);
  CHECK(message_of(R"({"text":null})").find("\"text\" is no string") != std::string::npos);
  CHECK(message_of(R"({"prompt":"Q","completion":7})").find("\"completion\" is no string") !=
        std::string::npos);
}
