// The page that --help prints: usage, options by group, an example. One layout for every verb, and for the
// front. Tested by tests/cli/front_test.cpp.
#pragma once

#include "cli/app.h"
#include "cli/console.h"

#include <string>
#include <vector>

namespace ruvllm::cli {

/// A line of help: what is typed, and what it does.
struct HelpRow {
  std::string term;
  std::string text;
};

/// Two columns, the second wrapped to `width`; terms that are too long get a line of their own.
std::string help_rows(const std::vector<HelpRow>& rows, int width, const Style& style);

/// "-n, --max-tokens N" and its sentence with the default.
HelpRow help_row(const CLI::Option& option);

/// The options of a group that are to be shown, in the order they were added.
std::vector<const CLI::Option*> options_in_group(const CLI::App& command, const std::string& group);

/// The whole page of a command of `app` (the verb itself, or one of its subcommands).
std::string help_page(const App& app, const CLI::App& verb, const CLI::App& command, int width,
                      const Style& style);

}  // namespace ruvllm::cli
