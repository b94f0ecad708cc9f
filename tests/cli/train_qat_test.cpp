// ruvllm train-qat, as a process: what users type, and what comes of it.
#include <doctest/doctest.h>

#include "base/file.h"
#include "base/json.h"
#include "base/strings.h"
#include "cli/process.h"
#include "test_support.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

using namespace ruvllm;
using test::Finished;
using test::run;
using test::TemporaryFolder;
using test::test_data;

namespace {

// A run that takes a second or two: a few steps on text that the model writes itself.
std::vector<std::string> short_run(const std::filesystem::path& model, const TemporaryFolder& folder,
                                   std::vector<std::string> more) {
  std::vector<std::string> arguments = {
      "train-qat", model.string(),      "--data-free", "3000",           "--epochs",
      "1",         "--sequence",        "128",         "--batch-tokens", "256",
      "--out",     folder / "out.gguf", "--lr",        "1e-3",           "--json"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

struct Wrong {
  std::string key;  // what the message must name
  std::string json;
};

}  // namespace

TEST_CASE("without a data set: the teacher writes one, and training on a grid brings the loss down") {
  const auto model = test_data("stories260K/stories260K.gguf");
  const auto text = test_data("stories260K/stories-eval.txt");
  if (!model || !text) return;
  const TemporaryFolder folder;
  const std::string log = folder / "log.jsonl";
  const Finished finished = run(short_run(*model, folder,
                                          {"--bits", "4", "--granularity", "tensor", "--ste", "lsq",
                                           "--data-free", "20000", "--eval", *text, "--log", log}));
  CAPTURE(finished.err);
  REQUIRE(finished.exit_code == 0);
  const Json result = parse_json(finished.out, "result");
  const Json& perplexity = result["perplexity"];
  CHECK(perplexity["exported"] == perplexity["after"]);
  CHECK(perplexity["full_precision"].get<double>() < perplexity["before"].get<double>());
  CHECK(perplexity["after"].get<double>() < perplexity["before"].get<double>());
  std::vector<std::string> phases;
  bool has_calibration = false;
  const std::string lines = read_file(log, 1 << 24);
  for (const std::string_view line : split(lines, '\n')) {
    if (line.empty()) continue;
    const Json json = parse_json(line, "log");
    if (json.contains("phase")) phases.push_back(json["phase"]);
    has_calibration |= json.contains("calibration") && json["calibration"]["tokens"] > 0;
  }
  CHECK(has_calibration);
  for (const char* phase : {"calibrate", "warm up", "train", "evaluate", "export", "verify"})
    CHECK(std::ranges::find(phases, phase) != phases.end());
}

TEST_CASE("every grid of --bits, every rule and granularity: the file holds what was evaluated") {
  const auto model = test_data("stories260K/stories260K.gguf");
  const auto text = test_data("stories260K/stories-eval.txt");
  if (!model || !text) return;
  const TemporaryFolder folder;
  for (const std::vector<std::string>& grid : std::vector<std::vector<std::string>>{
           {"--target", "Q4_K_M", "--ste", "ewgs:0.2"},
           {"--bits", "4", "--granularity", "channel"},
           {"--bits", "5", "--granularity", "block:32", "--ste", "lsq"},
           {"--bits", "8", "--granularity", "token", "--ste", "clipped:0.5"},
           {"--bits", "4", "--asymmetric"},
           {"--preset", "piq3"},
           {"--preset", "piq2", "--pi-k", "5"},
           {"--bits", "2", "--granularity", "block:64"},
           {"--target", "PIQ3", "--codebook"},
           {"--target", "PIQ2", "--lora-rank", "4"},
           {"--bits", "3", "--lora-rank", "2", "--adapter-out", folder / "adapter.gguf"}}) {
    CAPTURE(grid);
    std::vector<std::string> more = grid;
    more.insert(more.end(), {"--eval", *text});
    const Finished finished = run(short_run(*model, folder, more));
    CAPTURE(finished.err);
    REQUIRE(finished.exit_code == 0);
    const Json perplexity = parse_json(finished.out, "result")["perplexity"];
    CHECK(perplexity["exported"] == perplexity["after"]);
    if (grid.back().ends_with("adapter.gguf")) continue;  // which is no part of the file
    const Finished bench = run({"bench", folder / "out.gguf", "--perplexity", *text, "-c", "128", "--json"});
    REQUIRE(bench.exit_code == 0);
    const double measured = parse_json(bench.out, "bench")["perplexity"];
    CHECK(measured == doctest::Approx(perplexity["after"].get<double>()).epsilon(5e-3));  // int8 activations
  }
}

TEST_CASE("a mixture of experts keeps its layout, and the file holds what was evaluated") {
  const auto text = test_data("stories260K/stories-eval.txt");
  if (!text) return;
  const TemporaryFolder folder;
  for (const auto& [name, grid] : std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"llama-moe", {"--target", "Q4_0"}},
           {"llama-moe", {"--preset", "piq2"}},
           {"qwen2moe", {"--bits", "4", "--ste", "lsq"}}}) {
    CAPTURE(name);
    const auto model = test_data("tiny/" + name + ".gguf");
    if (!model) return;
    std::vector<std::string> more = grid;
    more.insert(more.end(), {"--eval", *text, "--checkpoint-activations"});
    const Finished finished = run(short_run(*model, folder, more));
    CAPTURE(finished.err);
    REQUIRE(finished.exit_code == 0);
    const Json perplexity = parse_json(finished.out, "result")["perplexity"];
    CHECK(perplexity["exported"] == perplexity["after"]);
    const auto shapes = [](const std::string& file) {
      std::map<std::string, Json> by_name;
      const Finished listed = run({"inspect", "tensors", file, "--json"});
      const Json tensors = parse_json(listed.out, "tensors");
      for (const Json& tensor : tensors.at("tensors"))
        by_name[tensor["name"]] = tensor["shape"];
      return by_name;
    };
    CHECK(shapes(folder / "out.gguf") == shapes(*model));
    const Finished bench = run({"bench", folder / "out.gguf", "--perplexity", *text, "-c", "128", "--json"});
    REQUIRE(bench.exit_code == 0);
    const double measured = parse_json(bench.out, "bench")["perplexity"];
    CHECK(measured == doctest::Approx(perplexity["after"].get<double>()).epsilon(5e-3));
  }
}

TEST_CASE("wrong configurations end with 2 and name the key") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const TemporaryFolder folder;
  const Wrong cases[] = {
      {"bits", R"({"bits": 7})"},
      {"bits", R"({"bits": "four"})"},
      {"bits", R"({"bits": -3})"},
      {"ste", R"({"target": "Q4_0", "ste": "round"})"},
      {"ste", R"({"target": "Q4_0", "ste": "clipped:-1"})"},
      {"ste", R"({"target": "Q4_0", "ste": "ewgs:x"})"},
      {"ste", R"({"target": "F16", "ste": "lsq"})"},
      {"ste", R"({"target": "IQ4_NL", "ste": "lsq"})"},
      {"granularity", R"({"bits": 4, "granularity": "row"})"},
      {"granularity", R"({"bits": 4, "granularity": "block:33"})"},
      {"granularity", R"({"target": "F16", "granularity": "channel"})"},
      {"weights.task", R"({"weights": {"task": -1}})"},
      {"weights.kd", R"({"weights": {"kd": "much"}})"},
      {"weights.temperature", R"({"weights": {"temperature": 0}})"},
      {"weights.speed", R"({"weights": {"speed": 1}})"},
      {"weights", R"({"weights": 3})"},
      {"weights", R"({"weights": "balanced"})"},
      {"epochs", R"({"epochs": 0})"},
      {"epochs", R"({"epochs": 1.5})"},
      {"lr", R"({"lr": 0})"},
      {"lr", R"({"lr": -1e-4})"},
      {"warmup_epochs", R"({"warmup_epochs": -1})"},
      {"grad_clip", R"({"grad_clip": "some"})"},
      {"weight_decay", R"({"weight_decay": -0.1})"},
      {"symmetric", R"({"symmetric": 1})"},
      {"asymmetric", R"({"symmetric": false, "bits": 8})"},
      {"freeze_teacher", R"({"freeze_teacher": false})"},
      {"distillation", R"({"distillation": "yes"})"},
      {"pi_k", R"({"pi_k": 6})"},
      {"pi_k", R"({"pi_k": 2.5})"},
      {"preset", R"({"preset": "piq9"})"},
      {"reasoning.dims", R"({"reasoning": {"dims": 0}})"},
      {"reasoning.speed", R"({"reasoning": {"speed": 1}})"},
      {"reasoning", R"({"reasoning": "poetry"})"},
      {"incoherence", R"({"target": "Q4_0", "incoherence": true})"},
      {"codebook", R"({"target": "Q4_0", "codebook": true})"},
      {"data", R"({"data": "text.txt"})"},
      {"learning_rate", R"({"learning_rate": 1e-3})"},
      {"Q9_X", R"({"target": "Q9_X"})"},
  };
  for (const Wrong& wrong : cases) {
    CAPTURE(wrong.json);
    write_file_atomically(folder / "recipe.json", wrong.json);
    const Finished finished = run({"train-qat", *model, "--data-free", "100", "--out", folder / "out.gguf",
                                   "--recipe", folder / "recipe.json"});
    CAPTURE(finished.err);
    CHECK(finished.exit_code == 2);
    CHECK(finished.err.find(wrong.key) != std::string::npos);
    CHECK(std::ranges::count(finished.err, '\n') == 1);
    CHECK_FALSE(std::filesystem::exists(folder / "out.gguf"));
  }
  write_file_atomically(folder / "recipe.json", "{\"bits\": ");
  CHECK(run({"train-qat", *model, "--data-free", "100", "--out", folder / "out.gguf", "--recipe",
             folder / "recipe.json"})
            .exit_code == 5);
}

TEST_CASE("a recipe that was written says the same when it is read, in JSON and in TOML") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const TemporaryFolder folder;
  const auto write = [&](std::vector<std::string> more, const std::string& name) {
    more.insert(more.end(), {"--recipe-out", folder / name});
    const Finished finished = run(short_run(*model, folder, more));
    CAPTURE(finished.err);
    REQUIRE(finished.exit_code == 0);
    return read_file(folder / name, 1 << 16);
  };
  const std::string first = write({"--bits", "4", "--granularity", "block:64", "--ste", "ewgs:0.3",
                                   "--lambda-kd", "0.7", "--lr", "0.0003", "--seed", "5", "--grad-clip", "0"},
                                  "a.json");
  const std::string trained = read_file(folder / "out.gguf", 1 << 26);
  const Json plain = parse_json(write({}, "plain.json"), "recipe");  // 4 bits, where nothing says a target
  CHECK(plain["bits"] == 4);
  CHECK(plain["target"] == "");
  CHECK(write({"--recipe", folder / "plain.json"}, "again.json") ==
        read_file(folder / "plain.json", 1 << 16));
  const Finished info = run({"inspect", "tensors", folder / "out.gguf", "--json"});
  const Json tensors = parse_json(info.out, "tensors");
  for (const Json& tensor : tensors.at("tensors"))
    if (tensor["name"] == "blk.0.attn_q.weight") CHECK(tensor["type"] == "Q4_0");
  std::filesystem::remove(folder / "out.gguf");
  std::vector<std::string> again = {
      "train-qat", *model,  "--data-free",       "3000",  "--sequence", "128", "--batch-tokens",
      "256",       "--out", folder / "out.gguf", "--json"};
  for (const char* name : {"b.json", "c.toml", "d.json"}) {
    std::vector<std::string> arguments = again;
    const std::string from = name[0] == 'b' ? "a.json" : name[0] == 'c' ? "b.json" : "c.toml";
    arguments.insert(arguments.end(), {"--recipe", folder / from, "--recipe-out", folder / name});
    const Finished finished = run(arguments);
    CAPTURE(finished.err);
    REQUIRE(finished.exit_code == 0);
    CHECK(read_file(folder / "out.gguf", 1 << 26) == trained);
  }
  CHECK(read_file(folder / "b.json", 1 << 16) == first);
  CHECK(read_file(folder / "d.json", 1 << 16) == first);
  const Finished overruled = run({"train-qat", *model, "--data-free", "3000", "--sequence", "128",
                                  "--batch-tokens", "256", "--out", folder / "out.gguf", "--recipe",
                                  folder / "a.json", "--bits", "8", "--recipe-out", folder / "e.json"});
  REQUIRE(overruled.exit_code == 0);
  CHECK(parse_json(read_file(folder / "e.json", 1 << 16), "recipe")["bits"] == 8);
}
