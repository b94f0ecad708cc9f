#include "train/data_file.h"
#include "base/error.h"
#include "base/file.h"
#include "test_support.h"

#include <doctest/doctest.h>

using namespace ruvllm;
using namespace ruvllm::train;

namespace {

struct Read {
  bool has_rows;
  std::vector<std::string> texts;  // of the rows
};

Read read(const char* name, std::string_view content) {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / name, content);
  const DataFile file(folder / name);
  Read result{file.has_rows(), {}};
  file.for_each_row(
      [&](const OrderedJson& row) { result.texts.push_back(row.at("text").get<std::string>()); });
  if (!result.has_rows) CHECK(file.text() == content);
  return result;
}

std::string message_of(const char* name, std::string_view content) {
  try {
    read(name, content);
  } catch (const Error& error) {
    CHECK(error.code() == Errc::corrupt_file);
    return error.what();
  }
  return "nothing was thrown";
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("rows are read in every form and under every name") {
  constexpr const char* kNames[] = {"d.jsonl", "d.JSONL", "d.ndjson", "d.json",
                                    "d.Json",  "d.txt",   "d",        "d.jsonl.gz"};
  constexpr std::string_view kForms[] = {
      "{\"text\":\"a, ]\"}\n\n{\"text\":\"b\"}\n",
      "\xEF\xBB\xBF{\"text\":\"a, ]\"}\r\n{\"text\":\"b\"}\r\n",
      "[{\"text\":\"a, ]\"},{\"text\":\"b\"}]",
      " [\n  {\n    \"text\": \"a, ]\"\n  },\n  {\n    \"text\": \"b\"\n  }\n]\n",
  };
  for (const char* name : kNames)
    for (const std::string_view form : kForms) {
      CAPTURE(name);
      CAPTURE(form);
      CHECK(read(name, form).texts == std::vector<std::string>{"a, ]", "b"});
    }
  CHECK(read("d.json", "{\n\"text\":\n\"a\"}").texts == std::vector<std::string>{"a"});
  CHECK(read("d.json", "{\"text\":\"\\\"}\"}").texts == std::vector<std::string>{"\"}"});
  CHECK(read("d.json", "[]").texts.empty());
}

TEST_CASE("text in braces and brackets that is no row stays text") {
  for (const std::string_view text :
       {"[1] A footnote.", "{ int x; }", "[1, 2, 3]", "{\"x\": 1}\n", "[", "", "Once."}) {
    CAPTURE(text);
    CHECK_FALSE(read("d.txt", text).has_rows);
  }
}

TEST_CASE("what is wrong in rows is named by file and line") {
  CHECK(has(message_of("d.jsonl", "{\"text\":\"a\"}\n{\"text\":"), "d.jsonl:2"));
  CHECK(has(message_of("d.jsonl", "once upon a time"), "d.jsonl:1"));
  CHECK(has(message_of("d.json", "[{\"text\":\"a\"},\n\n{\"text\" \"b\"}]"), "d.json:3"));
  CHECK(has(message_of("d.json", "[{\"text\":\"a\"}"), "ends in the middle"));
  CHECK(has(message_of("d.json", "[{\"text\":\"a\"}]\n[1]"), "d.json:2: there is more"));
  CHECK(has(message_of("d.json", "[{\"text\":\"a\"},,1]"), "is missing"));
  CHECK(has(message_of("d.csv", "a,b\n1,2\n"), "a table"));
  CHECK(has(message_of("d.jsonl", std::string_view("GGUF\3\0\0\0", 8)), "a GGUF model"));
}
