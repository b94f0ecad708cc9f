#include "cli/resolve_options.h"

#include "base/strings.h"
#include "base/utf8.h"

#include <algorithm>
#include <cstdlib>
#include <functional>

namespace ruvllm::cli {
namespace {

// The app and the subcommands that were given, outermost first.
std::vector<CLI::App*> given_commands(CLI::App& app) {
  std::vector<CLI::App*> commands = {&app};
  for (CLI::App* inner : app.get_subcommands()) commands.push_back(inner);
  return commands;
}

bool is_configurable(const CLI::App& app, const CLI::Option* option) {
  return !option->get_lnames().empty() && !option->get_group().empty() && option != app.get_help_ptr() &&
         option != app.get_version_ptr();
}

// Not set yet, and not ruled out by an option that is.
bool is_open(const CLI::Option* option) {
  const auto excluded = option->get_excludes();
  return option->count() == 0 && std::all_of(excluded.begin(), excluded.end(),
                                             [](const CLI::Option* other) { return other->count() == 0; });
}

std::string wrong_value(std::string_view value) {
  const char* finding = parse_number(value) ? "is not a whole number in range" : "is not a number";
  return fmt::format("'{}' {}", printable(value), finding);
}

std::string reason_of(const CLI::Error& error, const std::vector<std::string>& values) {
  if (dynamic_cast<const CLI::ConversionError*>(&error) && !values.empty())
    return wrong_value(values.front());
  const std::string message = error.what();
  const size_t colon = message.find(": ");  // CLI11 puts the option's name in front of what a validator says
  return printable(message.starts_with('-') && colon != std::string::npos ? message.substr(colon + 2)
                                                                          : message);
}

void set_option(CLI::Option* option, const std::vector<std::string>& values, const std::string& where) {
  try {
    for (const std::string& value : values) option->add_result(value);
    option->run_callback();
  } catch (const CLI::Error& error) {
    throw Error(Errc::usage, "{}: {}", where, reason_of(error, values));
  }
}

void collect_names(const CLI::App& app, std::vector<std::string>& names) {
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames())
      if (!option->get_group().empty()) names.push_back(name);
}

// Every long option of the app and, unless `given_only`, of all its subcommands.
std::vector<std::string> long_names(const CLI::App& app) {
  std::vector<std::string> names;
  collect_names(app, names);
  for (const CLI::App* inner : app.get_subcommands([](const CLI::App*) { return true; }))
    collect_names(*inner, names);
  return names;
}

std::vector<std::string> common_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    if (option->get_group() == kCommonGroup && is_configurable(app, option))
      names.push_back(option->get_lnames()[0]);
  return names;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates,
                         std::string_view prefix) {
  const auto nearest = nearest_match(word, candidates);
  return nearest ? fmt::format("; did you mean {}{}?", prefix, *nearest) : std::string();
}

void apply_section(const std::vector<CLI::App*>& commands, const std::vector<std::string>& known,
                   const ConfigFile& file, const std::string& section) {
  const auto found = file.sections.find(section);
  if (found == file.sections.end()) return;
  for (const auto& [key, value] : found->second) {
    std::string name = key;
    std::replace(name.begin(), name.end(), '_', '-');
    const std::string where = fmt::format("{}: line {}", file.path.string(), value.line);
    if (std::find(known.begin(), known.end(), name) == known.end())
      throw Error(Errc::usage, "{}: {} is not an option{}", where, printable(key),
                  did_you_mean(name, known, ""));
    for (CLI::App* command : commands)
      if (CLI::Option* option = command->get_option_no_throw("--" + name); option && is_open(option))
        set_option(option, value.values, fmt::format("{}: {}", where, name));
  }
}

Error unexpected_argument(const CLI::App& app) {
  const std::vector<std::string> extra = app.remaining(true);
  std::string word = extra.empty() ? std::string() : extra.front();
  const CLI::App& command = selected_command(app);
  if (word.starts_with("--")) {
    word = word.substr(0, word.find('='));
    auto candidates = long_names(command);
    collect_names(app, candidates);
    return Error(Errc::usage, "unknown option {}{}", printable(word),
                 did_you_mean(word.substr(2), candidates, "--"));
  }
  if (word.size() > 1 && word.starts_with('-'))
    return Error(Errc::usage, "unknown option {}", printable(word));
  std::vector<std::string> names;
  for (const CLI::App* inner : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(inner->get_name());
  if (!names.empty() && &command == &app)
    return Error(Errc::usage, "there is no '{} {}'{}", app.get_name(), printable(word),
                 did_you_mean(word, names, ""));
  return Error(Errc::usage, "unexpected argument '{}'", printable(word));
}

}  // namespace

std::string environment_name(std::string_view long_name) {
  std::string name = "RUVLLM_";
  for (const char c : long_name)
    name += c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return name;
}

void resolve_from_environment(CLI::App& app) {
  for (CLI::App* command : given_commands(app)) {
    for (CLI::Option* option : command->get_options([](CLI::Option*) { return true; })) {
      if (!is_configurable(*command, option) || !is_open(option)) continue;
      const std::string name = environment_name(option->get_lnames()[0]);
      const char* value = std::getenv(name.c_str());
      if (value && *value) set_option(option, {value}, name);
    }
  }
}

void resolve_from_config(CLI::App& app, const std::string& verb, const ConfigFile& file) {
  const std::vector<CLI::App*> commands = given_commands(app);
  for (const CLI::App* inner : app.get_subcommands()) {
    const std::string section = verb + "." + inner->get_name();
    apply_section(commands, long_names(*inner), file, section);
  }
  apply_section(commands, long_names(app), file, verb);
  apply_section(commands, common_names(app), file, "");
}

Error usage_error(const CLI::ParseError& error, const CLI::App& app) {
  if (dynamic_cast<const CLI::ExtrasError*>(&error)) return unexpected_argument(app);
  std::string message = error.what();
  std::replace(message.begin(), message.end(), '\n', ' ');
  constexpr std::string_view kConversion = "Could not convert: ";
  if (const size_t equals = message.find(" = ");
      message.starts_with(kConversion) && equals != std::string::npos)
    return Error(Errc::usage, "{}: {}", message.substr(kConversion.size(), equals - kConversion.size()),
                 wrong_value(message.substr(equals + 3)));
  if (const size_t missing = message.find(": 1 required "); missing != std::string::npos)
    return Error(Errc::usage, "{} needs a value", message.substr(0, missing));
  return Error(Errc::usage, "{}", printable(message));
}

const CLI::App& selected_command(const CLI::App& app) {
  const CLI::App* command = &app;
  for (;;) {
    const auto given = command->get_subcommands([](const CLI::App* inner) { return inner->parsed(); });
    if (given.empty()) return *command;
    command = given.back();
  }
}

CLI::Validator between(double low, double high) {
  const auto check = [low, high](const std::string& text) {
    const auto value = parse_number(text);
    if (value && *value >= low && *value <= high) return std::string();
    return value ? fmt::format("{} is not between {} and {}", text, low, high) : wrong_value(text);
  };
  return CLI::Validator(check, "");
}

}  // namespace ruvllm::cli
