#include "versus.h"

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/utf8.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

extern char** environ;

namespace ruvllm::bench {
namespace {

struct Pipe {
  FileDescriptor read_end, write_end;
};

Pipe make_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw system_error(errno, "a pipe");
  return {FileDescriptor(ends[0]), FileDescriptor(ends[1])};
}

pid_t start(const std::string& command, const Pipe& out) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, out.write_end.get(), STDOUT_FILENO);
  std::string shell = "sh", flag = "-c", text = command;
  char* const arguments[] = {shell.data(), flag.data(), text.data(), nullptr};
  pid_t child = 0;
  const int problem = posix_spawn(&child, "/bin/sh", &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (problem != 0) throw system_error(problem, "/bin/sh");
  return child;
}

// Lines that begin as no line of JSON does: messages that a program printed between.
std::string without_messages(const std::string& text) {
  std::string kept;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    const std::string_view line(text.data() + at, end - at);
    const size_t first = line.find_first_not_of(" \t\r\n");
    const std::string_view rest = first == line.npos ? std::string_view() : line.substr(first);
    if (rest.empty() || rest.starts_with("true") || rest.starts_with("false") || rest.starts_with("null") ||
        std::string_view("{}[],:\"-0123456789").find(rest.front()) != rest.npos)
      kept.append(line);
    at = end;
  }
  return kept;
}

}  // namespace

std::string output_of(const std::string& command) {
  Pipe out = make_pipe();
  const pid_t child = start(command, out);
  out.write_end.close();
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = read(out.read_end.get(), buffer, sizeof buffer)) != 0;) {
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;
    text.append(buffer, static_cast<size_t>(n));
    if (text.size() > limits::kHubJsonBytes) break;
  }
  out.read_end.close();
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw Error(Errc::failed, "--vs: the command ended with status {}",
                WIFEXITED(status) ? WEXITSTATUS(status) : -1);
  return text;
}

void add_versus(const std::string& command, std::vector<SpeedRow>& rows) {
  const Json answer = parse_json(without_messages(output_of(command)), "--vs");
  size_t n_found = 0;
  const auto count = [](const Json& entry, const char* name) {
    const auto found = entry.find(name);
    return found != entry.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
  };
  for (const Json& entry : answer) {
    if (!entry.is_object()) continue;
    const int64_t n_prompt = count(entry, "n_prompt"), n_generated = count(entry, "n_gen");
    for (SpeedRow& row : rows) {
      if (row.test.n_prompt != n_prompt || row.test.n_generated != n_generated || row.test.batch != 1)
        continue;
      const auto rate = entry.find("avg_ts");
      if (rate == entry.end() || !rate->is_number() || !(rate->get<double>() > 0))
        throw Error(Errc::failed, "--vs: avg_ts of {} is {}, expected a number above 0", row.test.name(),
                    rate == entry.end() ? "not there" : printable(dump_json(*rate)));
      row.versus.push_back(*rate);
      ++n_found;
    }
  }
  if (n_found == 0) throw Error(Errc::failed, "--vs: the command's JSON has none of these tests");
}

}  // namespace ruvllm::bench
