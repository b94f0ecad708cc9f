// Every pair of options either works together or is refused by name: each is resolved, and of those that are
// accepted the run with an option gives another output than the run without it.
#include "train/settings.h"

#include "base/error.h"
#include "base/file.h"
#include "test_support.h"
#include "text/tokenizer.h"
#include "train/fresh_model.h"
#include "train/setting_samples.h"
#include "train/typed_setting.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <set>
#include <string>

using namespace ruvllm;
using namespace ruvllm::train;

namespace {

void write_text(const std::filesystem::path& path, const std::string& text) {
  write_file_atomically(path, text);
}

// A folder with everything that values of options name, and runs in it.
class Lab {
 public:
  Lab() {
    write_text(folder_ / "text.txt", test::sample_story(24));
    write_text(folder_ / "chains.jsonl", test::sample_chains(8));
    write_text(folder_ / "more.txt", "Another story that is told once more.\n" + test::sample_story(3));
    write_text(folder_ / "held.txt", test::sample_story(6));
    write_text(folder_ / "recipe.json", "{}");
    const Json json = {{"architecture", "llama"},   {"block_count", 1},
                       {"embedding_length", 64},    {"feed_forward_length", 320},
                       {"attention.head_count", 2}, {"attention.head_count_kv", 1},
                       {"context_length", 128},     {"attention.layer_norm_rms_epsilon", 1e-5},
                       {"vocab_size", 280},         {"tied_head", false}};
    shape_ = read_model_shape(json, "shape");
    add_trained_tokenizer(shape_, test::sample_story(24));
    file_.metadata = shape_.metadata;
    tokenizer_ = text::make_tokenizer(file_);
  }

  Settings base() const {
    Settings settings;
    settings.model = "model.gguf";
    settings.run.keeps_better_start = false;  // the bytes are to tell what training did
    settings.run.data = {folder_ / "text.txt", folder_ / "chains.jsonl"};
    settings.run.output = folder_ / "out.gguf";
    settings.run.sequence_tokens = 64;
    settings.run.batch_tokens = 128;
    settings.run.trainer.n_epochs = 1;
    settings.run.trainer.learning_rate = 1e-2f;
    settings.run.trainer.warmup_epochs = 0;
    for (const char* option : {"MODEL", "--data", "--out", "--warmup-epochs", "--epochs"})
      settings.given.emplace(option, Origin::command_line);
    return settings;
  }

  // As if it had been typed.
  void set(Settings& settings, std::string_view option, std::string_view value) const {
    static const std::map<std::string_view, std::string> kNames = {
        {"SHAPE", "shape.json"},     {"TEMPLATE", "template.jinja"},
        {"RECIPE", "recipe.json"},   {"WRITTEN", "w.json"},
        {"MORE", "more.txt"},        {"HELD_OUT", "held.txt"},
        {"OUT", "other.gguf"},       {"CACHE", "cache"},
        {"ADAPTER", "adapter.gguf"}, {"CHECKPOINTS", "ck"},
        {"LOG", "log.jsonl"},        {"PLOT.svg", "plot.svg"},
        {"MODEL", "model.gguf"}};
    const auto name = kNames.find(value);
    const std::string text = name == kNames.end() ? std::string(value) : (folder_ / name->second).string();
    if (option == "--from-scratch") settings.model.clear(), settings.given.erase("MODEL");
    test::type_setting(settings, option, text);
  }

  TypePlan types(const Settings& settings) const {
    return plan_types(*network(7), shape_.metadata, settings.run.recipe);
  }

  // Whether the last run said something of the option: that what it wishes helps no tensor, say.
  bool spoke_of(std::string_view option) const { return said_.find(option) != std::string::npos; }

  // The bytes of the run's output.
  std::string train(const Settings& settings) {
    Subject subject;
    subject.network = network(7);
    subject.teacher = network(8);
    subject.tokenizer = tokenizer_;
    subject.metadata = shape_.metadata;
    said_.clear();
    RunObserver observer;
    observer.on_note = [this](std::string_view note) { said_ += note; };
    run_training(subject, settings.run, pool_, observer, kNever);
    std::string bytes = read_file(settings.run.output, 1 << 24);
    if (!settings.run.adapter_output.empty()) bytes += read_file(settings.run.adapter_output, 1 << 24);
    std::filesystem::remove_all(folder_ / "ck");
    return bytes;
  }

 private:
  // Random, with a column that stands out, so that a rotation helps.
  std::unique_ptr<Network> network(uint64_t seed) const {
    auto made = std::make_unique<Network>(file_, shape_.tied_head, seed);
    for (const auto& parameter : made->parameters())
      if (parameter->shape.n_rows > 1)
        for (size_t row = 0; row < parameter->shape.n_rows; ++row)
          parameter->value[row * parameter->shape.n_columns + 5] *= 30;
    return made;
  }

  static constexpr std::atomic<bool> kNever{false};
  test::TemporaryFolder folder_;
  std::string said_;
  ModelShape shape_;
  format::ModelFile file_;
  std::shared_ptr<const text::Tokenizer> tokenizer_;
  ThreadPool pool_{1};
};

// What programs make of a model reference or a file, before a run begins: nothing for a run in here to see.
bool is_for_the_program(const Setting& setting) { return setting.decides == Decides::content; }

bool decides(const Setting& setting) {
  return setting.decides == Decides::value || setting.decides == Decides::presence;
}

// Of a pair, one option may say what the other means already, so that both is the same as one: what was asked
// for happens all the same.
bool says_again(const Setting& setting, const Lab& lab, const Settings& with, const Settings& without) {
  static const std::set<std::string_view> kTypes = {"--target", "--bits",        "--tensor",
                                                    "--pure",   "--output-type", "--embedding-type"};
  if (kTypes.contains(setting.option)) return lab.types(with) == lab.types(without);
  if (setting.option == "--ste")
    return with.rule == without.rule || (with.rule == "ewgs:0" && without.rule == "standard");
  if (number_of(setting, with) == 0.0 && !can_act(setting, with)) return true;  // asks for nothing
  return setting.option == "--incoherence" && without.run.own.rotate;
}

struct Choice {
  const Setting* setting;
  std::string_view value;
};

}  // namespace

TEST_CASE("every pair of options works together, to another output, or is refused by name") {
  Lab lab;
  std::vector<Choice> choices;
  for (const test::SettingSample& sample : test::setting_samples())
    for (const std::string_view value : sample.values)
      choices.push_back({&find_setting(sample.option), value});
  const auto resolved = [&](std::initializer_list<Choice> chosen) -> std::optional<Settings> {
    Settings settings = lab.base();
    for (const Choice& choice : chosen) lab.set(settings, choice.setting->option, choice.value);
    try {
      resolve(settings);
      return settings;
    } catch (const Error& error) {
      CHECK(error.code() == Errc::usage);
      const std::string message = error.what();
      CAPTURE(message);
      const bool names_one = std::ranges::any_of(chosen, [&](const Choice& choice) {
        return message.find(choice.setting->option) != std::string::npos;
      });
      CHECK(names_one);
      return std::nullopt;
    }
  };
  std::map<std::string, std::string> outputs;  // by what was chosen
  const auto output = [&](const std::string& name, const Settings& settings) -> const std::string& {
    const auto found = outputs.find(name);
    return found != outputs.end() ? found->second : outputs.emplace(name, lab.train(settings)).first->second;
  };
  const auto name_of = [](const Choice& choice) {
    return fmt::format("{} {}", choice.setting->option, choice.value);
  };
  size_t n_refused = 0, n_compared = 0;
  for (const Choice& beside : choices) {
    const auto without = resolved({beside});
    for (const Choice& choice : choices) {
      if (choice.setting == beside.setting) continue;
      CAPTURE(name_of(choice));
      CAPTURE(name_of(beside));
      const auto with = resolved({choice, beside});
      n_refused += !with;
      if (!with || !without || !decides(*choice.setting) || choice.setting->option == "--data-free") continue;
      if (is_for_the_program(*beside.setting) || is_default(*choice.setting, *with)) continue;
      if (says_again(*choice.setting, lab, *with, *without)) continue;
      ++n_compared;
      const std::string& plain = output(name_of(beside), *without);
      const bool differs = plain != lab.train(*with);
      CHECK((differs || lab.spoke_of(choice.setting->option)));
    }
  }
  CHECK(n_refused > 300);
  CHECK(n_compared > 1000);
}
