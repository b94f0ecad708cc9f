#include "base/error.h"
#include "base/strings.h"
#include "cli/generate.h"
#include "cli/help.h"
#include "cli/resolve_options.h"

#include <algorithm>

namespace ruvllm::cli {
namespace {

OptionWords words_of(const CLI::Option& option) {
  OptionWords words;
  for (const std::string& name : option.get_snames()) words.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) words.names.push_back("--" + name);
  if (option.get_expected_max() != 0) {
    words.value = option.get_type_name();
    std::erase(words.value, '[');
    std::erase(words.value, ']');
    if (words.value.find('|') != std::string::npos)
      for (std::string_view choice : split(words.value, '|')) words.choices.emplace_back(choice);
  }
  words.about = help_row(option).text;
  return words;
}

std::vector<OptionWords> words_of(const CLI::App& command, const std::string& group) {
  std::vector<OptionWords> words;
  for (const CLI::Option* option : options_in_group(command, group)) words.push_back(words_of(*option));
  return words;
}

std::string join(const std::vector<std::string>& words, std::string_view separator) {
  std::string joined;
  for (const std::string& word : words) joined += (joined.empty() ? "" : std::string(separator)) + word;
  return joined;
}

std::string replaced(std::string_view text, std::string_view characters, std::string_view before) {
  std::string result;
  for (const char c : text) {
    if (characters.find(c) != std::string_view::npos) result += before;
    result += c;
  }
  return result;
}

std::string in_single_quotes(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

// "_ruvllm_train_qat": the name of a shell function.
std::string function_name(const CLI::App& verb) {
  std::string name = "_ruvllm_" + verb.get_name();
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::vector<std::string> names_of(const CommandWords& command) {
  std::vector<std::string> names;
  for (const OptionWords& option : command.options())
    names.insert(names.end(), option.names.begin(), option.names.end());
  return names;
}

// One branch of `case $previous in`: what may follow an option that takes a value.
std::string bash_value_cases(const CommandWords& command) {
  std::string cases;
  for (const OptionWords& option : command.options()) {
    if (option.names.empty() || option.value.empty()) continue;
    std::string reply = "return";
    if (!option.choices.empty())
      reply = fmt::format("mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$word\"); return",
                          join(option.choices, " "));
    else if (option.takes_path())
      reply = "compopt -o default; return";
    cases += fmt::format("      {}) {} ;;\n", join(option.names, " | "), reply);
  }
  return cases;
}

std::string zsh_value(const OptionWords& option) {
  if (option.value.empty()) return "";
  std::string action = " ";
  if (!option.choices.empty())
    action = "(" + join(option.choices, " ") + ")";
  else if (option.takes_path())
    action = "_files";
  return fmt::format(":{}:{}", replaced(option.value, ":\\", "\\"), action);
}

std::string zsh_arguments(const CommandWords& command) {
  std::string arguments = "_arguments -s";
  for (const OptionWords& option : command.options()) {
    if (option.names.empty()) continue;
    const std::string about = fmt::format("[{}]", replaced(option.about, "[]\\:", "\\"));
    for (const std::string& name : option.names)
      arguments += fmt::format(" \\\n    {}", in_single_quotes("*" + name +
                                                               (option.value.empty()     ? ""
                                                                : name.starts_with("--") ? "="
                                                                                         : "+") +
                                                               about + zsh_value(option)));
  }
  return arguments + " \\\n    '*:file:_files'";
}

}  // namespace

std::vector<OptionWords> CommandWords::options() const {
  std::vector<OptionWords> all;
  for (const auto& [title, options] : groups) all.insert(all.end(), options.begin(), options.end());
  return all;
}

std::vector<CommandWords> describe_commands(const CLI::App& verb) {
  std::vector<CommandWords> commands;
  const auto describe = [&](const CLI::App& command, std::string name) {
    CommandWords words{std::move(name), command.get_description(), {}};
    for (const std::string& group : command.get_groups())
      if (group != kCommonGroup && !words_of(command, group).empty())
        words.groups.emplace_back(group, words_of(command, group));
    words.groups.emplace_back(kCommonGroup, words_of(verb, kCommonGroup));
    commands.push_back(std::move(words));
  };
  describe(verb, "");
  for (const CLI::App* inner : verb.get_subcommands([](const CLI::App*) { return true; }))
    describe(*inner, inner->get_name());
  return commands;
}

std::string bash_completion(const CLI::App& verb) {
  const std::vector<CommandWords> commands = describe_commands(verb);
  std::string inner_names;
  for (const CommandWords& command : commands) inner_names += command.name.empty() ? "" : command.name + " ";
  std::string script = "# Generated by ./dev generate.\n" + function_name(verb) + "() {\n";
  script +=
      "  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command='' candidate\n";
  if (!inner_names.empty())
    script += fmt::format(
        "  for candidate in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do\n"
        "    [[ ' {}' == *\" $candidate \"* ]] && command=$candidate && break\n  done\n",
        inner_names);
  script += "  COMPREPLY=()\n  case $command in\n";
  for (const CommandWords& command : commands) {
    script += fmt::format("    {})\n      case $previous in\n", command.name.empty() ? "''" : command.name);
    script += bash_value_cases(command);
    script += "      esac\n";
    script += fmt::format(
        "      [[ $word == -* ]] && mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$word\") && return\n",
        join(names_of(command), " "));
    if (command.name.empty() && !inner_names.empty())
      script += fmt::format("      mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$word\"); return\n",
                            std::string(trim(inner_names)));
    script += "      ;;\n";
  }
  return script + fmt::format("  esac\n  compopt -o default\n}}\ncomplete -F {} ruvllm-{}\n",
                              function_name(verb), verb.get_name());
}

std::string zsh_completion(const CLI::App& verb) {
  const std::vector<CommandWords> commands = describe_commands(verb);
  std::string script = fmt::format("#compdef ruvllm-{}\n# Generated by ./dev generate.\n", verb.get_name());
  if (commands.size() == 1) return script + zsh_arguments(commands[0]) + "\n";
  std::string names, cases;
  for (const CommandWords& command : commands) {
    if (command.name.empty()) continue;
    names += fmt::format(" {}", in_single_quotes(command.name + ":" + replaced(command.about, ":", "\\")));
    cases += fmt::format("  {})\n    shift words\n    (( CURRENT-- ))\n    {}\n    ;;\n", command.name,
                         zsh_arguments(command));
  }
  return script + fmt::format(
                      "local -a commands=({} )\n"
                      "if (( CURRENT == 2 )); then\n  _describe command commands\n  return\nfi\n"
                      "case $words[2] in\n{}esac\n",
                      names, cases);
}

std::string fish_completion(const CLI::App& verb) {
  std::string script = "# Generated by ./dev generate.\n";
  const std::string seen_verb = "__fish_seen_subcommand_from " + verb.get_name();
  const auto add = [&](const std::string& condition, const std::string& rest) {
    script +=
        fmt::format("complete -c ruvllm -n {} {}\n",
                    in_single_quotes(seen_verb + (condition.empty() ? "" : "; and " + condition)), rest);
    script += fmt::format("complete -c ruvllm-{}{} {}\n", verb.get_name(),
                          condition.empty() ? "" : " -n " + in_single_quotes(condition), rest);
  };
  for (const CommandWords& command : describe_commands(verb)) {
    const std::string condition = command.name.empty() ? "" : "__fish_seen_subcommand_from " + command.name;
    if (!command.name.empty())
      add("", fmt::format("-a {} -d {}", command.name, in_single_quotes(command.about)));
    for (const auto& [title, options] : command.groups) {
      if (!command.name.empty() && title == kCommonGroup) continue;
      for (const OptionWords& option : options) {
        if (option.names.empty()) continue;
        std::string line;
        for (const std::string& name : option.names)
          line += (name.starts_with("--") ? "-l " + name.substr(2) : "-s " + name.substr(1)) + " ";
        if (!option.choices.empty())
          line += fmt::format("-x -a {} ", in_single_quotes(join(option.choices, " ")));
        else if (!option.value.empty())
          line += option.takes_path() ? "-r -F " : "-x ";
        add(condition, line + "-d " + in_single_quotes(option.about));
      }
    }
  }
  return script;
}

}  // namespace ruvllm::cli
