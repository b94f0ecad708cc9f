// train-qat against what ends programs: kill -9 at any moment, full disks, numbers that run away.
#include <doctest/doctest.h>

#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "cli/process.h"
#include "test_support.h"

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

using namespace ruvllm;
using test::Finished;
using test::run;
using test::TemporaryFolder;
using test::test_data;

namespace {

std::vector<std::string> arguments(const std::filesystem::path& model, const std::filesystem::path& output,
                                   const std::filesystem::path& checkpoints) {
  return {"train-qat",
          model.string(),
          "--data-free",
          "6000",
          "--sequence",
          "128",
          "--batch-tokens",
          "256",
          "--epochs",
          "2",
          "--lr",
          "1e-3",
          "--bits",
          "4",
          "--ste",
          "lsq",
          "--checkpoint-dir",
          checkpoints.string(),
          "--checkpoint-every",
          "1",
          "--quiet",
          "--out",
          output.string()};
}

// Starts the program and kills it after a while, unless it has ended.
bool run_and_kill(const std::vector<std::string>& words, std::chrono::milliseconds after) {
  const std::string program = test::program_folder() / "ruvllm-train-qat";
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (size_t i = 1; i < words.size(); ++i) argv.push_back(const_cast<char*>(words[i].c_str()));
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    execv(program.c_str(), argv.data());
    _exit(127);
  }
  std::this_thread::sleep_for(after);
  kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status);
}

}  // namespace

TEST_CASE("killed at ten random moments and resumed: the same file, byte for byte") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const TemporaryFolder folder;
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(run(arguments(*model, folder / "whole.gguf", folder / "a")).exit_code == 0);
  const std::chrono::duration<double, std::milli> whole = std::chrono::steady_clock::now() - start;
  Random random(test::test_seed());
  std::vector<std::string> again = arguments(*model, folder / "parts.gguf", folder / "b");
  int n_killed = 0;
  for (int i = 0; i < 10; ++i) {
    const auto after = std::chrono::milliseconds(static_cast<long>(random.uniform() * whole.count()));
    n_killed += run_and_kill(again, after);
    if (i == 0) again.push_back("--resume");
    // Whatever stands in the folder of checkpoints under its name is whole.
    if (std::filesystem::exists(folder / "b" / "last.ckpt.gguf"))
      CHECK(run({"inspect", "tensors", folder / "b" / "last.ckpt.gguf", "--json"}).exit_code == 0);
    CHECK((!std::filesystem::exists(folder / "parts.gguf") ||
           read_file(folder / "parts.gguf", 1 << 26) == read_file(folder / "whole.gguf", 1 << 26)));
  }
  CHECK(n_killed >= 3);
  REQUIRE(run(again).exit_code == 0);
  CHECK(read_file(folder / "parts.gguf", 1 << 26) == read_file(folder / "whole.gguf", 1 << 26));
}

TEST_CASE("a disk that is full during a checkpoint loses nothing: the run goes on from the last one") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const TemporaryFolder folder;
  REQUIRE(run(arguments(*model, folder / "whole.gguf", folder / "a")).exit_code == 0);
  std::vector<std::string> words = arguments(*model, folder / "parts.gguf", folder / "b");
  run_and_kill(words, std::chrono::milliseconds(1500));
  words.push_back("--resume");
  // Files may not grow past 1 MB from here on, less than a checkpoint.
  std::string command = "ulimit -f 1000; exec '" + (test::program_folder() / "ruvllm").string() + "'";
  for (const std::string& word : words) command += " '" + word + "'";
  const bool had_one = std::filesystem::exists(folder / "b" / "last.ckpt.gguf");
  const std::string before = had_one ? read_file(folder / "b" / "last.ckpt.gguf", 1 << 28) : "";
  test::Launch launch;
  launch.program = "/bin/bash";
  launch.arguments = {"-c", command};
  const Finished finished = run_as(launch);
  CAPTURE(finished.err);
  CHECK(finished.exit_code == 6);
  CHECK_FALSE(std::filesystem::exists(folder / "parts.gguf"));
  if (had_one) CHECK(read_file(folder / "b" / "last.ckpt.gguf", 1 << 28) == before);
  size_t n_files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder / "b")) ++n_files;
  CHECK(n_files == (had_one ? 1 : 0));  // no half of one
  REQUIRE(run(words).exit_code == 0);
  CHECK(read_file(folder / "parts.gguf", 1 << 26) == read_file(folder / "whole.gguf", 1 << 26));
}

TEST_CASE("weights that run away end the run with step, batch and tensor named, and a checkpoint") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const TemporaryFolder folder;
  std::vector<std::string> words = arguments(*model, folder / "out.gguf", folder / "checkpoints");
  for (std::string& word : words)
    if (word == "1e-3") word = "1e30";
  const Finished finished = run(words);
  CAPTURE(finished.err);
  CHECK(finished.exit_code == 1);
  for (const char* part : {"step ", "batch ", ".weight"}) CHECK(finished.err.find(part) != std::string::npos);
  CHECK(std::filesystem::exists(folder / "checkpoints" / "failed.ckpt.gguf"));
  CHECK_FALSE(std::filesystem::exists(folder / "out.gguf"));
}
