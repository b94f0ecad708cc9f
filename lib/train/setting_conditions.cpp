// Which options have an effect beside which others. Every row is a claim about the run: where the option is
// set and the predicate holds, the output (or, of options that decide nothing, the report, the time or the
// memory) is another than without it; where it doesn't, the option is refused with the row's words. The test
// of all pairs goes through these rows (tests/train/setting_pairs_long_test.cpp).
#include "train/settings.h"

#include "tensor/format.h"

#include <algorithm>

namespace ruvllm::train {
namespace {

using Predicate = bool (*)(const Settings&);

template <typename Test>
bool some_type(const Settings& settings, Test test) {
  const quant::Recipe& recipe = settings.run.recipe;
  if (test(recipe.mix->base)) return true;
  if (recipe.output_format && test(*recipe.output_format)) return true;
  if (recipe.embedding_format && test(*recipe.embedding_format)) return true;
  return std::ranges::any_of(recipe.rules, [&](const quant::TensorRule& rule) { return test(rule.format); });
}

bool has_piq(const Settings& s) {
  return some_type(s, [](tensor::Format format) { return tensor::traits(format).has_grid; });
}
bool has_uniform(const Settings& s) {
  return some_type(s, [](tensor::Format format) { return find_uniform(format) != nullptr; });
}
bool blocks_fit(const Settings& s) {
  const size_t shared = s.run.qat.granularity ? s.run.qat.granularity->block : 0;
  return !some_type(s, [shared](tensor::Format format) {
    const UniformFormat* uniform = find_uniform(format);
    return uniform != nullptr && shared % uniform->block_values != 0;
  });
}
bool is_new(const Settings& s) { return !s.from_scratch.empty(); }
bool is_not_new(const Settings& s) { return s.from_scratch.empty(); }
bool has_lora(const Settings& s) { return s.run.lora_rank > 0; }
bool base_is_trained(const Settings& s) { return s.run.adapter_output.empty(); }
bool has_teacher(const Settings& s) { return s.from_scratch.empty() || !s.teacher.empty(); }
bool distils(const Settings& s) { return s.run.trainer.losses.distillation > 0; }
bool reasons(const Settings& s) { return s.run.trainer.losses.reasoning > 0; }
bool learns_from_teacher(const Settings& s) { return distils(s) || reasons(s); }
bool asks_teacher(const Settings& s) { return learns_from_teacher(s) || s.data_free_tokens > 0; }
bool measures_steps(const Settings& s) { return s.run.evaluation && learns_from_teacher(s); }
bool compares_states(const Settings& s) { return reasons(s) || measures_steps(s); }
bool compares_moves(const Settings& s) {
  return (reasons(s) && s.run.trainer.reasoning.trajectory > 0) || measures_steps(s);
}
bool sees_lines(const Settings& s) { return (reasons(s) && !s.run.data.empty()) || measures_steps(s); }
bool has_steps_to_learn(const Settings& s) { return s.rule != "lsq" || has_uniform(s); }
bool no_levels(const Settings& s) { return !s.run.own.learn_levels; }
bool no_lsq_with_levels(const Settings& s) { return s.rule != "lsq" || no_levels(s); }
bool rule_reaches_base(const Settings& s) { return s.rule == "lsq" || base_is_trained(s); }
bool has_checkpoints(const Settings& s) { return s.run.checkpoint_folder.has_value(); }
bool has_cache(const Settings& s) { return !s.run.teacher_cache.path.empty(); }
bool has_minimum(const Settings& s) { return s.bits == 2 || s.bits == 4 || s.bits == 5; }

struct Condition {
  std::string_view option;
  Predicate holds;
  std::string_view why;
};

constexpr Condition kConditions[] = {
    {"--tokenizer", is_new, "it goes with --from-scratch; a model that exists has its own"},
    {"--data-free", has_teacher, "a model that is new needs a --teacher to write"},
    {"--asymmetric", has_minimum,
     "grids with a minimum have --bits 2 (Q2_K), 4 (Q4_1) or 5 (Q5_1); no format has one of 3 or 8 bits"},

    {"--ste", has_grid, "no weight is quantised, so no gradient passes a rounding"},
    {"--ste", has_steps_to_learn,
     "lsq learns the steps of PIQ2, PIQ3, Q4_0, Q5_0 and Q8_0, and no weight gets these"},
    {"--ste", no_lsq_with_levels, "the uneven levels of --codebook have no steps for lsq to learn"},
    {"--ste", rule_reaches_base,
     "with --adapter-out the quantised base is frozen; only lsq still learns its steps"},
    {"--granularity", has_uniform,
     "it shares the steps of PIQ2, PIQ3, Q4_0, Q5_0 and Q8_0, and no weight gets these"},
    {"--granularity", no_levels, "the uneven levels of --codebook have no steps to share"},
    {"--granularity", blocks_fit,
     "a step is shared by whole blocks of a type, of 256 values in PIQ2 and PIQ3 and 32 in others; --bits 2 "
     "and 3 take the blocks that fit"},
    {"--pi-k", has_piq, "no weight becomes PIQ2 or PIQ3 (--target, --bits 2 or 3, --tensor)"},
    {"--pi-k", no_levels, "the levels of --codebook take the place of steps of alpha * pi / K"},
    {"--incoherence", has_piq, "no weight becomes PIQ2 or PIQ3 (--target, --bits 2 or 3, --tensor)"},
    {"--codebook", has_piq, "no weight becomes PIQ2 or PIQ3 (--target, --bits 2 or 3, --tensor)"},
    {"--calibration-tokens", has_grid, "no weight is quantised, so none has to matter more"},
    {"--calibration-tokens", is_not_new, "the random weights of --from-scratch know nothing of the data"},

    {"--lambda-kd", has_teacher, "a model that is new needs a --teacher"},
    {"--lambda-reasoning", has_teacher, "a model that is new needs a --teacher"},
    {"--teacher", asks_teacher,
     "nothing is learned from a teacher: give --lambda-kd or --lambda-reasoning a weight, or let it write "
     "with --data-free"},
    {"--kd-temperature", distils, "--lambda-kd is 0"},
    {"--reasoning", compares_states, "--lambda-reasoning is 0"},
    {"--reasoning-step", reasons, "--lambda-reasoning is 0"},
    {"--reasoning-trajectory", reasons, "--lambda-reasoning is 0"},
    {"--reasoning-answer", reasons, "--lambda-reasoning is 0"},
    {"--reasoning-dims", compares_states, "--lambda-reasoning is 0"},
    {"--reasoning-raw", compares_moves, "nothing looks at the way from state to state"},
    {"--reasoning-threshold", measures_steps, "it counts steps of --eval, beside a teacher"},
    {"--line-steps", sees_lines,
     "nothing looks at steps in text: --lambda-reasoning is 0 or there is no --data"},
    {"--teacher-cache", distils, "it needs --lambda-kd above 0"},
    {"--teacher-top-k", has_cache, "it needs --teacher-cache FILE"},
    {"--adapter-out", has_lora, "it needs --lora-rank"},
    {"--checkpoint-every", has_checkpoints, "it needs --checkpoint-dir"},
    {"--resume", has_checkpoints, "it needs --checkpoint-dir"},
};

}  // namespace

bool has_grid(const Settings& s) {
  return some_type(s, [](tensor::Format format) { return tensor::traits(format).is_quantised; });
}

std::optional<Objection> find_objection(const Settings& settings) {
  for (const Condition& condition : kConditions) {
    const Setting& setting = find_setting(condition.option);
    if (!settings.is_given(setting.option) || is_default(setting, settings)) continue;
    if (number_of(setting, settings) == 0.0) continue;  // it asks for nothing
    if (!condition.holds(settings)) return Objection{&setting, std::string(condition.why)};
  }
  return std::nullopt;
}

bool can_act(const Setting& setting, const Settings& settings) {
  return std::ranges::all_of(kConditions, [&](const Condition& condition) {
    return condition.option != setting.option || condition.holds(settings);
  });
}

}  // namespace ruvllm::train
