// Man pages and shell completions, made by walking the same CLI::App that parses the command line, so that
// they can't tell anything else. `./dev generate` writes them; tests/cli/generate_test.cpp fails where what
// is committed differs.
#pragma once

#include "cli/app.h"

#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::cli {

/// An option as a shell or a reader sees it.
struct OptionWords {
  std::vector<std::string> names;    ///< with dashes, short ones first; empty for an argument
  std::string value;                 ///< what stands for its value; empty for a flag
  std::vector<std::string> choices;  ///< the values, where only some are allowed
  std::string about;

  bool takes_path() const { return value == "FILE" || value == "DIR" || value == "MODEL"; }
};

/// A command with its options: the verb itself, or one of its subcommands.
struct CommandWords {
  std::string name;  ///< empty for the verb itself
  std::string about;
  std::vector<std::pair<std::string, std::vector<OptionWords>>>
      groups;  ///< title and options, common ones last
  std::vector<OptionWords> options() const;
};

/// The verb, then its subcommands.
std::vector<CommandWords> describe_commands(const CLI::App& verb);

/// roff. `prose`: what man/ruvllm-VERB.1.in says, placed after the first sentence of DESCRIPTION.
std::string man_page(const App& app, const CLI::App& verb, std::string_view prose);

std::string bash_completion(const CLI::App& verb);
std::string zsh_completion(const CLI::App& verb);
std::string fish_completion(const CLI::App& verb);

}  // namespace ruvllm::cli
