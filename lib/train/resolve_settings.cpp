// From what was typed, read and preset to what the run does.
#include "train/settings.h"

#include "base/error.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "train/recipe.h"

#include <algorithm>
#include <map>
#include <span>
#include <string_view>

namespace ruvllm::train {
namespace {

/// What a model writes for itself where a user brings no data.
constexpr uint64_t kWrittenTokens = 200'000;

/// What a model is trained for where nothing says it; a new one is written in full precision.
constexpr int kBits = 4;

/// The share of a run that is warm-up where nothing says it, an epoch at most.
constexpr float kWarmupShare = 0.1f;

struct Rule {
  std::string_view name;
  StraightThrough rule;
  double StraightThroughArguments::*number;  // what follows a colon; null: nothing may
  bool takes_zero;
};

constexpr Rule kRules[] = {
    {"standard", StraightThrough::standard, nullptr, false},
    {"clipped", StraightThrough::clipped, &StraightThroughArguments::clip, false},
    {"ewgs", StraightThrough::ewgs, &StraightThroughArguments::lambda, true},
    {"ewgs-abs", StraightThrough::ewgs_abs, &StraightThroughArguments::lambda, true},
    {"lsq", StraightThrough::standard, nullptr, false},
};

StraightThroughArguments parse_rule(std::string_view text) {
  const size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  const auto* row =
      std::find_if(std::begin(kRules), std::end(kRules), [&](const Rule& rule) { return rule.name == name; });
  if (row == std::end(kRules))
    throw Error(Errc::usage, "--ste: '{}' is none of standard, clipped[:C], lsq, ewgs[:L], ewgs-abs[:L]",
                printable(text));
  StraightThroughArguments arguments{.rule = row->rule};
  if (colon == std::string_view::npos) return arguments;
  if (!row->number) throw Error(Errc::usage, "--ste: {} takes no number, only clipped and ewgs do", name);
  const auto number = parse_number(text.substr(colon + 1));
  const Bound bound = {.least = 0, .least_is_allowed = row->takes_zero};
  if (!number || !bound.holds(*number))
    throw Error(Errc::usage, "--ste: the number of '{}' is {}, {}", name, printable(text.substr(colon + 1)),
                bound.wish());
  arguments.*row->number = *number;
  return arguments;
}

// Sets what nothing has set.
template <typename T>
void set_default(const Settings& settings, std::string_view option, T& place, const T& value) {
  if (!settings.is_given(option)) place = value;
}

struct Preset {
  std::string_view name;
  int bits, pi_k;
  bool incoherence;
};
constexpr Preset kPresets[] = {{"piq3", 3, 4, false}, {"piq2", 2, 3, true}};

struct WeightPreset {
  std::string_view name;
  LossWeights weights;
};
constexpr WeightPreset kWeightPresets[] = {
    {"distillation-heavy", {.task = 0.5f, .distillation = 1.0f, .reasoning = 0.3f, .temperature = 4.0f}},
    {"reasoning-focused", {.task = 1.0f, .distillation = 0.3f, .reasoning = 0.5f, .temperature = 2.0f}},
};

template <typename Row>
const Row& find_row(std::span<const Row> rows, const std::string& name, std::string_view option) {
  std::string names;
  for (const Row& row : rows) {
    if (row.name == name) return row;
    names += (names.empty() ? "" : ", ") + std::string(row.name);
  }
  throw Error(Errc::usage, "{}: '{}' is none of {}", option, printable(name), names);
}

// What a preset says of options that nothing has set yet.
class PresetWriter {
 public:
  PresetWriter(Settings& settings, std::string_view preset)
      : settings_(settings),
        origin_(settings.given.find(preset)->second == Origin::command_line ? Origin::preset
                                                                            : Origin::recipe_preset) {}
  template <typename T>
  void set(const char* option, T& place, const T& value) {
    if (settings_.is_given(option)) return;
    place = value;
    settings_.given.emplace(option, origin_);
  }

 private:
  Settings& settings_;
  Origin origin_;
};

void apply_presets(Settings& settings) {
  if (settings.is_given("--preset")) {
    const Preset& preset = find_row<Preset>(kPresets, settings.preset, "--preset");
    if (settings.is_given("--bits") && settings.bits != 2 && settings.bits != 3)
      throw Error(Errc::usage, "--preset {} is for grids of 2 or 3 bits, and --bits is {}; give one",
                  preset.name, settings.bits);
    PresetWriter writer(settings, "--preset");
    writer.set("--bits", settings.bits, preset.bits);
    writer.set("--pi-k", settings.run.pi_k, preset.pi_k);
    writer.set("--ste", settings.rule, std::string("lsq"));
    writer.set("--granularity", settings.granularity, std::string("block"));
    writer.set("--incoherence", settings.run.own.rotate, preset.incoherence);
  }
  LossWeights& losses = settings.run.trainer.losses;
  if (settings.is_given("--weights")) {
    const LossWeights& preset = find_row<WeightPreset>(kWeightPresets, settings.weights, "--weights").weights;
    PresetWriter writer(settings, "--weights");
    writer.set("--lambda-task", losses.task, preset.task);
    writer.set("--lambda-kd", losses.distillation, preset.distillation);
    writer.set("--lambda-reasoning", losses.reasoning, preset.reasoning);
    writer.set("--kd-temperature", losses.temperature, preset.temperature);
  }
}

// Options of which one says what the others would.
void check_rivals(const Settings& settings) {
  for (const char* rival : {"--preset", "--bits"})
    if (settings.is_given("--target") && settings.is_given(rival))
      throw Error(Errc::usage, "{} and --target each say the type; give one", rival);
}

void check_bounds(const Settings& settings) {
  for (const Setting& setting : all_settings()) {
    if (!settings.is_given(setting.option)) continue;
    const auto number = number_of(setting, settings);
    if (number && !setting.bound.holds(*number))
      throw Error(Errc::usage, "{} is {}, {}", setting.option, value_text(setting, settings),
                  setting.bound.wish());
  }
}

// What --bits means: the usual mix of a uniform format, of those with the largest blocks that share a step.
const quant::Mix& mix_of(const UniformFormat& uniform) {
  static const auto kMixes = [] {
    std::map<tensor::Format, quant::Mix> mixes;
    for (const int bits : {2, 3, 4, 5, 8})
      for (const size_t block : {256, 64, 32}) {
        const UniformFormat& format = uniform_of_bits(bits, block);
        quant::Mix mix = quant::find_mix(bits == 2 ? "PIQ2" : bits == 3 ? "PIQ3" : format.name());
        mix.base = format.format;
        mixes.emplace(format.format, mix);
      }
    return mixes;
  }();
  return kMixes.at(uniform.format);
}

struct MinimumFormat {
  int bits;
  std::string_view mix;
};
constexpr MinimumFormat kMinimumFormats[] = {{2, "Q2_K"}, {4, "Q4_1"}, {5, "Q5_1"}};

// From --bits, --target and the rest of their group to types.
void resolve_types(Settings& settings) {
  RunOptions& run = settings.run;
  run.qat.granularity.reset();
  if (!settings.granularity.empty()) run.qat.granularity = parse_granularity(settings.granularity);
  if (settings.bits == 0 && settings.target.empty()) {
    if (settings.from_scratch.empty())
      settings.bits = kBits;
    else
      settings.target = "F32";
  }
  run.recipe = {};
  if (settings.bits == 0) {
    run.recipe.mix = &quant::find_mix(settings.target);
    run.target = settings.target = run.recipe.mix->name;
  } else {
    const UniformFormat& uniform =
        uniform_of_bits(settings.bits, run.qat.granularity ? run.qat.granularity->block : 0);
    run.recipe.mix = &mix_of(uniform);
    run.target = uniform.name();
    for (const MinimumFormat& row : kMinimumFormats)
      if (settings.asymmetric && row.bits == settings.bits)
        run.recipe.mix = &quant::find_mix(row.mix), run.target = row.mix;
  }
  run.recipe.pure = settings.pure || settings.bits != 0;
  if (!settings.output_type.empty()) run.recipe.output_format = quant::find_format(settings.output_type);
  if (!settings.embedding_type.empty())
    run.recipe.embedding_format = quant::find_format(settings.embedding_type);
  for (const std::string& rule : settings.tensor_rules)
    run.recipe.rules.push_back(quant::parse_tensor_rule(rule));
  run.qat.enabled = has_grid(settings);
}

// What is trained towards.
void resolve_losses(Settings& settings) {
  TrainerOptions& trainer = settings.run.trainer;
  const ReasoningOptions& preset = reasoning_preset(settings.reasoning);
  set_default(settings, "--reasoning-step", trainer.reasoning.step, preset.step);
  set_default(settings, "--reasoning-trajectory", trainer.reasoning.trajectory, preset.trajectory);
  set_default(settings, "--reasoning-answer", trainer.reasoning.answer, preset.answer);
  set_default(settings, "--reasoning-threshold", trainer.reasoning.threshold, preset.threshold);
  set_default(settings, "--reasoning-dims", trainer.reasoning.n_sampled, preset.n_sampled);
  trainer.reasoning.normalised = !settings.reasoning_raw;

  const bool has_teacher = settings.from_scratch.empty() || !settings.teacher.empty();
  const bool distils = settings.wants_distillation || (settings.run.qat.enabled && has_teacher);
  // Of text that the teacher wrote more is known than which word came next: what could have, and how likely.
  const bool is_written = settings.run.data.empty();
  LossWeights& losses = trainer.losses;
  set_default(settings, "--lambda-reasoning", losses.reasoning,
              settings.run.qat.enabled && has_teacher ? 0.2f : 0.0f);
  set_default(settings, "--lambda-kd", losses.distillation, !distils ? 0.0f : is_written ? 1.0f : 0.5f);
  set_default(settings, "--lambda-task", losses.task, is_written && losses.distillation > 0 ? 0.0f : 1.0f);
}

// "--weights reasoning-focused: ", of an option that a preset has set; else nothing.
std::string preset_of(const Settings& settings, const Setting& setting, Origin origin) {
  if (origin != Origin::preset && origin != Origin::recipe_preset) return {};
  const bool is_weight = setting.key.starts_with("weights.");
  return fmt::format("{} {}: ", is_weight ? "--weights" : "--preset",
                     is_weight ? settings.weights : settings.preset);
}

// Options that would have no effect are refused; those of a recipe whose type the command line has overruled
// are left out, and that is said.
void check_conditions(Settings& settings, bool overruled) {
  while (const auto objection = find_objection(settings)) {
    const Setting& setting = *objection->setting;
    const Origin origin = settings.given.find(setting.option)->second;
    if (!overruled || origin != Origin::recipe)
      throw Error(Errc::usage, "{}{} ({}) can't act here: {}", preset_of(settings, setting, origin),
                  setting.option, printable(value_text(setting, settings)), objection->why);
    settings.notes.push_back(fmt::format("{}: {} is left out, for beside the type of the command line {}",
                                         settings.recipe.string(), setting.key, objection->why));
    copy_setting(setting, Settings{}, settings);
    settings.given.erase(settings.given.find(setting.option));
    resolve_types(settings);
    resolve_losses(settings);
  }
}

void resolve_schedule(Settings& settings) {
  RunOptions& run = settings.run;
  TrainerOptions& trainer = run.trainer;
  const auto n_epochs = static_cast<float>(trainer.n_epochs);
  set_default(settings, "--warmup-epochs", trainer.warmup_epochs, std::min(1.0f, kWarmupShare * n_epochs));
  const bool leaves_none =
      run.qat.enabled ? trainer.warmup_epochs >= n_epochs : trainer.warmup_epochs > n_epochs;
  if (leaves_none)
    throw Error(Errc::usage, "--warmup-epochs is {} of --epochs {}, which leaves none to train {}",
                trainer.warmup_epochs, trainer.n_epochs, run.qat.enabled ? "on the grid" : "after it");
  if (run.data.empty() && run.qat.enabled && settings.from_scratch.empty())
    set_default(settings, "--data-free", settings.data_free_tokens, kWrittenTokens);
  if (!run.teacher_cache.path.empty())
    set_default(settings, "--teacher-top-k", run.teacher_cache.k, size_t{64});
  if (settings.precision != "f32" && settings.precision != "bf16")
    throw Error(Errc::usage, "--precision: '{}' is none of f32, bf16", printable(settings.precision));
  trainer.precision = settings.precision == "f32" ? tensor::Precision::f32 : tensor::Precision::bf16;
  run.asked_for_reasoning = false;
  for (const auto& [option, origin] : settings.given)
    if (option.starts_with("--reasoning") || option == "--lambda-reasoning")
      run.asked_for_reasoning |= origin == Origin::command_line && trainer.losses.reasoning > 0;
  run.qat.rule = parse_rule(settings.rule);
  run.qat.learned_steps = settings.rule == "lsq";
  run.recipe.guided = run.calibration_tokens > 0;
  if (settings.from_scratch.empty()) return;
  run.calibration_tokens = 0;  // random weights know nothing of the data, and are no start to keep
  run.keeps_better_start = false;
  run.recipe.guided = false;
}

// What must be there, and what must fit what.
void check_whole(const Settings& settings) {
  const RunOptions& run = settings.run;
  if (settings.model.empty() == settings.from_scratch.empty())
    throw Error(Errc::usage, "give either a MODEL or --from-scratch SHAPE.json");
  if (run.data.empty() && settings.data_free_tokens == 0)
    throw Error(Errc::usage,
                "--data is missing: which text is to be trained on? --data-free N lets the model write it");
  if (run.output.empty()) throw Error(Errc::usage, "--out is missing: where is the trained model to go?");
  if (run.batch_tokens < run.sequence_tokens)
    throw Error(Errc::usage, "--batch-tokens is {}, less than --sequence, which is {}", run.batch_tokens,
                run.sequence_tokens);
  const LossWeights& losses = run.trainer.losses;
  if (losses.task == 0 && losses.distillation == 0 && losses.reasoning == 0)
    throw Error(Errc::usage,
                "--lambda-task, --lambda-kd and --lambda-reasoning are all 0: nothing would be learned");
  const std::string extension = settings.plot.extension().string();
  if (!settings.plot.empty() && extension != ".svg" && extension != ".html")
    throw Error(Errc::usage, "--plot: '{}' ends neither in .svg nor in .html", settings.plot.string());
}

}  // namespace

void resolve(Settings& settings) {
  check_rivals(settings);
  apply_presets(settings);
  bool overruled = false;
  if (!settings.recipe.empty()) {
    overruled = apply_recipe(settings, settings.recipe);
    check_rivals(settings);
    apply_presets(settings);
  }
  check_bounds(settings);
  resolve_types(settings);
  resolve_losses(settings);
  parse_rule(settings.rule);
  check_conditions(settings, overruled);
  resolve_schedule(settings);
  check_whole(settings);
  settings.run.settings.clear();
  for (const Setting& setting : all_settings())
    if (const auto text = identity_text(setting, settings))
      settings.run.settings.emplace_back(setting.option, *text);
  if (!settings.recipe_out.empty()) write_recipe(settings, settings.recipe_out);
}

}  // namespace ruvllm::train
