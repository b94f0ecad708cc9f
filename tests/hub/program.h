// Runs one of the suite's programs (or any other) with an environment of its own, and tells what came of it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace ruvllm::test {

struct ProgramResult {
  int exit_code = -1;  ///< 128 + signal where it was killed
  std::string output;
  std::string errors;
  double seconds = 0;
  long peak_kib = 0;  ///< largest resident memory, as read every 2 ms while it ran
};

class Program {
 public:
  /// Starts it. `environment` replaces the test's own but for PATH.
  Program(const std::vector<std::string>& words, const std::map<std::string, std::string>& environment,
          const std::filesystem::path& folder);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  void kill(int signal) const;
  bool is_running() const;
  /// Waits for its end; kills it after `longest` (exit code 137 then, as from any SIGKILL).
  ProgramResult wait(std::chrono::seconds longest = std::chrono::seconds(60));

 private:
  pid_t pid_ = -1;
  std::filesystem::path output_;
  std::filesystem::path errors_;
  std::chrono::steady_clock::time_point start_;
  bool finished_ = false;
};

/// The path of a program of the suite: "pull" is ruvllm-pull.
std::string suite_program(const std::string& verb);

/// Whether a program of that name is in PATH and can do its work here.
bool can_run(const std::vector<std::string>& words);

}  // namespace ruvllm::test
