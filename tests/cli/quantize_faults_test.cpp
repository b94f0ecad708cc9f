// ruvllm quantize where the world fails it: killed, disk full, folder read-only, NaN in the input. Faults are
// injected by strace into the program as it is; where there is no strace, the cases are skipped, saying so.
#include <doctest/doctest.h>

#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "cli/process.h"
#include "test_support.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

using ruvllm::parse_json;
using ruvllm::read_file;
using ruvllm::test::Finished;
using ruvllm::test::Launch;
using ruvllm::test::run;
using ruvllm::test::run_as;
using ruvllm::test::TemporaryFolder;
using ruvllm::test::test_data;

namespace {

constexpr const char* kStrace = "/usr/bin/strace";

bool has_strace() {
  if (std::filesystem::exists(kStrace)) return true;
  MESSAGE("skipped: no strace");
  return false;
}

/// `ruvllm quantize ARGUMENTS` with a fault, as strace's -e inject= takes it.
Finished run_with(const std::string& fault, const std::vector<std::string>& arguments) {
  Launch launch;
  launch.program = kStrace;
  const std::string calls = fault.substr(0, fault.find(':'));
  launch.arguments = {"-f",
                      "-qq",
                      "-e",
                      "trace=" + calls,
                      "-e",
                      "inject=" + fault,
                      "-o",
                      "/dev/null",
                      ruvllm::test::program_folder() / "ruvllm-quantize"};
  launch.arguments.insert(launch.arguments.end(), arguments.begin(), arguments.end());
  return run_as(launch);
}

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

}  // namespace

TEST_CASE("killed at any write, a run goes on with --resume to the same bytes") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model || !has_strace()) return;
  const TemporaryFolder folder;
  const std::string expected = folder / "expected.gguf", output = folder / "out.gguf";
  const std::vector<std::string> how = {*model, output, "--type", "PIQ3", "-t", "1"};
  REQUIRE(run({"quantize", *model, expected, "--type", "PIQ3"}).exit_code == 0);
  const std::string bytes = read_file(expected, 1 << 24);
  ruvllm::Random random(ruvllm::test::test_seed());
  for (int kill = 0; kill < 8; ++kill) {
    const std::string when = std::to_string(1 + random.below(45));
    CAPTURE(when);
    const Finished killed = run_with("pwrite64:signal=KILL:when=" + when, how);
    CHECK(killed.exit_code == 128 + 9);
    CHECK_FALSE(std::filesystem::exists(output));
    std::vector<std::string> again = {"quantize"};
    again.insert(again.end(), how.begin(), how.end());
    again.push_back("--resume");
    const Finished resumed = run(again);
    CAPTURE(resumed.err);
    REQUIRE(resumed.exit_code == 0);
    CHECK(read_file(output, 1 << 24) == bytes);
    CHECK(names_in(folder.path()) == std::vector<std::string>{"expected.gguf", "out.gguf"});
    std::filesystem::remove(output);
  }
}

TEST_CASE("a disk that is full or a folder that can't be written ends with its code, and leaves nothing") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model || !has_strace()) return;
  const TemporaryFolder folder;
  const std::string output = folder / "out.gguf", before = read_file(*model, 1 << 24);
  const std::vector<std::string> how = {*model, output, "--type", "Q4_0"};
  for (const char* when : {"1", "7", "20+"}) {
    const Finished full = run_with(std::string("pwrite64:error=ENOSPC:when=") + when, how);
    CAPTURE(full.err);
    CHECK(full.exit_code == 6);
    CHECK(full.err.find("out.gguf") != std::string::npos);
    CHECK(std::ranges::count(full.err, '\n') == 1);
    CHECK(names_in(folder.path()).empty());
  }
  const Finished locked = run({"quantize", *model, "/proc/self/out.gguf", "--type", "Q4_0"});
  CHECK(locked.exit_code != 0);
  CHECK(std::ranges::count(locked.err, '\n') == 1);
  CHECK(read_file(*model, 1 << 24) == before);
}

TEST_CASE("a NaN is named with its tensor and place, and nothing is written") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const TemporaryFolder folder;
  const std::string input = folder / "nan.gguf", name = "blk.2.attn_v.weight";
  std::string bytes = read_file(*model, 1 << 24);
  const auto list = parse_json(run({"inspect", "tensors", *model, "--json"}).out, "tensors");
  for (const auto& tensor : list["tensors"]) {
    if (tensor["name"] != name) continue;
    REQUIRE(tensor["type"] == "F32");
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const size_t at = tensor["offset"].get<size_t>() + 4 * (tensor["shape"][0].get<size_t>() * 3 + 5);
    std::memcpy(&bytes[at], &nan, sizeof nan);
  }
  ruvllm::write_file_atomically(input, bytes);
  for (const char* type : {"Q4_K_M", "PIQ3"}) {
    const Finished finished = run({"quantize", input, folder / "out.gguf", "--type", type, "--incoherence"});
    const bool is_own = std::string(type) == "PIQ3";
    CHECK(finished.exit_code == (is_own ? 5 : 2));
    if (is_own) CHECK(finished.err.find(name + " has NaN at row 3, column 5") != std::string::npos);
    const Finished plain = run({"quantize", input, folder / "out.gguf", "--type", type});
    CHECK(plain.exit_code == 5);
    CHECK(plain.err.find(name + " has NaN at row 3, column 5") != std::string::npos);
    CHECK(names_in(folder.path()) == std::vector<std::string>{"nan.gguf"});
  }
}
