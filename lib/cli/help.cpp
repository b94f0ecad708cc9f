#include "cli/help.h"

#include "base/strings.h"
#include "cli/resolve_options.h"

#include <algorithm>

namespace ruvllm::cli {
namespace {

constexpr int kTermColumns = 28;

// Type names are what stands for the value; of an argument that can be left out, in brackets.
std::string value_name(const CLI::Option& option) {
  if (option.get_expected_max() == 0) return "";  // a flag
  std::string name = option.get_type_name();
  if (name.starts_with('[') && name.ends_with(']')) name = name.substr(1, name.size() - 2);
  return name.empty() ? "" : " " + name;
}

std::string usage_line(const CLI::App& verb, const CLI::App& command) {
  std::string usage = fmt::format("ruvllm {}", verb.get_name());
  if (&command != &verb)
    usage += " " + command.get_name();
  else if (!command.get_subcommands([](const CLI::App*) { return true; }).empty())
    usage += " COMMAND";
  for (const CLI::Option* option : command.get_options())
    if (option->get_positional()) usage += " " + option->get_type_name();
  return usage + " [OPTIONS]";
}

}  // namespace

HelpRow help_row(const CLI::Option& option) {
  if (option.get_positional() && option.get_lnames().empty())
    return {value_name(option).substr(1), option.get_description()};
  std::string term;
  for (const std::string& name : option.get_snames()) term += (term.empty() ? "-" : ", -") + name;
  for (const std::string& name : option.get_lnames()) term += (term.empty() ? "    --" : ", --") + name;
  std::string text = option.get_description();
  if (const std::string value = option.get_default_str(); !value.empty() && text.ends_with('.'))
    text = fmt::format("{} [{}]", text, value);
  return {term + value_name(option), text};
}

std::string help_rows(const std::vector<HelpRow>& rows, int width, const Style& style) {
  size_t columns = 0;
  for (const HelpRow& row : rows) columns = std::max(columns, row.term.size());
  const int term_columns = std::min<int>(static_cast<int>(columns), kTermColumns);
  std::string page;
  for (const HelpRow& row : rows) {
    const int indent = term_columns + 4;
    page += "  " + style.cyan(row.term);
    if (static_cast<int>(row.term.size()) > term_columns)
      page += '\n' + std::string(static_cast<size_t>(indent), ' ');
    else
      page += std::string(static_cast<size_t>(indent) - 2 - row.term.size(), ' ');
    page += wrap_text(row.text, std::max(20, width - indent), indent) + '\n';
  }
  return page;
}

std::vector<const CLI::Option*> options_in_group(const CLI::App& command, const std::string& group) {
  return command.get_options([&](const CLI::Option* option) {
    const bool inherited = option == command.get_help_ptr() && group != kCommonGroup;
    return option->get_group() == group && !group.empty() && !inherited;
  });
}

namespace {

// Options that every verb has, by name alone: the page of a verb is to fit a screen.
std::string common_options(const CLI::App& verb, int width) {
  std::string names;
  for (const CLI::Option* option : options_in_group(verb, kCommonGroup)) {
    std::string term = help_row(*option).term;
    term.erase(0, term.find_first_not_of(' '));
    if (const size_t comma = term.find(", "); comma != term.npos) term.replace(comma, 2, "/");
    names += (names.empty() ? "" : ", ") + term;
  }
  return "  " +
         wrap_text(names + fmt::format("; man ruvllm-{} tells of them.", verb.get_name()), width - 2, 2) +
         "\n";
}

}  // namespace

std::string help_page(const App& app, const CLI::App& verb, const CLI::App& command, int width,
                      const Style& style) {
  width = std::clamp(width, 60, 110);
  std::string page = wrap_text(command.get_description(), width, 0) + "\n\n";
  page += style.bold("usage:") + " " + usage_line(verb, command) + "\n";
  std::vector<HelpRow> commands;
  for (const CLI::App* inner :
       command.get_subcommands([](const CLI::App* sub) { return !sub->get_group().empty(); }))
    commands.push_back({inner->get_name(), inner->get_description()});
  if (!commands.empty()) page += "\n" + style.bold("Commands") + "\n" + help_rows(commands, width, style);

  for (const std::string& group : command.get_groups()) {
    std::vector<HelpRow> rows;
    if (group == kCommonGroup) continue;
    for (const CLI::Option* option : options_in_group(command, group)) rows.push_back(help_row(*option));
    if (!rows.empty()) page += "\n" + style.bold(group) + "\n" + help_rows(rows, width, style);
  }
  page += "\n" + style.bold(kCommonGroup) + "\n" + common_options(verb, width);
  if (!app.example.empty()) {
    page += "\n" + style.bold("Example") + "\n";
    for (std::string_view line : split(app.example, '\n')) page += fmt::format("  {}\n", line);
  }
  return page;
}

}  // namespace ruvllm::cli
