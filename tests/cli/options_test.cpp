// The options that every verb has, seen through `info`, the smallest program that has them all.
#include <doctest/doctest.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/process.h"
#include "test_support.h"

#include <string>

using ruvllm::parse_json;
using ruvllm::write_file_atomically;
using ruvllm::test::Finished;
using ruvllm::test::Launch;
using ruvllm::test::run;
using ruvllm::test::run_as;
using ruvllm::test::TemporaryFolder;

namespace {

Finished run_with(std::vector<std::string> arguments,
                  std::vector<std::pair<std::string, std::string>> environment) {
  Launch launch;
  launch.arguments = std::move(arguments);
  launch.environment = std::move(environment);
  return run_as(launch);
}

}  // namespace

TEST_CASE("an error is one line with the verb, the finding and a hint") {
  struct Row {
    std::vector<std::string> arguments;
    int exit_code;
    std::string line;
  };
  const Row rows[] = {
      {{"info", "--jsn"}, 2, "unknown option --jsn; did you mean --json?"},
      {{"info", "--jsn=1"}, 2, "unknown option --jsn; did you mean --json?"},
      {{"info", "-X"}, 2, "unknown option -X; try 'ruvllm info --help'"},
      {{"info", "-t", "zero"}, 2, "--threads: 'zero' is not a number; try 'ruvllm info --help'"},
      {{"info", "-t", "0"}, 2, "--threads: 0 is not between 1 and 1024; try 'ruvllm info --help'"},
      {{"info", "-t"}, 2, "--threads needs a value; try 'ruvllm info --help'"},
      {{"info", "--color", "blue"},
       2,
       "--color: 'blue' is none of auto, always, never; try 'ruvllm info --help'"},
      {{"info", "a", "b"}, 2, "unexpected argument 'b'; try 'ruvllm info --help'"},
      {{"info", "/no/such/model.gguf"}, 3, "/no/such/model.gguf: no such file or folder"},
      {{"info", "--config", "/no/such.toml"}, 3, "/no/such.toml: No such file or directory"},
  };
  for (const Row& row : rows) {
    const Finished wrong = run(row.arguments);
    CHECK(wrong.exit_code == row.exit_code);
    CHECK(wrong.err == "ruvllm info: error: " + row.line + "\n");
    CHECK(wrong.out == "");
  }
}

TEST_CASE("with --json an error is one JSON document on stdout and nothing on stderr") {
  const std::vector<std::vector<std::string>> lines = {
      {"info", "--json", "--jsn"}, {"info", "nowhere.gguf", "--json"}, {"info", "--json", "-t", "x"}};
  for (const auto& line : lines) {
    const Finished wrong = run(line);
    CHECK(wrong.err == "");
    const auto error = parse_json(wrong.out, "stdout").at("error");
    CHECK(error.at("kind") == (wrong.exit_code == 3 ? "not_found" : "usage"));
    CHECK(error.at("message").get<std::string>() != "");
    CHECK(wrong.out.find('\n') == wrong.out.size() - 1);
  }
}

TEST_CASE("an option given twice counts as given last, and may look like an option where a value is due") {
  CHECK(run({"info", "-t", "2", "-t", "1", "--json"}).out.find("\"kernels\"") != std::string::npos);
  const Finished wrong = run({"info", "--model", "/one", "--model", "--json"});
  CHECK(wrong.out == "");
  CHECK(wrong.err.find("error: --json: no such file") != std::string::npos);
  CHECK(run({"info", "-vv", "-q"}).exit_code == 0);
}

TEST_CASE("an option wins over the environment, that over the config file, that over the default") {
  const TemporaryFolder folder;
  const std::string config = folder / "config.toml";
  write_file_atomically(config, "[info]\njson = true\n");
  const auto is_json = [](const Finished& finished) {
    return finished.exit_code == 0 && finished.out.starts_with('{');
  };
  CHECK(!is_json(run({"info"})));
  CHECK(is_json(run({"info", "--config", config})));
  CHECK(is_json(run_with({"info"}, {{"RUVLLM_CONFIG", config}})));
  CHECK(!is_json(run_with({"info", "--config", config}, {{"RUVLLM_JSON", "false"}})));
  CHECK(is_json(run_with({"info", "--config", config, "--json"}, {{"RUVLLM_JSON", "false"}})));
  CHECK(is_json(run_with({"info"}, {{"RUVLLM_JSON", "1"}})));

  write_file_atomically(config, "[info]\nmodel = '/from/config'\n");
  CHECK(run({"info", "--config", config}).err.find("/from/config: ") != std::string::npos);
  CHECK(run_with({"info", "--config", config}, {{"RUVLLM_MODEL", "/from/env"}}).err.find("/from/env: ") !=
        std::string::npos);
  CHECK(run_with({"info", "/typed", "--config", config}, {{"RUVLLM_MODEL", "/from/env"}})
            .err.find("/typed: ") != std::string::npos);
}

TEST_CASE("the config file is found in XDG_CONFIG_HOME, else in HOME, and a machine without either is fine") {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder / "xdg/ruvllm");
  std::filesystem::create_directories(folder / "home/.config/ruvllm");
  write_file_atomically(folder / "xdg/ruvllm/config.toml", "[info]\nmodel = '/xdg'\n");
  write_file_atomically(folder / "home/.config/ruvllm/config.toml", "[info]\nmodel = '/from/home'\n");
  const std::string xdg = folder / "xdg", home = folder / "home";
  CHECK(run_with({"info"}, {{"XDG_CONFIG_HOME", xdg}, {"HOME", home}}).err.find("/xdg: ") !=
        std::string::npos);
  CHECK(run_with({"info"}, {{"HOME", home}, {"XDG_CONFIG_HOME", ""}}).err.find("/from/home: ") !=
        std::string::npos);
  CHECK(run_with({"info"}, {{"HOME", ""}}).exit_code == 0);
}

TEST_CASE("what is wrong in the config file or the environment is named with its place") {
  const TemporaryFolder folder;
  const std::string config = folder / "config.toml";
  struct Row {
    const char* text;
    int exit_code;
    const char* finding;
  };
  const Row rows[] = {
      {"[info]\n\nthreds = 2\n", 2, ": line 3: threds is not an option; did you mean threads?"},
      {"threads = 'many'\n", 2, ": line 1: threads: 'many' is not a number"},
      {"[info]\nthreads = {}\n", 0, ""},
      {"[info\n", 5, ": line 1, column "},
      {"[info]\nthreads = 2\nthreads = 3\n", 5, ": line 3, column "},
      {"[other]\nanything = 1\n", 0, ""},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    write_file_atomically(config, row.text);
    const Finished finished = run({"info", "--config", config});
    CHECK(finished.exit_code == row.exit_code);
    if (row.exit_code != 0) CHECK(finished.err.find(config + row.finding) != std::string::npos);
  }
  const Finished wrong = run_with({"info"}, {{"RUVLLM_THREADS", "x"}});
  CHECK(wrong.exit_code == 2);
  CHECK(wrong.err == "ruvllm info: error: RUVLLM_THREADS: 'x' is not a number; try 'ruvllm info --help'\n");
}

TEST_CASE("an alias of the config file stands for a model, unless a path of that name exists") {
  const auto model = ruvllm::test::test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const TemporaryFolder folder;
  const std::string config = folder / "config.toml";
  write_file_atomically(config, "[aliases]\nstory = '" + model->string() + "'\ngone = '/no/such.gguf'\n");
  Launch launch;
  launch.arguments = {"info", "story", "--config", config, "--json"};
  launch.folder = folder.path();
  CHECK(parse_json(run_as(launch).out, "stdout").at("architecture") == "llama");
  write_file_atomically(folder / "story", "no model");
  CHECK(run_as(launch).exit_code == 5);
  CHECK(run({"info", "gone", "--config", config})
            .err.find("/no/such.gguf: no such file or folder (alias 'gone')") != std::string::npos);
}

TEST_CASE("colours only where they are wanted") {
  const auto is_coloured = [](const Finished& finished) {
    return finished.out.find("\x1b[") != std::string::npos;
  };
  CHECK(!is_coloured(run({"info"})));
  CHECK(is_coloured(run({"info", "--color", "always"})));
  CHECK(!is_coloured(run({"info", "--color", "never"})));
  if (!ruvllm::test::has_terminal()) return;
  const auto on_terminal = [](std::vector<std::pair<std::string, std::string>> environment) {
    Launch launch;
    launch.arguments = {"info"};
    launch.environment = std::move(environment);
    ruvllm::test::Running info(launch, true);
    CHECK(info.wait_for("70B"));
    CHECK(info.wait_exit() == 0);
    return info.output().find("\x1b[") != std::string::npos;
  };
  CHECK(on_terminal({}));
  CHECK(!on_terminal({{"NO_COLOR", "1"}}));
  CHECK(!on_terminal({{"TERM", "dumb"}}));
  CHECK(!on_terminal({{"TERM", ""}}));
}

TEST_CASE("a reader that goes away is a success, an output that can't be written is not") {
  Launch launch;
  launch.program = "/bin/sh";
  const std::string front = ruvllm::test::program_folder() / "ruvllm";
  launch.arguments = {"-c", "{ \"$0\" info; echo \"exit $?\" >&2; } | true", front};
  const Finished piped = run_as(launch);
  CHECK(piped.err == "exit 0\n");
  launch = {};
  launch.arguments = {"info"};
  launch.output_path = "/dev/full";
  const Finished full = run_as(launch);
  CHECK(full.exit_code == 6);
  CHECK(full.err == "ruvllm info: error: writing to standard output: No space left on device\n");
  launch.output_path = "";
  launch.close_output = true;
  const Finished closed = run_as(launch);
  CHECK(closed.exit_code == 1);
  CHECK(closed.err == "ruvllm info: error: writing to standard output: Bad file descriptor\n");
}

TEST_CASE("an instruction set that isn't there is a usage error") {
  const Finished wrong = run_with({"info"}, {{"RUVLLM_ISA", "mmx"}});
  CHECK(wrong.exit_code == 2);
  CHECK(wrong.err.find("RUVLLM_ISA") != std::string::npos);
  CHECK(run_with({"info", "--json"}, {{"RUVLLM_ISA", "scalar"}}).out.find("\"kernels\":\"scalar\"") !=
        std::string::npos);
}
