// ruvllm quantize, as a process.
#include <doctest/doctest.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/process.h"
#include "test_support.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

using ruvllm::Json;
using ruvllm::parse_json;
using ruvllm::read_file;
using ruvllm::test::Finished;
using ruvllm::test::run;
using ruvllm::test::TemporaryFolder;
using ruvllm::test::test_data;

namespace {

size_t n_entries(const std::filesystem::path& folder) {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

}  // namespace

TEST_CASE("a dry run names the exact size, and the file has it") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const TemporaryFolder folder;
  const std::string output = folder / "out.gguf";
  for (const char* type : {"Q4_K_M", "Q8_0", "IQ3_XXS", "F16"}) {
    CAPTURE(std::string(type));
    const Finished dry = run({"quantize", *model, output, "--type", type, "--dry-run", "--json"});
    REQUIRE(dry.exit_code == 0);
    CHECK_FALSE(std::filesystem::exists(output));
    const Finished wet = run({"quantize", *model, output, "--type", type, "--json", "--verify"});
    REQUIRE(wet.exit_code == 0);
    const Json planned = parse_json(dry.out, "dry run"), done = parse_json(wet.out, "run");
    CHECK(planned["bytes"] == std::filesystem::file_size(output));
    CHECK(planned["bytes"] == done["bytes"]);
    CHECK(done["tensors"].size() == 47);
    for (const Json& tensor : done["tensors"]) CHECK(tensor["error"].get<double>() < 0.1);
    CHECK(n_entries(folder.path()) == 1);
    std::filesystem::remove(output);
  }
}

TEST_CASE("what was written runs, and is near the original") {
  const auto model = test_data("stories260K/stories260K.gguf");
  const auto text = test_data("stories260K/stories-eval.txt");
  if (!model || !text) return;
  const TemporaryFolder folder;
  const std::string output = folder / "out.gguf";
  const Finished finished =
      run({"quantize", *model, output, "--type", "Q8_0", "--verify-text", *text, "--json"});
  REQUIRE(finished.exit_code == 0);
  const Json json = parse_json(finished.out, "run");
  CHECK(json["mean_kl"].get<double>() < 1e-3);  // 8.0e-4
  CHECK(json["perplexity"].get<double>() == doctest::Approx(4.305).epsilon(2e-3));
}

TEST_CASE("importance gathered from a text is kept, used and recorded") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const TemporaryFolder folder;
  ruvllm::write_file_atomically(folder / "text.txt",
                                "Once upon a time, there was a little dog. He liked to run and play.");
  const std::string guided = folder / "guided.gguf", again = folder / "again.gguf",
                    imatrix = folder / "imatrix.gguf";
  REQUIRE(run({"quantize", *model, guided, "--type", "Q4_0", "--calibrate", folder / "text.txt",
               "--imatrix-out", imatrix})
              .exit_code == 0);
  REQUIRE(run({"quantize", *model, again, "--type", "Q4_0", "--imatrix", imatrix}).exit_code == 0);
  CHECK(read_file(guided, 1 << 24) == read_file(again, 1 << 24));
  CHECK(read_file(guided, 1 << 24).find("quantize.imatrix.dataset") != std::string::npos);
  CHECK(read_file(guided, 1 << 24).find("text.txt") != std::string::npos);
}

TEST_CASE(
    "each way of knowing the inputs brings the output nearer to the original, on text that it has not seen") {
  const auto model = test_data("stories260K/stories260K.gguf");
  const auto text = test_data("stories260K/stories-eval.txt");
  if (!model || !text) return;
  const TemporaryFolder folder;
  const std::string whole = read_file(*text, 1 << 20);
  ruvllm::write_file_atomically(folder / "seen.txt", whole.substr(0, whole.size() / 2));
  ruvllm::write_file_atomically(folder / "unseen.txt", whole.substr(whole.size() / 2));
  const auto kl_of = [&](const std::vector<std::string>& how) {
    std::vector<std::string> arguments = {"quantize", *model, folder / "out.gguf",
                                          "--type",   "Q4_0", "--json"};
    arguments.insert(arguments.end(), {"--verify-text", folder / "unseen.txt"});
    arguments.insert(arguments.end(), how.begin(), how.end());
    const Finished finished = run(arguments);
    REQUIRE(finished.exit_code == 0);
    return parse_json(finished.out, "run")["mean_kl"].get<double>();
  };
  const double plain = kl_of({}), guided = kl_of({"--calibrate", folder / "seen.txt"});
  const double solved = kl_of({"--calibrate", folder / "seen.txt", "--method", "gptq"});
  const double scaled = kl_of({"--calibrate", folder / "seen.txt", "--method", "awq"});
  MESSAGE("mean KL: plain " << plain << ", with importance " << guided << ", awq " << scaled << ", gptq "
                            << solved);
  CHECK(guided < plain);
  CHECK(scaled < plain);
  CHECK(solved < plain);
  CHECK(run({"quantize", *model, folder / "out.gguf", "--method", "gptq"}).exit_code == 2);
}

TEST_CASE("a size is a limit that is kept and used") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const TemporaryFolder folder;
  const std::string output = folder / "out.gguf";
  for (const char* size : {"245K", "270K", "300K"}) {
    const Finished finished = run({"quantize", *model, output, "--target-size", size, "--json"});
    REQUIRE(finished.exit_code == 0);
    const uint64_t limit = std::stoull(size) * 1024;
    CHECK(std::filesystem::file_size(output) <= limit);
    CHECK(std::filesystem::file_size(output) > limit * 9 / 10);
  }
  const Finished too_small = run({"quantize", *model, output, "--target-size", "20K"});
  CHECK(too_small.exit_code == 2);
  CHECK(run({"quantize", *model, output, "--target-size", "300K", "--type", "Q4_0"}).exit_code == 2);
}

TEST_CASE("wrong input ends with the right code, one line, and nothing left behind") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const TemporaryFolder folder;
  const std::string copy = folder / "in.gguf", output = folder / "out.gguf";
  std::filesystem::copy_file(*model, copy);
  const std::string before = read_file(copy, 1 << 24);
  const auto check = [&](const std::vector<std::string>& arguments, int code, const std::string& part) {
    const Finished finished = run(arguments);
    CAPTURE(finished.err);
    CHECK(finished.exit_code == code);
    CHECK(finished.err.find(part) != std::string::npos);
    CHECK(std::count(finished.err.begin(), finished.err.end(), '\n') == 1);
  };
  check({"quantize", copy, copy, "--type", "Q8_0"}, 2, "is the input");
  check({"quantize", copy, output, "--type", "Q4_9"}, 2, "Q4_K_M");
  check({"quantize", copy, output, "--tensor", "ffn_(=Q4_0"}, 2, "pattern");
  check({"quantize", copy, folder / "absent/out.gguf"}, 3, "absent");
  check({"quantize", folder / "absent.gguf", output}, 3, "absent");
  check({"quantize", copy, output, "--max-memory", "lots"}, 2, "--max-memory");
  ruvllm::write_file_atomically(folder / "cut.gguf", before.substr(0, before.size() / 2));
  check({"quantize", folder / "cut.gguf", output}, 5, "cut.gguf");
  CHECK(read_file(copy, 1 << 24) == before);
  CHECK(n_entries(folder.path()) == 2);
}

TEST_CASE("a full disk is told as such") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model || !std::filesystem::exists("/dev/full")) return;
  CHECK(run({"quantize", *model, "/dev/full"}).exit_code ==
        1);  // no regular file: refused before anything is written
}
