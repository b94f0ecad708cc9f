#include "text/reply_parse.h"

#include "base/random.h"
#include "test_support.h"

#include <doctest/doctest.h>

#include <chrono>

using namespace ruvllm;
using namespace ruvllm::text;

namespace {

// Parts as one line: "content" R"reasoning" name(arguments).
std::string shown(const std::vector<ReplyPart>& parts) {
  std::string text;
  for (const ReplyPart& part : parts) {
    if (!text.empty()) text += ' ';
    if (part.kind == ReplyPart::Kind::tool_call) {
      text += part.call.name + "(" + part.call.arguments + ")";
    } else {
      text += (part.kind == ReplyPart::Kind::reasoning ? "R\"" : "\"") + part.text + "\"";
    }
  }
  return text;
}

std::vector<ReplyPart> parse_in_pieces(std::string_view reply, const ReplyParser::Options& options,
                                       Random& random) {
  ReplyParser parser(options);
  std::vector<ReplyPart> all;
  const auto take = [&](std::vector<ReplyPart> parts) {
    for (ReplyPart& part : parts) {
      const bool joins =
          part.kind != ReplyPart::Kind::tool_call && !all.empty() && all.back().kind == part.kind;
      joins ? void(all.back().text += part.text) : all.push_back(std::move(part));
    }
  };
  while (!reply.empty()) {
    const size_t n_bytes = std::min<size_t>(1 + random.below(9), reply.size());
    take(parser.push(reply.substr(0, n_bytes)));
    reply.remove_prefix(n_bytes);
  }
  take(parser.finish());
  return all;
}

struct Row {
  const char* reply;
  const char* parts;
};

const Row kReplies[] = {
    {"", ""},
    {"Hello, [world] <b>!", "\"Hello, [world] <b>!\""},
    {"<think>\nhm\n</think>\n\nyes", "R\"hm\" \"yes\""},
    {"<think></think>yes", "\"yes\""},
    {"<think>no end\n", "R\"no end\n\""},
    {"a<think>b</think>c", "\"a\" R\"b\" \"c\""},
    {"[THINK]x[/THINK]y", "R\"x\" \"y\""},
    {"<seed:think>x</seed:think>y", "R\"x\" \"y\""},
    {"<thin", "\"<thin\""},
    {"<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>", "f({\"a\":1})"},
    {"Sure.\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>\n<tool_call>{\"name\":\"g\"}</"
     "tool_call>",
     "\"Sure.\n\" f({}) g({})"},
    {"<tool_call>{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}</tool_call>", "f({\"a\":1})"},
    {"<tool_call>{\"name\":\"f\"", "\"<tool_call>{\"name\":\"f\"\""},
    {"<tool_call>{\"name\":\"f\"}", "f({})"},
    {"<tool_call>nonsense</tool_call> x", "\"<tool_call>nonsense</tool_call> x\""},
    {"<tool_call>\n<function=f>\n<parameter=city>\nParis\n</parameter>\n<parameter=n>3</parameter>\n</"
     "function>\n"
     "</tool_call>",
     "f({\"city\":\"Paris\",\"n\":3})"},
    {"[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"a\": \"]\\\"\"}}, {\"name\": \"g\", \"arguments\": "
     "{}}] ok",
     "f({\"a\":\"]\\\"\"}) g({}) \"ok\""},
    {"[TOOL_CALLS]f[ARGS]{\"a\": [1]}", "f({\"a\":[1]})"},
    {"[TOOL_CALLS]f[ARGS]{\"a\": [1", "\"[TOOL_CALLS]f[ARGS]{\"a\": [1\""},
    {"functools[{\"name\": \"f\", \"arguments\": {}}]", "f({})"},
    {"functools[1, 2] are", "\"functools[1, 2] are\""},
    {"{\"name\": \"f\", \"parameters\": {\"a\": 1}}", "f({\"a\":1})"},
    {"<|python_tag|>{\"name\": \"f\", \"parameters\": {}}", "f({})"},
    {"{\"some\": \"json\"}", "\"{\"some\": \"json\"}\""},
    {"{ not json", "\"{ not json\""},
    {"<function=f>{\"a\": 1}</function>", "f({\"a\":1})"},
    {"<function=f>oops</function>", "\"<function=f>oops</function>\""},
    {"<think>a</think><tool_call>{\"name\":\"f\"}</tool_call>", "R\"a\" f({})"},
};

}  // namespace

TEST_CASE("replies of all families come apart, in one piece and in any pieces") {
  Random random(test::test_seed());
  for (const Row& row : kReplies) {
    CAPTURE(row.reply);
    CHECK(shown(parse_reply(row.reply, {})) == row.parts);
    for (int i = 0; i < 20; ++i) CHECK(shown(parse_in_pieces(row.reply, {}, random)) == row.parts);
  }
}

TEST_CASE("without tools, calls are content; reasoning may be open from the start") {
  const std::string call = "{\"name\":\"f\"}<tool_call>{\"name\":\"f\"}</tool_call>";
  CHECK(shown(parse_reply(call, {.parse_tools = false})) == "\"" + call + "\"");
  CHECK(shown(parse_reply("hm</think>yes", {.starts_in_reasoning = true})) == "R\"hm\" \"yes\"");
}

TEST_CASE("content streams: only what may be a mark waits") {
  ReplyParser parser({});
  CHECK(shown(parser.push("Hello <")) == "\"Hello \"");
  CHECK(shown(parser.push("b> f")) == "\"<b> \"");
  CHECK(shown(parser.push("oo")) == "\"foo\"");
  CHECK(parser.finish().empty());
}

TEST_CASE("a megabyte of marks and brackets takes linear time") {
  for (const std::string prefix : {"", "<think>"}) {
    for (const std::string unit :
         {"[", "{\"", "<tool_call>", "\\", "</tool_call>", "<think>", "<think></think>", "[TOOL_CALLS]",
          "[TOOL_CALLS]{}", "<tool_call>}</tool_call>", "functools[", "functools[]", "<function=", "<",
          "[TOOL_CALLS][ARGS]", "<tool_call><parameter=", "<think>\n", "\n"}) {
      CAPTURE(unit);
      std::string reply = prefix;
      while (reply.size() < 1'000'000) reply += unit;
      const auto begin = std::chrono::steady_clock::now();
      size_t n_told = 0;
      for (const ReplyPart& part : parse_reply(reply, {})) n_told += part.text.size();
      ReplyParser parser({});
      for (size_t at = 0; at < reply.size(); at += 5) parser.push(std::string_view(reply).substr(at, 5));
      parser.finish();
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
      CHECK(n_told <= reply.size());
      CHECK(took.count() < 10);  // linear: hundredths; quadratic: minutes
    }
  }
}
