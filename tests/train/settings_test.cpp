// What settings come to: defaults, presets, bounds, and what the command line does to a recipe.
#include "train/settings.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "test_support.h"
#include "train/setting_samples.h"
#include "train/typed_setting.h"

#include <doctest/doctest.h>

#include <set>
#include <string>

using namespace ruvllm;
using namespace ruvllm::train;

namespace {

Settings plain() {
  Settings settings;
  settings.model = "model.gguf";
  settings.run.output = "out.gguf";
  settings.given.emplace("MODEL", Origin::command_line);
  settings.given.emplace("--out", Origin::command_line);
  return settings;
}

void give(Settings& settings, std::string_view option) {
  settings.given.emplace(option, Origin::command_line);
}

// What resolve() says against it; empty where it accepts.
std::string refusal(Settings& settings) {
  try {
    resolve(settings);
    return {};
  } catch (const Error& error) {
    CHECK(error.code() == Errc::usage);
    return error.what();
  }
}

bool names(const std::string& message, std::string_view part) {
  return message.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("no option, and no key, stands twice in the table") {
  std::set<std::string_view> options, keys;
  for (const Setting& setting : all_settings()) {
    CHECK(options.insert(setting.option).second);
    if (!setting.key.empty()) CHECK(keys.insert(setting.key).second);
    CHECK(setting.about.ends_with("."));
    if (setting.decides != Decides::no) CHECK_FALSE(setting.key.empty());  // a recipe holds what decides
  }
  CHECK(keys.contains("symmetric"));
  CHECK(find_setting("--asymmetric").key_is_opposite);
}

TEST_CASE("a run of which nothing is said trains for 4 bits, on text that the model writes") {
  Settings settings = plain();
  resolve(settings);
  CHECK(settings.bits == 4);
  CHECK(settings.run.target == "Q4_0");
  CHECK(settings.run.recipe.pure);
  CHECK(settings.run.qat.enabled);
  CHECK(settings.data_free_tokens == 200'000);
  CHECK(settings.run.trainer.losses.task == 0);
  CHECK(settings.run.trainer.losses.distillation == 1);
}

TEST_CASE("warm-up is as long as it is said to be, and leaves something to train on the grid") {
  const auto warm_up = [](uint64_t n_epochs, std::optional<float> wanted, const char* target) {
    Settings settings = plain();
    settings.target = target;
    settings.run.trainer.n_epochs = n_epochs;
    give(settings, "--target");
    give(settings, "--epochs");
    if (wanted) settings.run.trainer.warmup_epochs = *wanted, give(settings, "--warmup-epochs");
    settings.run.data = {"text.txt"};
    give(settings, "--data");
    const std::string message = refusal(settings);
    if (!message.empty()) {
      CHECK(names(message, "--warmup-epochs"));
      return -1.0f;
    }
    return settings.run.trainer.warmup_epochs;
  };
  CHECK(warm_up(3, 1.0f, "Q4_0") == 1.0f);
  CHECK(warm_up(3, 2.0f, "Q4_0") == 2.0f);
  CHECK(warm_up(3, 3.0f, "Q4_0") == -1.0f);
  CHECK(warm_up(3, 3.0f, "F32") == 3.0f);
  CHECK(warm_up(3, 3.5f, "F32") == -1.0f);
  CHECK(warm_up(1, std::nullopt, "Q4_0") == doctest::Approx(0.1));
  CHECK(warm_up(20, std::nullopt, "Q4_0") == 1.0f);
}

TEST_CASE("numbers keep to their bounds, which are named with the option") {
  struct Case {
    const char* option;
    void (*set)(Settings&);
  };
  const Case cases[] = {
      {"--lr", [](Settings& s) { s.run.trainer.learning_rate = 0; }},
      {"--lr", [](Settings& s) { s.run.trainer.learning_rate = std::numeric_limits<float>::infinity(); }},
      {"--grad-clip", [](Settings& s) { s.run.trainer.optimiser.gradient_clip = std::nanf(""); }},
      {"--epochs", [](Settings& s) { s.run.trainer.n_epochs = 0; }},
      {"--accumulate", [](Settings& s) { s.run.trainer.accumulate = 0; }},
      {"--kd-temperature", [](Settings& s) { s.run.trainer.losses.temperature = 0; }},
      {"--pi-k", [](Settings& s) { s.run.pi_k = 6; }},
      {"--bits", [](Settings& s) { s.bits = 0; }},
      {"--lora-rank", [](Settings& s) { s.run.lora_rank = 5000; }},
      {"--reasoning-threshold", [](Settings& s) { s.run.trainer.reasoning.threshold = 2; }},
      {"--reasoning-dims", [](Settings& s) { s.run.trainer.reasoning.n_sampled = 0; }},
      {"--batch-tokens", [](Settings& s) { s.run.batch_tokens = 100; }},  // less than --sequence
  };
  for (const Case& wrong : cases) {
    CAPTURE(std::string(wrong.option));
    Settings settings = plain();
    wrong.set(settings);
    give(settings, wrong.option);
    CHECK(names(refusal(settings), wrong.option));
  }
}

TEST_CASE("options that would have no effect are refused, by name and with the reason") {
  struct Case {
    const char *option, *reason;
    void (*set)(Settings&);
  };
  const Case cases[] = {
      {"--incoherence", "PIQ2", [](Settings& s) { s.target = "Q4_0", s.run.own.rotate = true; }},
      {"--codebook", "PIQ2", [](Settings& s) { s.target = "Q4_0", s.run.own.learn_levels = true; }},
      {"--pi-k", "PIQ2", [](Settings& s) { s.target = "Q4_0", s.run.pi_k = 3; }},
      {"--ste", "quantised", [](Settings& s) { s.target = "F16", s.rule = "clipped"; }},
      {"--kd-temperature", "--lambda-kd",
       [](Settings& s) { s.target = "F32", s.run.trainer.losses.temperature = 2; }},
      {"--teacher", "--lambda-kd", [](Settings& s) { s.target = "F32", s.teacher = "other.gguf"; }},
      {"--reasoning", "--lambda-reasoning", [](Settings& s) { s.target = "F32", s.reasoning = "math"; }},
      {"--checkpoint-every", "--checkpoint-dir", [](Settings& s) { s.run.checkpoint_every = 3; }},
      {"--asymmetric", "3 or 8 bits", [](Settings& s) { s.bits = 3, s.asymmetric = true; }},
      {"--asymmetric", "3 or 8 bits", [](Settings& s) { s.bits = 8, s.asymmetric = true; }},
      {"--lambda-task", "nothing would be learned",
       [](Settings& s) { s.target = "F32", s.run.trainer.losses.task = 0; }},
      {"--adapter-out", "--lora-rank", [](Settings& s) { s.run.adapter_output = "a.gguf"; }},
  };
  for (const Case& vain : cases) {
    CAPTURE(std::string(vain.option));
    Settings settings = plain();
    settings.run.data = {"text.txt"};
    vain.set(settings);
    for (const char* option : {vain.option, "--data"}) give(settings, option);
    if (!settings.target.empty()) give(settings, "--target");
    if (settings.bits != 0) give(settings, "--bits");
    const std::string message = refusal(settings);
    CHECK(names(message, vain.option));
    CHECK(names(message, vain.reason));
  }
}

TEST_CASE("a number of 0 asks for nothing, and is accepted where more would be refused") {
  Settings settings = plain();
  settings.target = "F32";
  settings.run.data = {"text.txt"};
  settings.run.calibration_tokens = 0;
  for (const char* option : {"--target", "--data", "--calibration-tokens"}) give(settings, option);
  CHECK(refusal(settings).empty());
}

TEST_CASE("a PIQ matrix by a rule is one for the options of PIQ") {
  Settings settings = plain();
  settings.target = "Q4_0";
  settings.run.own.rotate = true;
  settings.tensor_rules = {"ffn_up=PIQ3"};
  for (const char* option : {"--target", "--incoherence", "--tensor"}) give(settings, option);
  CHECK(refusal(settings).empty());
}

TEST_CASE("a minimum in each block: for 2, 4 and 5 bits") {
  for (const auto& [bits, type] : {std::pair{2, "Q2_K"}, {4, "Q4_1"}, {5, "Q5_1"}}) {
    Settings settings = plain();
    settings.bits = bits;
    settings.asymmetric = true;
    give(settings, "--bits");
    give(settings, "--asymmetric");
    resolve(settings);
    CHECK(settings.run.target == type);
    CHECK(settings.run.recipe.mix->name == type);
    CHECK(settings.run.recipe.pure);
  }
}

TEST_CASE("the rule that takes 0: ewgs without its term is the plain estimator") {
  for (const char* rule : {"ewgs:0", "ewgs-abs:0"}) {
    Settings settings = plain();
    settings.rule = rule;
    give(settings, "--ste");
    resolve(settings);
    CHECK(settings.run.qat.rule.lambda == 0);
  }
  for (const char* rule :
       {"clipped:0", "ewgs:-1", "ewgs:nan", "ewgs:inf", "standard:1", "lsq:1", "clipped:", "round"}) {
    Settings settings = plain();
    settings.rule = rule;
    give(settings, "--ste");
    CHECK(names(refusal(settings), "--ste"));
  }
}

TEST_CASE("the command line wins over a recipe: one option over all that say the same thing") {
  const test::TemporaryFolder folder;
  const auto with = [&](const char* recipe, auto set, std::initializer_list<const char*> given) -> Settings {
    write_file_atomically(folder / "recipe.json", recipe);
    Settings settings = plain();
    settings.recipe = folder / "recipe.json";
    set(settings);
    for (const char* option : given) give(settings, option);
    resolve(settings);
    return settings;
  };
  const Settings target =
      with(R"({"bits": 3, "lr": 0.5})", [](Settings& s) { s.target = "Q8_0"; }, {"--target"});
  CHECK(target.run.target == "Q8_0");
  CHECK(target.bits == 0);
  CHECK(target.run.trainer.learning_rate == 0.5f);
  CHECK(target.notes.empty());
  const Settings bits = with(R"({"target": "Q8_0"})", [](Settings& s) { s.bits = 5; }, {"--bits"});
  CHECK(bits.run.target == "Q5_0");
  const Settings preset =
      with(R"({"bits": 4, "ste": "ewgs"})", [](Settings& s) { s.preset = "piq3"; }, {"--preset"});
  CHECK(preset.bits == 3);
  CHECK(preset.rule == "lsq");
  const Settings scratch = with(R"({"model": "other.gguf"})",
                                [](Settings& s) {
                                  s.model.clear(), s.from_scratch = "shape.json", s.run.data = {"text.txt"},
                                                   s.given.clear();
                                },
                                {"--from-scratch", "--data", "--out"});
  CHECK(scratch.model.empty());
  // What the other type has no use for is left out, and that is said; without another type it is refused.
  const char* piq = R"({"bits": 3, "pi_k": 4, "incoherence": true})";
  const Settings other = with(piq, [](Settings& s) { s.target = "Q4_0"; }, {"--target"});
  CHECK(other.run.pi_k == 0);
  CHECK_FALSE(other.run.own.rotate);
  REQUIRE(other.notes.size() == 2);
  CHECK(names(other.notes[0], "pi_k"));
  CHECK_THROWS_AS(with(R"({"bits": 4, "pi_k": 4})", [](Settings&) {}, {}), Error);
  CHECK_THROWS_AS(with(R"({"bits": 4, "target": "Q4_0"})", [](Settings&) {}, {}), Error);
  // A flag that a recipe denies is denied to its preset as well.
  CHECK_FALSE(with(R"({"preset": "piq2", "incoherence": false})", [](Settings&) {}, {}).run.own.rotate);
  CHECK(with(R"({"preset": "piq2"})", [](Settings&) {}, {}).run.own.rotate);
}

TEST_CASE("the parts of the reasoning loss have keys, over a preset's") {
  const test::TemporaryFolder folder;
  write_file_atomically(
      folder / "recipe.toml",
      "[reasoning]\npreset = \"math\"\ndims = 32\nthreshold = 0.8\nnormalised = false\nanswer = 0\n");
  Settings settings = plain();
  settings.recipe = folder / "recipe.toml";
  settings.run.evaluation = "held.txt";
  give(settings, "--eval");
  resolve(settings);
  const ReasoningOptions& reasoning = settings.run.trainer.reasoning;
  CHECK(reasoning.step == 0.4f);  // of math
  CHECK(reasoning.trajectory == 0.4f);
  CHECK(reasoning.answer == 0);
  CHECK(reasoning.threshold == 0.8f);
  CHECK(reasoning.n_sampled == 32);
  CHECK_FALSE(reasoning.normalised);
}

TEST_CASE("a checkpoint knows every option that decides, and no other") {
  Settings settings = plain();
  settings.tensor_rules = {"ffn_up=Q8_0"};
  give(settings, "--tensor");
  resolve(settings);
  std::set<std::string> known;
  for (const auto& [name, value] : settings.run.settings) known.insert(name);
  for (const Setting& setting : all_settings())
    CHECK(known.contains(std::string(setting.option)) ==
          (setting.decides == Decides::value || setting.decides == Decides::presence));
}

TEST_CASE("the man page names every key") {
  const std::string roff = recipe_keys_roff();
  for (const Setting& setting : all_settings())
    if (!setting.key.empty()) CHECK(roff.find(fmt::format("\n{} (", setting.key)) != std::string::npos);
}

TEST_CASE("every option has a sample, and samples are of options") {
  std::set<std::string_view> sampled;
  for (const test::SettingSample& sample : test::setting_samples()) {
    CHECK(sampled.insert(sample.option).second);
    CHECK(find_setting(sample.option).option == sample.option);
  }
  CHECK(sampled.size() == all_settings().size());
}

TEST_CASE("every pair of options is accepted, or refused with one of them named") {
  int n_accepted = 0, n_refused = 0;
  for (const test::SettingSample& a : test::setting_samples())
    for (const test::SettingSample& b : test::setting_samples())
      for (const std::string_view value : a.values) {
        // These two are about files, which setting_pairs_long_test.cpp makes.
        if (a.option == b.option || a.option.starts_with("--recipe") || b.option.starts_with("--recipe"))
          continue;
        Settings settings = plain();
        test::type_setting(settings, "--data", "text.txt");
        test::type_setting(settings, a.option, std::string(value));
        test::type_setting(settings, b.option, std::string(b.values[0]));
        if (!settings.from_scratch.empty() && a.option != "MODEL" && b.option != "MODEL")
          settings.model.clear(), settings.given.erase("MODEL");
        const std::string message = refusal(settings);
        (message.empty() ? n_accepted : n_refused) += 1;
        CAPTURE(message);
        CAPTURE(std::string(a.option));
        CAPTURE(std::string(b.option));
        CHECK((message.empty() || names(message, a.option) || names(message, b.option)));
      }
  CHECK(n_accepted > 2000);
  CHECK(n_refused > 300);
}
