// What is committed under man/ and completions/ is what the programs say of themselves today.
#include <doctest/doctest.h>

#include "base/file.h"
#include "cli/process.h"
#include "test_support.h"

#include <filesystem>
#include <string>

using ruvllm::read_file;
using ruvllm::test::Finished;
using ruvllm::test::Launch;
using ruvllm::test::run_as;

namespace {

namespace fs = std::filesystem;

constexpr uint64_t kFileBytes = 1 << 20;

Finished generate(const fs::path& program, const std::string& what, const std::string& prose) {
  Launch launch;
  launch.program = program;
  launch.arguments = {"--generate", what};
  launch.input = prose;
  return run_as(launch);
}

void check_committed(const fs::path& program, const std::string& what, const fs::path& path,
                     const std::string& prose) {
  const Finished generated = generate(program, what, prose);
  CAPTURE(path);
  CHECK(generated.exit_code == 0);
  REQUIRE_MESSAGE(fs::exists(path), "run ./dev generate");
  CHECK_MESSAGE(read_file(path, kFileBytes) == generated.out, "run ./dev generate");
}

}  // namespace

TEST_CASE("man pages and completions are those of the options as they are") {
  const fs::path source = RUVLLM_SOURCE_DIR;
  for (const auto& entry : fs::directory_iterator(ruvllm::test::program_folder())) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("ruvllm-")) continue;
    const fs::path prose = source / "man" / (name + ".1.in");
    check_committed(entry.path(), "man", source / "man" / (name + ".1"),
                    fs::exists(prose) ? read_file(prose, kFileBytes) : "");
    for (const char* shell : {"bash", "zsh", "fish"})
      check_committed(entry.path(), shell, source / "completions" / (name + "." + shell), "");
  }
}

TEST_CASE("bash completes verbs, subcommands, options and their values") {
  const fs::path completions = fs::path(RUVLLM_SOURCE_DIR) / "completions";
  const auto complete = [&](const std::string& words, int index) {
    Launch launch;
    launch.program = "/bin/bash";
    launch.environment = {{"PATH", ruvllm::test::program_folder().string() + ":/usr/bin:/bin"}};
    launch.arguments = {"-c",
                        "compopt() { :; }; . \"$0\"; COMP_WORDS=(" + words +
                            "); COMP_CWORD=" + std::to_string(index) + "; _ruvllm; echo \"${COMPREPLY[*]}\"",
                        completions / "ruvllm.bash"};
    return run_as(launch).out;
  };
  CHECK(complete("ruvllm ch", 1) == "chat\n");
  CHECK(complete("ruvllm chat --rep", 2) == "--repeat-penalty --repeat-last\n");
  CHECK(complete("ruvllm chat --kv-type ''", 3) == "f32 q16\n");
  CHECK(complete("ruvllm inspect tok", 2) == "tokens\n");
  CHECK(complete("ruvllm inspect tensors --ext", 3) == "--extract\n");
}
