// The conversation, as a person at a terminal sees it.
#include <doctest/doctest.h>

#include <chrono>
#include <thread>

#include "base/file.h"
#include "base/json.h"
#include "cli/process.h"
#include "cli/stories_folder.h"
#include "test_support.h"

#include <string>

using ruvllm::Json;
using ruvllm::parse_json;
using ruvllm::read_file;
using ruvllm::test::has_terminal;
using ruvllm::test::Launch;
using ruvllm::test::run_as;
using ruvllm::test::Running;
using ruvllm::test::TemporaryFolder;
using ruvllm::test::test_data;

namespace {

Launch talk(const std::string& model, const TemporaryFolder& home) {
  Launch launch;
  launch.arguments = {"chat", model, "--temp", "0",    "--repeat-penalty", "1", "--kv-type",
                      "f32",  "-n",  "20",     "--raw"};
  launch.environment = {{"HOME", home.path()}, {"NO_COLOR", "1"}};
  launch.folder = home.path();
  return launch;
}

constexpr const char* kAnswer = ", there was a little girl named";

}  // namespace

TEST_CASE("a conversation answers, takes commands, and ends with Ctrl-D") {
  if (!has_terminal()) return;
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const TemporaryFolder home;
  Running talking(talk(*model, home), true);
  REQUIRE(talking.wait_for("/help shows the commands"));
  REQUIRE(talking.wait_for("> "));
  talking.type("Once upon a time\r");
  CHECK(talking.wait_for(kAnswer));
  talking.type("/retry\r");
  CHECK(talking.wait_for(kAnswer));
  talking.type("/set max-tokens 3\r/show\r");
  CHECK(talking.wait_for("max-tokens      3"));
  talking.type("/set temp x\r");
  CHECK(talking.wait_for("--temp: 'x' is not a number"));
  talking.type("/set tmp 1\r");
  CHECK(talking.wait_for("unknown option --tmp; did you mean --temp?"));
  talking.type("/hlep\r");
  CHECK(talking.wait_for("did you mean /help?"));
  talking.type("/st\t\r");
  CHECK(talking.wait_for("peak memory"));
  talking.type("\"\"\"Once upon\ra time\"\"\"\r");
  CHECK(talking.wait_for("(cut off"));
  talking.type("/save talk.json\r");
  CHECK(talking.wait_for("4 messages saved"));
  talking.type("/undo\r");
  CHECK(talking.wait_for("Taken back."));
  talking.type("/load talk.json\r");
  CHECK(talking.wait_for("4 messages loaded"));
  talking.type("/load nothing.json\r");
  CHECK(talking.wait_for("nothing.json: No such file"));
  REQUIRE(talking.wait_for("> "));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  talking.type("\x04");
  CHECK(talking.wait_exit() == 0);

  const Json saved = parse_json(read_file(home / "talk.json", 1 << 20), "talk.json").at("messages");
  REQUIRE(saved.size() == 4);
  CHECK(saved[0] == Json{{"role", "user"}, {"content", "Once upon a time"}});
  CHECK(saved[1].at("content").get<std::string>().starts_with(kAnswer));
  CHECK(saved[2].at("content") == "Once upon\na time");
}

TEST_CASE("the history outlives the program, and nobody else can read it") {
  if (!has_terminal()) return;
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const TemporaryFolder home;
  {
    Running talking(talk(*model, home), true);
    REQUIRE(talking.wait_for("> "));
    talking.type("Once upon a time\r");
    REQUIRE(talking.wait_for(kAnswer));
    talking.type("/exit\r");
    CHECK(talking.wait_exit() == 0);
  }
  const auto history = home / ".local/state/ruvllm/history";
  REQUIRE(std::filesystem::exists(history));
  CHECK(static_cast<int>(std::filesystem::status(history).permissions() & std::filesystem::perms(077)) == 0);
  Running again(talk(*model, home), true);
  REQUIRE(again.wait_for("> "));
  again.type("\x1b[A\x1b[A\r");  // up, up
  CHECK(again.wait_for(kAnswer));
}

TEST_CASE("Ctrl-C drops a line that is being typed, but not the conversation") {
  if (!has_terminal()) return;
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const TemporaryFolder home;
  Launch launch = talk(*model, home);
  launch.arguments.insert(launch.arguments.end(), {"-c", "200000", "--ignore-eos", "-n", "-1"});
  Running talking(launch, true);
  REQUIRE(talking.wait_for("> "));
  talking.type("half a line");
  REQUIRE(talking.wait_for("half a line"));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // the editor is waiting for a key again
  talking.type("\x03");
  CHECK(talking.wait_for("^C"));
  REQUIRE(talking.wait_for("> "));
  talking.type("/exit\r");
  CHECK(talking.wait_exit() == 0);
}

TEST_CASE("Ctrl-C stops an answer, and the conversation goes on") {
  if (!has_terminal()) return;
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const TemporaryFolder home;
  Launch launch = talk(*model, home);
  launch.arguments.insert(launch.arguments.end(), {"-c", "200000", "--ignore-eos", "-n", "-1"});
  Running talking(launch, true);
  REQUIRE(talking.wait_for("> "));
  talking.type("Once upon a time\r");
  REQUIRE(talking.wait_for(kAnswer));
  talking.interrupt();
  REQUIRE(talking.wait_for("(stopped)"));
  REQUIRE(talking.wait_for("> "));
  talking.type("/set max-tokens 3\r/retry\r");
  CHECK(talking.wait_for("(cut off"));
  REQUIRE(talking.wait_for("> "));
  talking.type("/exit\r");
  CHECK(talking.wait_exit() == 0);
}

TEST_CASE("a signal while a line is waited for, or before it is, drops the line at once") {
  if (!has_terminal()) return;
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const TemporaryFolder home;
  Running talking(talk(*model, home), true);
  for (int round = 0; round < 5; ++round) {
    REQUIRE(talking.wait_for("> "));
    talking.interrupt();  // the prompt is drawn, the editor may not yet wait
    REQUIRE(talking.wait_for("^C"));
  }
  REQUIRE(talking.wait_for("> "));
  talking.type("/exit\r");
  CHECK(talking.wait_exit() == 0);
}

TEST_CASE("Tab completes commands and the names of files behind those that take one") {
  if (!has_terminal()) return;
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const TemporaryFolder home;
  std::filesystem::create_directory(home / "notes");
  ruvllm::write_file_atomically(home / "notes/first.txt", "Once upon");
  ruvllm::write_file_atomically(home / "notes/.hidden", "");
  Running talking(talk(*model, home), true);
  REQUIRE(talking.wait_for("> "));
  talking.type("/file no\tf\t\r");
  CHECK(talking.wait_for("9 B will stand before"));
  talking.type("/file notes/\t\r");  // the hidden one isn't offered
  CHECK(talking.wait_for("9 B will stand before"));
  talking.type("/exit\r");
  CHECK(talking.wait_exit() == 0);
}

TEST_CASE("what a model thinks stands apart from what it says") {
  if (!has_terminal()) return;
  const TemporaryFolder home;
  const auto model = ruvllm::test::copy_stories_folder(
      home / "stories", {{"chat_template.jinja",
                          "{{ bos_token }}{% for m in messages %}{{ m.reasoning_content }}{{ m.content }}"
                          "{% endfor %}<think>\n"}});
  if (!model) return;
  Launch launch = talk(*model, home);
  std::erase(launch.arguments, "--raw");
  Running talking(launch, true);
  REQUIRE(talking.wait_for("> "));
  talking.type("Once upon a time\r");
  CHECK(talking.wait_for("(thinking)"));
  CHECK(talking.wait_for("(cut off"));
  talking.type("/save talk.json\r");
  CHECK(talking.wait_for("2 messages saved"));
  talking.type("/load talk.json\r/exit\r");
  CHECK(talking.wait_exit() == 0);
  const Json saved = parse_json(read_file(home / "talk.json", 1 << 20), "talk.json").at("messages");
  CHECK(saved[1].at("content") == "");
  CHECK(saved[1].at("reasoning_content").get<std::string>().size() > 10);
}

TEST_CASE("a conversation works without a home folder and on a terminal that can do nothing") {
  if (!has_terminal()) return;
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const TemporaryFolder home;
  Launch launch = talk(*model, home);
  launch.environment = {{"HOME", ""}, {"TERM", "dumb"}};
  Running talking(launch, true);
  REQUIRE(talking.wait_for("> "));
  talking.type("Once upon a time\r");
  CHECK(talking.wait_for(kAnswer));
  talking.type("/exit\r");
  CHECK(talking.wait_exit() == 0);
  CHECK(talking.output().find("\x1b[1;32m") == std::string::npos);
}
