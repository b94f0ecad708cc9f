// --quantize-on-load, and the suite's own types, through the programs.
#include <doctest/doctest.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/process.h"
#include "test_support.h"

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

using ruvllm::parse_json;
using ruvllm::read_file;
using ruvllm::test::Finished;
using ruvllm::test::run;
using ruvllm::test::TemporaryFolder;
using ruvllm::test::test_data;

namespace {

constexpr const char* kPrompt = "Once upon a time";

std::string answer(const std::vector<std::string>& model) {
  std::vector<std::string> arguments = {"chat", "--raw", "-p", kPrompt, "-n", "24", "--temp", "0", "--json"};
  arguments.insert(arguments.begin() + 1, model.begin(), model.end());
  const Finished finished = run(arguments);
  CAPTURE(finished.err);
  REQUIRE(finished.exit_code == 0);
  return parse_json(finished.out, "answer")["tokens"].dump();
}

std::string logits(const std::vector<std::string>& model) {
  std::vector<std::string> arguments = {"inspect", "logits", "--tokens", "1,403,407,261,378", "--out", "-"};
  arguments.insert(arguments.begin() + 2, model.begin(), model.end());
  const Finished finished = run(arguments);
  CAPTURE(finished.err);
  REQUIRE(finished.exit_code == 0);
  return finished.out;
}

}  // namespace

TEST_CASE("a model quantised while it is loaded equals the file, bit for bit") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const TemporaryFolder folder;
  const std::string file = folder / "out.gguf", plain = logits({*model});
  for (const char* type : {"Q4_K_M", "Q8_0", "IQ3_XXS", "PIQ3", "F16"}) {
    CAPTURE(std::string(type));
    REQUIRE(run({"quantize", *model, file, "--type", type, "--search", "fast", "-q"}).exit_code == 0);
    const std::string of_file = logits({file});
    CHECK(of_file == logits({*model, "--quantize-on-load", type}));
    CHECK(of_file != plain);
    CHECK(answer({file}) == answer({*model, "--quantize-on-load", type}));
  }
  const Finished bench =
      run({"bench", *model, "--quantize-on-load", "q4_0", "-p", "8", "-n", "4", "-r", "1", "--json"});
  CHECK(bench.exit_code == 0);
  CHECK(run({"chat", *model, "-p", "x", "--quantize-on-load", "Q4_9"}).exit_code == 2);
  REQUIRE(run({"quantize", *model, file, "--type", "Q8_0", "-q"}).exit_code == 0);
  const Finished twice = run({"chat", file, "-p", "x", "--quantize-on-load", "Q4_0"});
  CHECK(twice.exit_code == 2);
  CHECK(twice.err.find("Q8_0 already") != std::string::npos);
}

TEST_CASE("PIQ files are of the size that is promised, run, are shown and are taken apart, rotated or not") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const TemporaryFolder folder;
  const std::string file = folder / "out.gguf", values = folder / "values", name = "blk.0.ffn_down.weight";
  const auto extract = [&](const std::string& from) {
    REQUIRE(run({"inspect", "tensors", from, "--extract", name, "--out", values, "--as", "f32"}).exit_code ==
            0);
    const std::string bytes = read_file(values, 1 << 24);
    std::vector<float> floats(bytes.size() / sizeof(float));
    std::memcpy(floats.data(), bytes.data(), bytes.size());
    return floats;
  };
  const std::vector<float> original = extract(*model);
  for (const std::vector<std::string>& how : std::vector<std::vector<std::string>>{
           {"--type", "PIQ3"},
           {"--type", "PIQ3", "--search", "best"},
           {"--type", "PIQ2", "--incoherence", "--pure"},
           {"--type", "PIQ3", "--tensor", "ffn_down=PIQ3_32", "--incoherence"}}) {
    CAPTURE(how);
    std::vector<std::string> arguments = {"quantize", *model, file, "--json", "--verify"};
    arguments.insert(arguments.end(), how.begin(), how.end());
    std::vector<std::string> dry = {"quantize", *model, file, "--json", "--dry-run"};
    dry.insert(dry.end(), how.begin(), how.end());
    const auto planned = parse_json(run(dry).out, "plan");
    const Finished finished = run(arguments);
    CAPTURE(finished.err);
    REQUIRE(finished.exit_code == 0);
    const auto done = parse_json(finished.out, "run");
    CHECK(planned["bytes"] == std::filesystem::file_size(file));
    for (const auto& tensor : done["tensors"])
      CHECK(tensor["error"].get<double>() < (how[1] == "PIQ2" ? 0.5 : 0.3));
    // What is taken out is what the weights mean: near to the original, rotated or not.
    const std::vector<float> found = extract(file);
    REQUIRE(found.size() == original.size());
    double miss = 0, size = 0;
    for (size_t i = 0; i < found.size(); ++i) {
      miss += (found[i] - original[i]) * (found[i] - original[i]);
      size += original[i] * original[i];
    }
    CHECK(miss < (how[1] == "PIQ2" ? 0.25 : 0.06) * size);
    CHECK(answer({file}).size() > 24);
    const Finished info = run({"info", file});
    CHECK(info.exit_code == 0);
    CHECK(info.out.find("PIQ") != std::string::npos);
    // From a PIQ file to another type: what it means is what is quantised.
    REQUIRE(run({"quantize", file, folder / "again.gguf", "--type", "Q8_0", "--allow-requantize", "-q"})
                .exit_code == 0);
    const std::vector<float> again = extract(folder / "again.gguf");
    double change = 0;
    for (size_t i = 0; i < found.size(); ++i) change += (again[i] - found[i]) * (again[i] - found[i]);
    CHECK(change < 1e-4 * size);
  }
  const Finished wrong = run({"quantize", *model, folder / "x.gguf", "--type", "Q4_0", "--incoherence"});
  CHECK(wrong.exit_code == 2);
  CHECK(wrong.err.find("PIQ3") != std::string::npos);
}
