// Runs the suite's own programs as a user would: as processes, with their output, exit code and memory, and
// on a pseudo-terminal where it matters that there is one.
#pragma once

#include <sys/types.h>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ruvllm::test {

/// What a program left behind.
struct Finished {
  int exit_code = -1;      ///< 128 + signal where one killed it
  bool timed_out = false;  ///< then it was killed
  std::string out;
  std::string err;
  double seconds = 0;
  uint64_t peak_bytes = 0;  ///< largest resident memory
};

struct Launch {
  std::filesystem::path program;  ///< the front of the suite, if not set
  std::vector<std::string> arguments;
  std::string input;         ///< standard input
  bool close_input = false;  ///< no standard input at all
  bool close_output = false;
  std::string output_path;  ///< standard output goes to this file, if set
  std::vector<std::pair<std::string, std::string>> environment;  ///< added to; "" removes
  std::filesystem::path folder;                                  ///< working folder, if set
  std::chrono::seconds timeout{60};
};

/// Where the programs lie.
std::filesystem::path program_folder();

/// Runs `ruvllm ARGUMENTS...` to its end. Configuration and caches of the user who runs the tests are out of
/// sight.
Finished run_as(const Launch& launch);
Finished run(std::vector<std::string> arguments);

/// Whether a pseudo-terminal can be opened here; where not (no /dev/pts in a chroot) it says so, and the test
/// returns.
bool has_terminal();

/// `ruvllm ARGUMENTS...` that goes on while the test watches it. With `terminal`, its standard files are a
/// pseudo-terminal of 80 x 24; else stdout and stderr are one pipe and stdin is empty.
class Running {
 public:
  Running(const Launch& launch, bool terminal);
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  void type(std::string_view text);
  void interrupt();
  /// Reads until the output since the last call holds `text`; false after `timeout`.
  bool wait_for(std::string_view text, std::chrono::seconds timeout = std::chrono::seconds(20));
  /// Everything read so far.
  const std::string& output() const { return output_; }
  /// Waits for the end; nothing where it doesn't come in time.
  std::optional<int> wait_exit(std::chrono::seconds timeout = std::chrono::seconds(20));

 private:
  bool read_some(int timeout_ms);

  pid_t process_ = -1;
  int descriptor_ = -1;
  std::string output_;
  size_t seen_ = 0;
  std::optional<int> exit_code_;
};

}  // namespace ruvllm::test
