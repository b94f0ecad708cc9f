// The options of train-qat through the program: a recipe that was written gives the same file again, whatever
// the options; and options say what they do not do. The model is made here.
#include <doctest/doctest.h>

#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "cli/process.h"
#include "test_support.h"
#include "train/setting_samples.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

using namespace ruvllm;
using test::Finished;
using test::run;

namespace {

// A small model of random weights, text for it, and runs of a few steps.
class Lab {
 public:
  Lab() {
    write_file_atomically(folder_ / "text.txt", test::sample_story(40));
    write_file_atomically(folder_ / "chains.jsonl", test::sample_chains(8));
    write_file_atomically(folder_ / "more.txt", test::sample_story(9));
    write_file_atomically(folder_ / "shape.json",
                          R"({"architecture":"llama","block_count":1,"embedding_length":64,)"
                          R"("feed_forward_length":64,"attention.head_count":2,"attention.head_count_kv":1,)"
                          R"("context_length":128,"attention.layer_norm_rms_epsilon":1e-5,"vocab_size":290,)"
                          R"("tied_head":false})");
    const Finished made = run({"train-qat", "--from-scratch", path("shape.json"), "--data", path("text.txt"),
                               "--sequence", "64", "--batch-tokens", "128", "--epochs", "1", "--lr", "1e-2",
                               "--out", path("model.gguf"), "-t", "1"});
    CAPTURE(made.err);
    REQUIRE(made.exit_code == 0);
  }

  std::string path(const std::string& name) const { return folder_ / name; }
  std::string bytes(const std::string& name) const { return read_file(path(name), 1 << 24); }

  // What every run here is given.
  std::vector<std::string> start() const {
    return {"train-qat",
            path("model.gguf"),
            "--data",
            path("text.txt"),
            path("chains.jsonl"),
            "--epochs",
            "1",
            "--sequence",
            "64",
            "--batch-tokens",
            "128",
            "--lr",
            "1e-2",
            "-t",
            "1"};
  }
  Finished train(const std::vector<std::string>& more, const std::string& out) const {
    std::vector<std::string> words = start();
    words.insert(words.end(), more.begin(), more.end());
    words.insert(words.end(), {"--out", path(out)});
    return run(words);
  }
  // The same, which must go well; the output's bytes.
  std::string trained(const std::vector<std::string>& more) const {
    const Finished finished = train(more, "trained.gguf");
    CAPTURE(finished.err);
    REQUIRE(finished.exit_code == 0);
    return bytes("trained.gguf");
  }

  // Values of some options, as they are typed.
  std::vector<std::string> random_options(Random& random) const {
    std::vector<std::string> words;
    for (const test::SettingSample& sample : test::setting_samples()) {
      if (kFixed.contains(sample.option) || random.uniform() > 0.13) continue;
      const std::string value(sample.values[random.below(sample.values.size())]);
      words.emplace_back(sample.option);
      if (value.empty()) continue;
      const auto file = kFiles.find(value);
      words.push_back(file == kFiles.end() ? value : path(file->second));
    }
    return words;
  }

 private:
  // What is said in every run, or is none of the run's own.
  inline static const std::set<std::string_view> kFixed = {
      "MODEL", "--from-scratch", "--tokenizer",      "--chat-template",   "--recipe", "--recipe-out",
      "--out", "--epochs",       "--sequence",       "--batch-tokens",    "--lr",     "--resume",
      "--log", "--plot",         "--checkpoint-dir", "--checkpoint-every"};
  inline static const std::map<std::string, std::string> kFiles = {{"MODEL", "model.gguf"},
                                                                   {"MORE", "more.txt"},
                                                                   {"HELD_OUT", "more.txt"},
                                                                   {"CACHE", "cache"},
                                                                   {"ADAPTER", "adapter.gguf"}};
  test::TemporaryFolder folder_;
};

}  // namespace

TEST_CASE("thirty random sets of options: the recipe that a run wrote gives the same file again") {
  const Lab lab;
  Random random(test::test_seed());
  int n_replayed = 0;
  for (int attempt = 0; n_replayed < 30; ++attempt) {
    REQUIRE(attempt < 1000);
    std::vector<std::string> options = lab.random_options(random);
    const std::string recipe = lab.path(n_replayed % 2 == 0 ? "recipe.json" : "recipe.toml");
    CAPTURE(options);
    std::vector<std::string> first = options;
    first.insert(first.end(), {"--recipe-out", recipe});
    const Finished finished = lab.train(first, "a.gguf");
    CAPTURE(finished.err);
    if (finished.exit_code == 2 && (finished.err.find("can't act here") != std::string::npos ||
                                    finished.err.find("give one") != std::string::npos))
      continue;
    REQUIRE(finished.exit_code == 0);
    const bool has_adapter = std::ranges::find(options, "--adapter-out") != options.end();
    const std::string adapter = has_adapter ? lab.bytes("adapter.gguf") : "";
    // From the recipe alone: it knows the model and the data as well.
    const Finished again = run({"train-qat", "--recipe", recipe, "--out", lab.path("b.gguf"), "-t", "1"});
    CAPTURE(again.err);
    REQUIRE(again.exit_code == 0);
    const bool same = lab.bytes("a.gguf") == lab.bytes("b.gguf");
    CHECK(same);
    if (has_adapter) CHECK(adapter == lab.bytes("adapter.gguf"));
    ++n_replayed;
  }
}

TEST_CASE("a rule acts with a codebook as well, and one that adds nothing is the plain one") {
  const Lab lab;
  const std::vector<std::string> piq = {"--target", "PIQ2", "--pure", "--codebook", "--calibration-tokens",
                                        "0"};
  const auto with = [](std::vector<std::string> words, const char* rule) {
    words.insert(words.end(), {"--ste", rule});
    return words;
  };
  CHECK(lab.trained(piq) != lab.trained(with(piq, "clipped:1e-7")));
  CHECK(lab.trained(piq) == lab.trained(with(piq, "ewgs:0")));
  for (const char* rule : {"ewgs:0", "ewgs-abs:0"})
    CHECK(lab.trained({"--bits", "4"}) == lab.trained({"--bits", "4", "--ste", rule}));
}

TEST_CASE("what the command line says of the type wins over the recipe's") {
  const Lab lab;
  write_file_atomically(lab.path("recipe.json"), R"({"bits": 4})");
  lab.trained({"--recipe", lab.path("recipe.json"), "--target", "Q8_0"});
  const Finished listed = run({"inspect", "tensors", lab.path("trained.gguf"), "--json"});
  const Json tensors = parse_json(listed.out, "tensors");
  for (const Json& tensor : tensors.at("tensors"))
    if (tensor["name"] == "blk.0.attn_q.weight") CHECK(tensor["type"] == "Q8_0");
}

TEST_CASE("a checkpoint is refused where an option that decides the output differs, with both values") {
  const Lab lab;
  const std::vector<std::string> first = {"--bits", "4", "--checkpoint-dir", lab.path("ck")};
  lab.trained(first);
  for (const auto& [option, value] :
       std::vector<std::pair<std::string, std::string>>{{"--tensor", "ffn_up=Q8_0"},
                                                        {"--output-type", "Q8_0"},
                                                        {"--seed", "5"},
                                                        {"--ste", "clipped:0.1"},
                                                        {"--calibration-tokens", "8"},
                                                        {"--lambda-kd", "0.25"},
                                                        {"--reasoning-dims", "16"}}) {
    CAPTURE(option);
    std::vector<std::string> words = first;
    words.insert(words.end(), {"--resume", option, value});
    const Finished finished = lab.train(words, "b.gguf");
    CHECK(finished.exit_code == 2);
    CHECK(finished.err.find("checkpoint of another run: " + option + " was ") != std::string::npos);
    CHECK(finished.err.find(" and is " + value) != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(lab.path("b.gguf")));
  }
  std::vector<std::string> again = first;
  again.push_back("--resume");
  CHECK(lab.trained(again) == lab.trained({"--bits", "4"}));
}

TEST_CASE("evaluation tells the answers' loss, and that data has no steps to reason over") {
  const Lab lab;
  write_file_atomically(lab.path("steps.jsonl"), test::sample_chains(2));
  const Finished finished =
      lab.train({"--bits", "2", "--eval", lab.path("steps.jsonl"), "--log", lab.path("log.jsonl")}, "a.gguf");
  REQUIRE(finished.exit_code == 0);
  bool has_answers = false;
  const std::string log = lab.bytes("log.jsonl");
  for (size_t begin = 0; begin < log.size(); begin = log.find('\n', begin) + 1) {
    const Json line = parse_json(log.substr(begin, log.find('\n', begin) - begin), "log");
    if (!line.contains("reasoning")) continue;
    has_answers = true;
    const Json& r = line["reasoning"];
    CHECK(r["answer_loss"].get<double>() >= 0.5 * (1 - r["agreement"].get<double>()));
    CHECK(r["answer_loss"].get<double>() <= 1 - r["agreement"].get<double>());
    CHECK(r["loss"].get<double>() ==
          doctest::Approx(0.3 * r["step_loss"].get<double>() + 0.5 * r["trajectory_loss"].get<double>() +
                          0.2 * r["answer_loss"].get<double>()));
  }
  CHECK(has_answers);
  const Finished plain =
      run({"train-qat", lab.path("model.gguf"), "--data", lab.path("text.txt"), "--epochs", "1", "--sequence",
           "64", "--batch-tokens", "128", "--lambda-reasoning", "0.7", "--out", lab.path("c.gguf")});
  CHECK(plain.exit_code == 0);
  CHECK(plain.err.find("no reasoning steps") != std::string::npos);
}
