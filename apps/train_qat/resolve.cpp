// From what was typed, read and preset to what the run does.
#include "options.h"
#include "recipe.h"

#include "base/error.h"
#include "base/strings.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string_view>

namespace ruvllm::train_qat {
namespace {

/// What a model writes for itself where a user brings no data.
constexpr uint64_t kWrittenTokens = 200'000;

/// What a model is trained for where nothing says it; a new one is written in full precision.
constexpr int kBits = 4;

struct Rule {
  std::string_view name;
  train::StraightThrough rule;
  double train::StraightThroughArguments::*number;  // what follows a colon; null: nothing may
};

constexpr Rule kRules[] = {
    {"standard", train::StraightThrough::standard, nullptr},
    {"clipped", train::StraightThrough::clipped, &train::StraightThroughArguments::clip},
    {"ewgs", train::StraightThrough::ewgs, &train::StraightThroughArguments::lambda},
    {"ewgs-abs", train::StraightThrough::ewgs_abs, &train::StraightThroughArguments::lambda},
    {"lsq", train::StraightThrough::standard, nullptr},
};

train::StraightThroughArguments parse_rule(std::string_view text) {
  const size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  const auto* row =
      std::find_if(std::begin(kRules), std::end(kRules), [&](const Rule& rule) { return rule.name == name; });
  if (row == std::end(kRules))
    throw Error(Errc::usage, "--ste: '{}' is none of standard, clipped[:C], lsq, ewgs[:L], ewgs-abs[:L]",
                text);
  train::StraightThroughArguments arguments{.rule = row->rule};
  if (colon == std::string_view::npos) return arguments;
  const auto number = row->number ? parse_number(text.substr(colon + 1)) : std::nullopt;
  if (!number || !(*number > 0))
    throw Error(Errc::usage,
                "--ste: '{}' wants a number above 0 after the colon, and only clipped and ewgs take one",
                text);
  arguments.*row->number = *number;
  return arguments;
}

void require(bool holds, std::string_view option, double value, std::string_view wish) {
  if (!holds) throw Error(Errc::usage, "{} is {}, {}", option, value, wish);
}

bool is_given(const Options& options, const char* name) {
  return options.command->get_option(name)->count() > 0;
}

// Sets what nothing has set.
template <typename T>
void set_default(const Options& options, const char* name, T& place, const T& value) {
  if (!is_given(options, name)) place = value;
}

struct Preset {
  std::string_view name;
  int bits, pi_k;
  bool incoherence;
};
constexpr Preset kPresets[] = {{"piq3", 3, 4, false}, {"piq2", 2, 3, true}};

struct WeightPreset {
  std::string_view name;
  train::LossWeights weights;
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
  throw Error(Errc::usage, "{}: '{}' is none of {}", option, name, names);
}

void apply_presets(Options& options) {
  if (!options.preset.empty()) {
    const Preset& preset = find_row<Preset>(kPresets, options.preset, "--preset");
    set_default(options, "--bits", options.bits, preset.bits);
    set_default(options, "--pi-k", options.run.pi_k, preset.pi_k);
    set_default(options, "--ste", options.rule, std::string("lsq"));
    set_default(options, "--granularity", options.granularity, std::string("block"));
    set_default(options, "--incoherence", options.run.own.rotate, preset.incoherence);
  }
  train::LossWeights& losses = options.run.trainer.losses;
  if (!options.weights.empty()) {
    const train::LossWeights& preset =
        find_row<WeightPreset>(kWeightPresets, options.weights, "--weights").weights;
    set_default(options, "--lambda-task", losses.task, preset.task);
    set_default(options, "--lambda-kd", losses.distillation, preset.distillation);
    set_default(options, "--lambda-reasoning", losses.reasoning, preset.reasoning);
    set_default(options, "--kd-temperature", losses.temperature, preset.temperature);
  }
}

// From --bits, --target and the rest of their group to types and grids.
void resolve_target(Options& options) {
  train::RunOptions& run = options.run;
  run.qat.rule = parse_rule(options.rule);
  run.qat.learned_steps = options.rule == "lsq";
  if (!options.granularity.empty()) run.qat.granularity = train::parse_granularity(options.granularity);
  if (options.bits == 0 && !is_given(options, "--target") && !options.from_scratch) options.bits = kBits;
  if (options.bits != 0) {
    if (is_given(options, "--target"))
      throw Error(Errc::usage, "--bits and --target each say the type; give one");
    if (options.asymmetric) {
      if (options.bits != 4 && options.bits != 5)
        throw Error(Errc::usage, "--asymmetric: grids with a minimum have 4 or 5 bits, not {}", options.bits);
      run.target = options.bits == 4 ? "Q4_1" : "Q5_1";
    } else {
      const size_t block = run.qat.granularity ? run.qat.granularity->block : 0;
      const train::UniformFormat& uniform = train::uniform_of_bits(options.bits, block);
      options.uniform_mix = quant::find_mix(options.bits == 2   ? "PIQ2"
                                            : options.bits == 3 ? "PIQ3"
                                                                : uniform.name());
      options.uniform_mix.base = uniform.format;  // with the blocks that were asked for
      run.target = uniform.name();
    }
    options.pure = true;
  } else if (options.asymmetric) {
    throw Error(Errc::usage, "--asymmetric needs --bits 4 or 5");
  }
  const bool has_own_mix = options.bits != 0 && !options.asymmetric;
  run.recipe.mix = has_own_mix ? &options.uniform_mix : &quant::find_mix(run.target);
  if (!has_own_mix) run.target = run.recipe.mix->name;
  run.recipe.pure = options.pure;
  if (!options.output_type.empty()) run.recipe.output_format = quant::find_format(options.output_type);
  if (!options.embedding_type.empty())
    run.recipe.embedding_format = quant::find_format(options.embedding_type);
  for (const std::string& rule : options.tensor_rules)
    run.recipe.rules.push_back(quant::parse_tensor_rule(rule));
  if (run.own.learn_levels && (run.qat.learned_steps || run.qat.granularity))
    throw Error(Errc::usage,
                "--codebook has uneven levels, for which steps are neither learned nor shared; use "
                "PIQ2 or PIQ3 without --ste lsq and --granularity");
  run.qat.enabled = tensor::traits(run.recipe.mix->base).is_quantised;
  if ((run.qat.learned_steps || run.qat.granularity) && !train::find_uniform(run.recipe.mix->base))
    throw Error(
        Errc::usage,
        "--target {} has no steps for --ste lsq or --granularity; those have PIQ2, PIQ3, Q4_0, Q5_0, Q8_0",
        run.target);
  if (options.from_scratch) {  // random weights know nothing of the data, and are no start to keep
    run.calibration_tokens = 0;
    run.keeps_better_start = false;
  }
  run.recipe.guided = run.calibration_tokens > 0;
}

// What is trained towards.
void resolve_losses(Options& options) {
  train::TrainerOptions& trainer = options.run.trainer;
  trainer.reasoning = train::reasoning_preset(options.reasoning);
  if (!options.weights.empty()) return;  // a preset has said it
  const bool has_teacher = !options.from_scratch || !options.teacher.empty();
  const bool distils = options.run.qat.enabled && has_teacher;
  // Of text that the teacher wrote more is known than which word came next: what could have, and how likely.
  const bool is_written = options.run.data.empty();
  train::LossWeights& losses = trainer.losses;
  set_default(options, "--lambda-reasoning", losses.reasoning, distils ? 0.2f : 0.0f);
  set_default(options, "--lambda-kd", losses.distillation, !distils ? 0.0f : is_written ? 1.0f : 0.5f);
  set_default(options, "--lambda-task", losses.task, is_written && losses.distillation > 0 ? 0.0f : 1.0f);
}

void check_options(const Options& options) {
  const train::RunOptions& run = options.run;
  const train::TrainerOptions& t = run.trainer;
  if (options.model.empty() == !options.from_scratch)
    throw Error(Errc::usage, "give either a MODEL or --from-scratch SHAPE.json");
  if (run.data.empty() && options.data_free_tokens == 0)
    throw Error(Errc::usage,
                "--data is missing: which text is to be trained on? --data-free N lets the model write it");
  if (options.data_free_tokens > 0 && options.from_scratch && options.teacher.empty())
    throw Error(Errc::usage, "--data-free needs a --teacher where the model is new");
  if (run.output.empty()) throw Error(Errc::usage, "--out is missing: where is the trained model to go?");
  require(t.n_epochs >= 1, "--epochs", static_cast<double>(t.n_epochs), "expected 1 or more");
  require(t.learning_rate > 0 && std::isfinite(t.learning_rate), "--lr", t.learning_rate,
          "expected more than 0");
  require(t.warmup_epochs >= 0, "--warmup-epochs", t.warmup_epochs, "expected 0 or more");
  require(t.optimiser.weight_decay >= 0, "--weight-decay", t.optimiser.weight_decay, "expected 0 or more");
  require(t.optimiser.gradient_clip >= 0, "--grad-clip", t.optimiser.gradient_clip, "expected 0 or more");
  require(t.losses.task >= 0, "--lambda-task", t.losses.task, "expected 0 or more");
  require(t.losses.distillation >= 0, "--lambda-kd", t.losses.distillation, "expected 0 or more");
  require(t.losses.reasoning >= 0, "--lambda-reasoning", t.losses.reasoning, "expected 0 or more");
  require(t.losses.temperature > 0, "--kd-temperature", t.losses.temperature, "expected more than 0");
  require(options.run.pi_k == 0 || (options.run.pi_k >= 2 && options.run.pi_k <= 5), "--pi-k",
          options.run.pi_k, "expected 2, 3, 4 or 5");
  require(t.accumulate >= 1, "--accumulate", static_cast<double>(t.accumulate), "expected 1 or more");
  require(run.checkpoint_every >= 1, "--checkpoint-every", static_cast<double>(run.checkpoint_every),
          "expected 1 or more");
  require(run.sequence_tokens >= 2, "--sequence", static_cast<double>(run.sequence_tokens),
          "expected 2 or more");
  require(run.batch_tokens >= run.sequence_tokens, "--batch-tokens", static_cast<double>(run.batch_tokens),
          "less than --sequence");
  if (run.teacher_cache.k > 0 && run.teacher_cache.path.empty())
    throw Error(Errc::usage, "--teacher-top-k needs --teacher-cache FILE");
  if (!run.teacher_cache.path.empty() && t.losses.distillation == 0)
    throw Error(Errc::usage, "--teacher-cache needs --lambda-kd above 0");
  require(run.lora_rank <= 4096, "--lora-rank", static_cast<double>(run.lora_rank), "expected 4096 or less");
  if (!run.adapter_output.empty() && run.lora_rank == 0)
    throw Error(Errc::usage, "--adapter-out needs --lora-rank");
  if (run.resume && !run.checkpoint_folder) throw Error(Errc::usage, "--resume needs --checkpoint-dir");
  if (options.from_scratch && (t.losses.distillation > 0 || t.losses.reasoning > 0) &&
      options.teacher.empty())
    throw Error(Errc::usage, "{} needs a --teacher where the model is new",
                t.losses.distillation > 0 ? "--lambda-kd" : "--lambda-reasoning");
  const std::string extension = options.plot.extension().string();
  if (!options.plot.empty() && extension != ".svg" && extension != ".html")
    throw Error(Errc::usage, "--plot: '{}' ends neither in .svg nor in .html", options.plot.string());
}

}  // namespace

void resolve_options(Options& options) {
  if (!options.recipe.empty()) apply_recipe(options, options.recipe);
  apply_presets(options);
  resolve_target(options);
  resolve_losses(options);
  if (options.run.data.empty() && options.run.qat.enabled && !options.from_scratch)
    set_default(options, "--data-free", options.data_free_tokens, kWrittenTokens);
  if (!options.run.teacher_cache.path.empty())
    set_default(options, "--teacher-top-k", options.run.teacher_cache.k, size_t{64});
  check_options(options);
  if (!options.recipe_out.empty()) write_recipe(options, options.recipe_out);
}

}  // namespace ruvllm::train_qat
