// Where an option's value comes from: the command line, then RUVLLM_<OPTION>, then the config file, then its
// default; and what is said when one is wrong. (CLI11 reads config files too, but ranks them above the
// environment.) Tested by tests/cli/options_test.cpp.
#pragma once

#include "base/error.h"
#include "cli/config_file.h"

#include <CLI/CLI.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::cli {

/// The group of options that every verb has.
inline constexpr const char* kCommonGroup = "Common options";

/// "--max-tokens" is read from RUVLLM_MAX_TOKENS.
std::string environment_name(std::string_view long_name);

/// Fills options that are not on the command line from the environment. Throws Errc::usage.
void resolve_from_environment(CLI::App& app);

/// Fills what is still open from the sections [verb] and [verb.subcommand], and common options from keys
/// outside any section. Throws Errc::usage on a key that is no option, with the nearest one.
void resolve_from_config(CLI::App& app, const std::string& verb, const ConfigFile& file);

/// What CLI11 found wrong, in one line that names the option, the value and the nearest right one.
Error usage_error(const CLI::ParseError& error, const CLI::App& app);

/// The innermost subcommand given, or the app itself.
const CLI::App& selected_command(const CLI::App& app);

/// A check for options: a number in [low, high]; NaN is in no range.
CLI::Validator between(double low, double high);

}  // namespace ruvllm::cli
