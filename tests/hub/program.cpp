#include "hub/program.h"

#include "test_support.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

namespace ruvllm::test {
namespace {

std::string contents(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The largest memory of a process since it was executed. What wait4() tells is no such thing: a child is born
// with its parent's pages, and exec() keeps that peak.
long peak_kib_of(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; status >> word;)
    if (word == "VmHWM:") {
      long kib = 0;
      status >> kib;
      return kib;
    }
  return 0;  // it has ended
}

}  // namespace

Program::Program(const std::vector<std::string>& words, const std::map<std::string, std::string>& environment,
                 const std::filesystem::path& folder)
    : start_(std::chrono::steady_clock::now()) {
  static std::atomic<int> number{0};
  const std::string name = "program-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
  output_ = folder / (name + ".out");
  errors_ = folder / (name + ".err");
  std::vector<std::string> settings = {
      "PATH=" + std::string(std::getenv("PATH") ? std::getenv("PATH") : "/usr/bin:/bin")};
  for (const auto& [key, value] : environment) settings.push_back(key + "=" + value);
  std::vector<char*> arguments, variables;
  std::vector<std::string> copies = words;
  for (std::string& word : copies) arguments.push_back(word.data());
  for (std::string& setting : settings) variables.push_back(setting.data());
  arguments.push_back(nullptr);
  variables.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, output_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, errors_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const int failed = posix_spawnp(&pid_, arguments[0], &actions, nullptr, arguments.data(), variables.data());
  posix_spawn_file_actions_destroy(&actions);
  if (failed) throw std::runtime_error("can't start " + words[0]);
}

Program::~Program() {
  if (finished_) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void Program::kill(int signal) const { ::kill(pid_, signal); }

bool Program::is_running() const {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == 0;
}

ProgramResult Program::wait(std::chrono::seconds longest) {
  ProgramResult result;
  int status = 0;
  const auto end = std::chrono::steady_clock::now() + kPatience * longest;
  while (::waitpid(pid_, &status, WNOHANG) == 0) {
    result.peak_kib = std::max(result.peak_kib, peak_kib_of(pid_));
    if (std::chrono::steady_clock::now() > end) ::kill(pid_, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  finished_ = true;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.output = contents(output_);
  result.errors = contents(errors_);
  std::filesystem::remove(output_);
  std::filesystem::remove(errors_);
  return result;
}

std::string suite_program(const std::string& verb) { return std::string(RUVLLM_BIN_DIR) + "/ruvllm-" + verb; }

bool can_run(const std::vector<std::string>& words) {
  try {
    Program program(words, {}, std::filesystem::temp_directory_path());
    return program.wait(std::chrono::seconds(10)).exit_code == 0;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace ruvllm::test
