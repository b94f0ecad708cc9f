#include "cli/process.h"

#include "test_support.h"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <stdexcept>
#include <thread>

extern char** environ;

namespace ruvllm::test {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const char* what) {
  throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

// argv or envp: pointers into strings that outlive them.
std::vector<char*> pointers_to(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> environment_of(const Launch& launch) {
  static const TemporaryFolder home;
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry;
    const size_t equals = text.find('=');
    const std::string name = text.substr(0, equals);
    if (!name.starts_with("RUVLLM_") && !name.starts_with("XDG_") && name != "NO_COLOR" && name != "COLUMNS")
      variables[name] = text.substr(equals + 1);
  }
  variables["HOME"] = home.path();
  variables["TERM"] = "xterm";
  for (const auto& [name, value] : launch.environment) {
    if (value.empty())
      variables.erase(name);
    else
      variables[name] = value;
  }
  std::vector<std::string> words;
  for (const auto& [name, value] : variables) words.push_back(name + "=" + value);
  return words;
}

std::vector<std::string> command_of(const Launch& launch) {
  std::vector<std::string> words = {
      (launch.program.empty() ? program_folder() / "ruvllm" : launch.program).string()};
  words.insert(words.end(), launch.arguments.begin(), launch.arguments.end());
  return words;
}

class Pipe {
 public:
  Pipe() {
    if (pipe2(ends_, O_CLOEXEC) != 0) fail("pipe");
  }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  int reader() const { return ends_[0]; }
  int writer() const { return ends_[1]; }
  void close_end(int end) {
    if (ends_[end] >= 0) close(ends_[end]);
    ends_[end] = -1;
  }

 private:
  int ends_[2] = {-1, -1};
};

class SpawnActions {
 public:
  SpawnActions() { posix_spawn_file_actions_init(&actions_); }
  ~SpawnActions() { posix_spawn_file_actions_destroy(&actions_); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

pid_t spawn(const Launch& launch, SpawnActions& actions) {
  if (!launch.folder.empty()) posix_spawn_file_actions_addchdir_np(actions.get(), launch.folder.c_str());
  std::vector<std::string> words = command_of(launch), variables = environment_of(launch);
  pid_t process = -1;
  const int error = posix_spawn(&process, words[0].c_str(), actions.get(), nullptr, pointers_to(words).data(),
                                pointers_to(variables).data());
  if (error != 0) throw std::runtime_error(words[0] + ": " + std::strerror(error));
  return process;
}

int exit_code_of(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

bool read_available(int descriptor, std::string& text) {
  char buffer[65536];
  const ssize_t n_read = read(descriptor, buffer, sizeof buffer);
  if (n_read > 0) text.append(buffer, static_cast<size_t>(n_read));
  return n_read > 0;
}

// Moves input in and output out until the program has closed its output, or time is up.
bool exchange(const Launch& launch, Pipe& in, Pipe& out, Pipe& err, Finished& finished) {
  const auto deadline = Clock::now() + kPatience * launch.timeout;
  std::string_view input = launch.input;
  fcntl(in.writer(), F_SETFL, O_NONBLOCK);
  if (input.empty()) in.close_end(1);
  while (out.reader() >= 0 || err.reader() >= 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd files[3] = {{in.writer(), POLLOUT, 0}, {out.reader(), POLLIN, 0}, {err.reader(), POLLIN, 0}};
    if (poll(files, 3, static_cast<int>(left)) < 0) fail("poll");
    if (files[0].revents) {
      const ssize_t n_written = write(in.writer(), input.data(), input.size());
      if (n_written > 0) input.remove_prefix(static_cast<size_t>(n_written));
      if (n_written < 0 || input.empty()) in.close_end(1);
    }
    if (files[1].revents && !read_available(out.reader(), finished.out)) out.close_end(0);
    if (files[2].revents && !read_available(err.reader(), finished.err)) err.close_end(0);
  }
  return true;
}

}  // namespace

std::filesystem::path program_folder() { return RUVLLM_BIN_DIR; }

Finished run(std::vector<std::string> arguments) {
  Launch launch;
  launch.arguments = std::move(arguments);
  return run_as(launch);
}

Finished run_as(const Launch& launch) {
  std::signal(SIGPIPE, SIG_IGN);
  Pipe in, out, err;
  SpawnActions actions;
  posix_spawn_file_actions_adddup2(actions.get(), in.reader(), 0);
  posix_spawn_file_actions_adddup2(actions.get(), out.writer(), 1);
  posix_spawn_file_actions_adddup2(actions.get(), err.writer(), 2);
  if (launch.close_input) posix_spawn_file_actions_addclose(actions.get(), 0);
  if (launch.close_output) posix_spawn_file_actions_addclose(actions.get(), 1);
  if (!launch.output_path.empty())
    posix_spawn_file_actions_addopen(actions.get(), 1, launch.output_path.c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC, 0600);
  const auto start = Clock::now();
  const pid_t process = spawn(launch, actions);
  in.close_end(0);
  out.close_end(1);
  err.close_end(1);

  Finished finished;
  finished.timed_out = !exchange(launch, in, out, err, finished);
  if (finished.timed_out) kill(process, SIGKILL);
  int status = 0;
  rusage usage{};
  wait4(process, &status, 0, &usage);
  finished.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  finished.exit_code = exit_code_of(status);
  finished.peak_bytes = static_cast<uint64_t>(usage.ru_maxrss) * 1024;
  return finished;
}

bool has_terminal() {
  int master = -1, slave = -1;
  if (openpty(&master, &slave, nullptr, nullptr, nullptr) != 0) {
    MESSAGE("skipped: no pseudo-terminal here: " << std::string(std::strerror(errno)));
    return false;
  }
  close(master);
  close(slave);
  return true;
}

Running::Running(const Launch& launch, bool terminal) {
  SpawnActions actions;
  Pipe pipe;
  int slave = -1;
  if (terminal) {
    winsize size{24, 80, 0, 0};
    if (openpty(&descriptor_, &slave, nullptr, nullptr, &size) != 0) fail("openpty");
    fcntl(descriptor_, F_SETFD, FD_CLOEXEC);
    for (const int file : {0, 1, 2}) posix_spawn_file_actions_adddup2(actions.get(), slave, file);
    if (slave > 2) posix_spawn_file_actions_addclose(actions.get(), slave);
  } else {
    posix_spawn_file_actions_addopen(actions.get(), 0, "/dev/null", O_RDONLY, 0);
    for (const int file : {1, 2}) posix_spawn_file_actions_adddup2(actions.get(), pipe.writer(), file);
    descriptor_ = fcntl(pipe.reader(), F_DUPFD_CLOEXEC, 3);
  }
  process_ = spawn(launch, actions);
  if (slave >= 0) close(slave);
}

Running::~Running() {
  if (!exit_code_) {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }
  close(descriptor_);
}

void Running::type(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n_written = write(descriptor_, text.data(), text.size());
    if (n_written <= 0) fail("typing");
    text.remove_prefix(static_cast<size_t>(n_written));
  }
}

void Running::interrupt() { kill(process_, SIGINT); }

bool Running::read_some(int timeout_ms) {
  pollfd file{descriptor_, POLLIN, 0};
  return poll(&file, 1, timeout_ms) > 0 && read_available(descriptor_, output_);
}

bool Running::wait_for(std::string_view text, std::chrono::seconds timeout) {
  const auto deadline = Clock::now() + kPatience * timeout;
  for (;;) {
    if (const size_t found = output_.find(text, seen_); found != std::string::npos) {
      seen_ = found + text.size();
      return true;
    }
    if (Clock::now() > deadline) return false;
    if (!read_some(100) && wait_exit(std::chrono::seconds(0))) {
      while (read_some(0)) {
      }
      return output_.find(text, seen_) != std::string::npos;
    }
  }
}

std::optional<int> Running::wait_exit(std::chrono::seconds timeout) {
  const auto deadline = Clock::now() + kPatience * timeout;
  while (!exit_code_) {
    int status = 0;
    if (waitpid(process_, &status, WNOHANG) == process_) {
      exit_code_ = exit_code_of(status);
    } else {
      if (Clock::now() > deadline) return std::nullopt;
      read_some(20);
    }
  }
  return exit_code_;
}

}  // namespace ruvllm::test
