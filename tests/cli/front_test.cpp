#include <doctest/doctest.h>

#include "cli/process.h"
#include "test_support.h"

#include <filesystem>
#include <string>

using ruvllm::test::Finished;
using ruvllm::test::Launch;
using ruvllm::test::run;
using ruvllm::test::run_as;

TEST_CASE("without a verb the front lists the verbs that are installed") {
  const Finished bare = run(std::vector<std::string>{});
  CHECK(bare.exit_code == 0);
  CHECK(bare.err == "");
  CHECK(bare.out.find("chat") != std::string::npos);
  CHECK(bare.out.find("info") != std::string::npos);
  CHECK(bare.out == run({"--help"}).out);
  CHECK(bare.out == run({"help"}).out);
}

TEST_CASE("every verb that the front lists is there and shows its help, with and without the front's help") {
  const std::string page = run({"--help"}).out;
  int n_verbs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(ruvllm::test::program_folder())) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("ruvllm-")) continue;
    const std::string verb = name.substr(7);
    CAPTURE(verb);
    CHECK(page.find("  " + verb + " ") != std::string::npos);
    const Finished help = run({verb, "--help"});
    CHECK(help.exit_code == 0);
    CHECK(help.out.find("usage: ruvllm " + verb) != std::string::npos);
    CHECK(help.out.find("Example") != std::string::npos);
    CHECK(help.out.find("--threads") != std::string::npos);
    CHECK(help.out.find('{') == std::string::npos);  // a check's words for itself
    CHECK(run({"help", verb}).out == help.out);
    CHECK(run({verb, "--version"}).out.starts_with("ruvllm " + verb + " "));
    ++n_verbs;
  }
  CHECK(n_verbs >= 3);
}

TEST_CASE("a verb that doesn't exist is a usage error that names the nearest one") {
  const Finished wrong = run({"caht", "x"});
  CHECK(wrong.exit_code == 2);
  CHECK(wrong.out == "");
  CHECK(wrong.err == "ruvllm: error: there is no verb 'caht'; did you mean chat?\n");
  CHECK(run({"../info"}).exit_code == 2);
  CHECK(run({"--nope"}).exit_code == 2);
  CHECK(run({"x\x1b[31m"}).err.find('\x1b') == std::string::npos);
}

TEST_CASE("verbs are found in ../libexec/ruvllm, wherever the program was called from") {
  const ruvllm::test::TemporaryFolder prefix;
  namespace fs = std::filesystem;
  fs::create_directories(prefix / "bin");
  fs::create_directories(prefix / "libexec/ruvllm");
  fs::copy_file(ruvllm::test::program_folder() / "ruvllm", prefix / "bin/ruvllm");
  fs::copy_file(ruvllm::test::program_folder() / "ruvllm-info", prefix / "libexec/ruvllm/ruvllm-info");
  fs::create_symlink(prefix / "bin/ruvllm", prefix / "shortcut");
  Launch launch;
  launch.arguments = {"info", "--json"};
  for (const char* front : {"bin/ruvllm", "shortcut"}) {
    launch.program = prefix / front;
    const Finished info = run_as(launch);
    CHECK(info.exit_code == 0);
    CHECK(info.out.find("\"kernels\"") != std::string::npos);
  }
}

TEST_CASE("the working folder can be gone") {
  const ruvllm::test::TemporaryFolder folder;
  Launch launch;
  launch.arguments = {"-c", "mkdir gone && cd gone && rmdir ../gone && exec \"$0\" info --json",
                      (ruvllm::test::program_folder() / "ruvllm").string()};
  launch.program = "/bin/sh";
  launch.folder = folder.path();
  const Finished info = run_as(launch);
  CHECK(info.exit_code == 0);
  CHECK(info.err == "");
}
