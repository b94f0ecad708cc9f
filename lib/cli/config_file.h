// The config file: TOML with a section for each verb, every long option a key in it, and [aliases] for
// models. Values are kept as text, as if they had been typed; which keys exist is judged by
// resolve_options.h. Tested by tests/cli/options_test.cpp.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace ruvllm::cli {

/// One key of a section, with the place it stands at.
struct ConfigValue {
  std::vector<std::string> values;  ///< one, or the elements of an array
  unsigned line = 0;
};

struct ConfigFile {
  using Section = std::map<std::string, ConfigValue>;
  std::filesystem::path path;
  std::map<std::string, Section> sections;  ///< "chat", "inspect.tokens", "aliases"; keys outside any: ""
};

/// Reads and checks the form of a config file. Throws not_found, or corrupt_file naming line and column.
ConfigFile read_config_file(const std::filesystem::path& path);

/// $XDG_CONFIG_HOME/ruvllm/config.toml (~/.config where unset), or empty where there is no home folder.
std::filesystem::path default_config_path();

/// $XDG_CACHE_HOME/ruvllm (~/.cache where unset), or empty where there is no home folder.
std::filesystem::path default_cache_folder();

/// $XDG_STATE_HOME/ruvllm (~/.local/state where unset), or empty: where the REPL keeps its history.
std::filesystem::path default_state_folder();

}  // namespace ruvllm::cli
