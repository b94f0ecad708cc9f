#include "base/json.h"

#include "base/error.h"
#include "base/limits.h"

#include <doctest/doctest.h>

#include <string>

using namespace ruvllm;

namespace {

std::string refusal(const std::string& text) {
  try {
    parse_json(text, "a.json");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::corrupt_file);
    return error.what();
  }
  return "";
}

std::string nested(size_t depth, const std::string& open, const std::string& close) {
  std::string text;
  for (size_t i = 0; i < depth; ++i) text += open;
  text += "0";
  for (size_t i = 0; i < depth; ++i) text += close;
  return text;
}

}  // namespace

TEST_CASE("documents nest as deep as the limit and no deeper") {
  CHECK(refusal(nested(limits::kJsonDepth, "[", "]")).empty());
  CHECK(refusal(nested(limits::kJsonDepth, "{\"a\":", "}")).empty());
  CHECK(refusal(nested(limits::kJsonDepth + 1, "[", "]")) == "a.json: nested more than 64 deep");
  CHECK_FALSE(refusal(nested(limits::kJsonDepth + 1, "{\"a\":", "}")).empty());
  CHECK_FALSE(refusal(nested(1'000'000, "[", "]")).empty());
  CHECK_FALSE(refusal(std::string(1'000'000, '[')).empty());
}

TEST_CASE("depth counts what is open, not what was") {
  std::string text = "[";
  for (int i = 0; i < 1000; ++i) text += "[{}],";
  CHECK(refusal(text + "0]").empty());
}

TEST_CASE("mistakes are told with line and column, in one printable line") {
  CHECK(refusal("{\n  \"a\": 1,\n  oops\n}").starts_with("a.json: line 3, column 3: "));
  for (const std::string text :
       {"", "{", "[1,]", "nul", "\"\xff\"", "\"\n\"", "{\"a\" 1}", "NaN", "Infinity", "1e999", "[1] x"}) {
    const std::string message = refusal(text);
    CAPTURE(message);
    CHECK(message.starts_with("a.json: line "));
    for (const char c : message) CHECK((c >= ' ' && c <= '~'));
  }
}

TEST_CASE("the last of equal keys wins, and order can be kept") {
  CHECK(parse_json(R"({"b":1,"a":2,"b":3})", "x") == Json({{"a", 2}, {"b", 3}}));
  CHECK(dump_json(parse_ordered_json(R"({"b":1,"a":2})", "x")) == R"({"b":1,"a":2})");
}

TEST_CASE("any text can be printed") { CHECK(dump_json(Json("a\xff\n")) == "\"a\xEF\xBF\xBD\\n\""); }
