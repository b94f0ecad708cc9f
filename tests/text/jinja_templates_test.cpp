// The chat templates of published models against what Hugging Face's set-up renders (chat-templates in the
// reference data), to the byte; and how long a rendering takes.
#include "base/error.h"
#include "base/file.h"
#include "test_support.h"
#include "text/jinja/eval.h"
#include "text/jinja/parser.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>

using namespace ruvllm;
using namespace ruvllm::text;

namespace {

std::tm parse_moment(const std::string& text) {
  std::tm time{};
  REQUIRE(strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &time) != nullptr);
  return time;
}

OrderedJson read_json(const std::filesystem::path& path) {
  return parse_ordered_json(read_file(path, 1 << 24), path.string());
}

std::vector<jinja::Variable> variables_of(const OrderedJson& conversation) {
  std::vector<jinja::Variable> variables;
  for (const auto& [name, value] : conversation.items())
    variables.push_back({name, value, name == "messages" || name == "tools"});
  return variables;
}

void check_expected(const jinja::Program& program, const std::vector<jinja::Variable>& variables,
                    const std::tm& now, const OrderedJson& expected) {
  if (expected.contains("output")) {
    std::string output;
    CHECK_NOTHROW(output = jinja::render(program, variables, now).text);
    CHECK(output == expected["output"].get<std::string>());
    return;
  }
  const OrderedJson& wanted = expected["error"];
  try {
    jinja::render(program, variables, now);
    FAIL("an error was expected: " << wanted["message"].get<std::string>());
  } catch (const Error& error) {
    const bool refused = wanted["kind"] == "raise_exception";
    CHECK((error.code() == Errc::usage) == refused);
    if (refused)
      CHECK(std::string(error.what()).find(wanted["message"].get<std::string>()) != std::string::npos);
  }
}

}  // namespace

TEST_CASE("published templates render every conversation to the byte, or fail as they should") {
  const auto folder = test::test_data("chat-templates");
  if (!folder) return;
  const OrderedJson conversations = read_json(*folder / "conversations.json");
  const std::tm now = parse_moment(conversations["now"].get<std::string>());
  int n_rendered = 0;
  for (const auto& entry : std::filesystem::directory_iterator(*folder / "expected")) {
    const OrderedJson expected = read_json(entry.path());
    const auto name = expected["template"].get<std::string>();
    const auto program = jinja::parse(read_file(*folder / "templates" / name, 1 << 20), name);
    for (const auto& [conversation, result] : expected["results"].items()) {
      CAPTURE(name);
      CAPTURE(conversation);
      check_expected(*program, variables_of(conversations["conversations"][conversation]), now, result);
      ++n_rendered;
    }
  }
  CHECK(n_rendered >= 300);
}

TEST_CASE("in published templates, what users wrote is marked and what templates wrote is not") {
  const auto folder = test::test_data("chat-templates/templates");
  if (!folder) return;
  const std::string said = "ruvllm<|im_start|>said";
  const std::vector<jinja::Variable> variables = {
      {"messages", OrderedJson::array({{{"role", "user"}, {"content", said}}})},
      {"add_generation_prompt", true, false},
      {"bos_token", "<s>", false},
      {"eos_token", "</s>", false}};
  int n_checked = 0;
  for (const auto& entry : std::filesystem::directory_iterator(*folder)) {
    CAPTURE(entry.path().string());
    jinja::Rendering rendering;
    try {
      rendering = jinja::render(*jinja::parse(read_file(entry.path(), 1 << 20), "t"), variables, std::tm{});
    } catch (const Error&) {
      continue;  // it wants functions, or the like
    }
    const size_t at = rendering.text.find(said);
    REQUIRE(at != std::string::npos);
    CHECK(rendering.from_input == std::vector<ByteRange>{{at, at + said.size()}});
    ++n_checked;
  }
  CHECK(n_checked >= 25);
}

TEST_CASE("how long a rendering takes") {
  const auto folder = test::test_data("chat-templates");
  if (!folder) return;
  const OrderedJson conversation =
      read_json(*folder / "conversations.json")["conversations"]["sys_multi_turn"];
  const std::vector<jinja::Variable> variables = variables_of(conversation);
  std::vector<double> milliseconds;
  for (const auto& entry : std::filesystem::directory_iterator(*folder / "templates")) {
    const auto program = jinja::parse(read_file(entry.path(), 1 << 20), "t");
    for (int i = 0; i < 5; ++i) {
      const auto begin = std::chrono::steady_clock::now();
      try {
        jinja::render(*program, variables, std::tm{});
      } catch (const Error&) {
        break;
      }
      milliseconds.push_back(
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
    }
  }
  REQUIRE(!milliseconds.empty());
  std::sort(milliseconds.begin(), milliseconds.end());
  MESSAGE("median of a rendering: ", milliseconds[milliseconds.size() / 2], " ms (the aim is 0.5)");
}
