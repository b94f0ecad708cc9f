// What a verb is: a name, help, options, and a run function. main_app() does the rest the same way for every
// verb: parse, resolve (option, environment, config file, default), run, one line on an error, the right exit
// code. Tested by tests/cli/ through the real programs.
#pragma once

#include <CLI/CLI.hpp>

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::cli {

enum class ColorMode { automatic, always, never };

/// The options that every verb has, resolved.
struct CommonOptions {
  std::string verb;
  int verbose = 0;
  bool quiet = false;
  ColorMode color = ColorMode::automatic;
  bool json = false;
  std::filesystem::path config;     ///< empty where there is none
  std::filesystem::path cache_dir;  ///< empty where not given: then the hub's cache, see hub/settings.h
  int threads = 0;                  ///< at least 1; the most of thread_counts
  std::vector<int> thread_counts;   ///< what -t listed, or `threads` alone
  bool offline = false;
  std::map<std::string, std::string> aliases;  ///< [aliases] of the config file: name to model reference
};

struct App {
  std::string_view name;     ///< "chat"
  std::string_view about;    ///< one sentence
  std::string_view example;  ///< shown at the end of --help; one or more lines
  std::function<void(CLI::App&)> add_options;
  /// Returns the exit code; throws Error for everything else.
  std::function<int(const CommonOptions&)> run;
  bool lists_threads = false;  ///< -t takes N,... and the verb runs with each
};

/// The whole main function of a verb.
int main_app(int argc, char** argv, const App& app);

/// Set by SIGINT (main_app installs the handler); a second SIGINT ends the process at once with 130. Long
/// loops look at it and throw Errc::interrupted; the REPL takes it.
std::atomic<bool>& interrupt_flag();

/// Clears the flag; whether it was set.
bool take_interrupt();

/// Waits until `descriptor` can be read (or is at its end); false as soon as SIGINT comes, or when it came
/// before and nobody has taken it. Which thread the signal was given to doesn't matter.
bool wait_for_input(int descriptor);

/// Throws Errc::interrupted where the flag is set.
void throw_if_interrupted();

}  // namespace ruvllm::cli
