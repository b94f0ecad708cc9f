#include "recipe.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/strings.h"
#include "base/utf8.h"

#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

#include <cmath>
#include <limits>
#include <sstream>

namespace ruvllm::train_qat {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

// negated: the option is the opposite of the key. choice: 0 where nothing is chosen.
enum class Kind { text, number, whole, choice, flag, negated };

/// A key of the file, and the option that it stands for. "weights.task" is the key "task" of "weights".
struct Key {
  const char* name;
  const char* option;
  Kind kind;
  OrderedJson (*get)(const Options&);
  double least = -kInfinite;  ///< of numbers
  bool least_is_allowed = true;
};

// The shortest decimals that are this float again: 1e-4f is written as 0.0001.
OrderedJson number(float value) { return *parse_number(fmt::format("{}", value)); }

const train::TrainerOptions& trainer(const Options& options) { return options.run.trainer; }
const train::LossWeights& losses(const Options& options) { return trainer(options).losses; }

using T = const Options&;
constexpr Key kKeys[] = {
    {"preset", "--preset", Kind::text, [](T o) -> OrderedJson { return o.preset; }},
    {"target", "--target", Kind::text, [](T o) -> OrderedJson { return o.bits != 0 ? "" : o.run.target; }},
    {"bits", "--bits", Kind::choice, [](T o) -> OrderedJson { return o.bits; }, 0},
    {"symmetric", "--asymmetric", Kind::negated, [](T o) -> OrderedJson { return !o.asymmetric; }},
    {"ste", "--ste", Kind::text, [](T o) -> OrderedJson { return o.rule; }},
    {"granularity", "--granularity", Kind::text, [](T o) -> OrderedJson { return o.granularity; }},
    {"pi_k", "--pi-k", Kind::choice, [](T o) -> OrderedJson { return o.run.pi_k; }, 0},
    {"incoherence", "--incoherence", Kind::flag, [](T o) -> OrderedJson { return o.run.own.rotate; }},
    {"codebook", "--codebook", Kind::flag, [](T o) -> OrderedJson { return o.run.own.learn_levels; }},
    {"distillation", "--lambda-kd", Kind::flag,
     [](T o) -> OrderedJson { return losses(o).distillation > 0; }},
    {"freeze_teacher", nullptr, Kind::flag, [](T) -> OrderedJson { return true; }},
    {"weights.preset", "--weights", Kind::text, [](T o) -> OrderedJson { return o.weights; }},
    {"weights.task", "--lambda-task", Kind::number, [](T o) { return number(losses(o).task); }, 0},
    {"weights.kd", "--lambda-kd", Kind::number, [](T o) { return number(losses(o).distillation); }, 0},
    {"weights.reasoning", "--lambda-reasoning", Kind::number, [](T o) { return number(losses(o).reasoning); },
     0},
    {"weights.temperature", "--kd-temperature", Kind::number,
     [](T o) { return number(losses(o).temperature); }, 0, false},
    {"reasoning", "--reasoning", Kind::text, [](T o) -> OrderedJson { return o.reasoning; }},
    {"line_steps", "--line-steps", Kind::flag, [](T o) -> OrderedJson { return o.run.lines_are_steps; }},
    {"lora_rank", "--lora-rank", Kind::choice, [](T o) -> OrderedJson { return o.run.lora_rank; }, 0},
    {"epochs", "--epochs", Kind::whole, [](T o) -> OrderedJson { return trainer(o).n_epochs; }, 1},
    {"lr", "--lr", Kind::number, [](T o) { return number(trainer(o).learning_rate); }, 0, false},
    {"warmup_epochs", "--warmup-epochs", Kind::number, [](T o) { return number(trainer(o).warmup_epochs); },
     0},
    {"grad_clip", "--grad-clip", Kind::number, [](T o) { return number(trainer(o).optimiser.gradient_clip); },
     0},
    {"weight_decay", "--weight-decay", Kind::number,
     [](T o) { return number(trainer(o).optimiser.weight_decay); }, 0},
    {"seed", "--seed", Kind::whole, [](T o) -> OrderedJson { return o.run.seed; }, 0},
};

OrderedJson read_file_as_json(const std::filesystem::path& path) {
  const std::string text = read_file(path, limits::kJsonFileBytes);
  if (path.extension() != ".toml") return parse_ordered_json(text, path.string());
  try {
    std::ostringstream json;
    json << toml::json_formatter(toml::parse(text, path.string()));
    return parse_ordered_json(json.str(), path.string());
  } catch (const toml::parse_error& error) {
    throw Error(Errc::corrupt_file, "{}: line {}, column {}: {}", path.string(), error.source().begin.line,
                error.source().begin.column, error.description());
  }
}

const Key& find_key(const std::string& name, const std::string& where) {
  for (const Key& key : kKeys)
    if (name == key.name) return key;
  throw Error(Errc::usage, "{}: there is no key {}", where, printable(name));
}

// What the command line would say.
std::string option_value(const Key& key, const OrderedJson& value, const std::string& where) {
  const auto wrong = [&](std::string_view wish) {
    return Error(Errc::usage, "{}: {} is {}, expected {}", where, key.name, printable(dump_json(value)),
                 wish);
  };
  switch (key.kind) {
    case Kind::text:
      if (!value.is_string()) throw wrong("a string");
      return value.get<std::string>();
    case Kind::flag:
    case Kind::negated:
      if (!value.is_boolean()) throw wrong("true or false");
      return value.get<bool>() == (key.kind == Kind::flag) ? "true" : "false";
    case Kind::whole:
    case Kind::choice:
      if (!value.is_number_integer()) throw wrong("a whole number");
      break;
    case Kind::number:
      if (std::string_view(key.name) == "grad_clip" && (value.is_null() || value == "none")) return "0";
      if (!value.is_number() || !std::isfinite(value.get<double>())) throw wrong("a number");
      break;
  }
  const double number = value.get<double>();
  if (number < key.least || (number == key.least && !key.least_is_allowed))
    throw wrong(fmt::format("{} {}", key.least_is_allowed ? "at least" : "more than", key.least));
  return key.kind == Kind::choice && number == 0 ? "" : dump_json(value);
}

void apply_key(Options& options, const std::string& name, const OrderedJson& value,
               const std::string& where) {
  const Key& key = find_key(name, where);
  std::string text = option_value(key, value, where);
  if (name == "freeze_teacher") {
    if (text != "true")
      throw Error(Errc::usage, "{}: freeze_teacher is false, but a teacher is never trained", where);
    return;
  }
  if (name == "distillation") {  // no option: the opposite of a teacher that weighs nothing
    if (text == "true") return;
    text = "0";
  }
  CLI::Option* option = options.command->get_option(key.option);
  const bool is_flag = option->get_expected_max() == 0;
  if (option->count() > 0 || text.empty() || (is_flag && text == "false")) return;
  try {
    option->add_result(text);
    option->run_callback();
  } catch (const CLI::Error&) {
    throw Error(Errc::usage, "{}: {} is {}, which is no value for it", where, name, printable(text));
  }
}

std::string to_toml(const OrderedJson& json) {
  std::string text, tables;
  for (const auto& [name, value] : json.items()) {
    if (value.is_object())
      tables += fmt::format("\n[{}]\n{}", name, to_toml(value));
    else
      text += fmt::format("{} = {}\n", name, dump_json(value));
  }
  return text + tables;
}

}  // namespace

void apply_recipe(Options& options, const std::filesystem::path& path) {
  const std::string where = path.string();
  const OrderedJson json = read_file_as_json(path);
  if (!json.is_object()) throw Error(Errc::usage, "{}: expected an object of keys", where);
  for (const auto& [name, value] : json.items()) {
    if (name != "weights") {
      apply_key(options, name, value, where);
    } else if (value.is_string()) {
      apply_key(options, "weights.preset", value, where);
    } else if (value.is_object()) {
      for (const auto& [inner, weight] : value.items()) apply_key(options, "weights." + inner, weight, where);
    } else {
      throw Error(Errc::usage, "{}: weights is neither an object nor a preset's name", where);
    }
  }
}

void write_recipe(const Options& options, const std::filesystem::path& path) {
  OrderedJson json = OrderedJson::object();
  for (const Key& key : kKeys) {
    const std::string_view name = key.name;
    if (name.starts_with("weights."))
      json["weights"][std::string(name.substr(8))] = key.get(options);
    else
      json[std::string(name)] = key.get(options);
  }
  write_file_atomically(path, path.extension() == ".toml" ? to_toml(json) : json.dump(2) + "\n");
}

}  // namespace ruvllm::train_qat
