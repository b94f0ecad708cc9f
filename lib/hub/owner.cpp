#include "hub/owner.h"

#include "base/error.h"
#include "base/file.h"
#include "base/strings.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <random>
#include <vector>

namespace ruvllm::hub {
namespace {

constexpr std::time_t kForeignOwnerSeconds = 300;
constexpr size_t kMaxHostBytes = 32;

std::string host_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0 || !name[0]) return "unknown";
  std::string host(name);
  for (char& c : host)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return host.substr(0, kMaxHostBytes);
}

// Field 22 of /proc/PID/stat, ticks since boot: tells a process from a later one with the same number.
std::string start_time(int64_t pid) {
  try {
    const std::string stat = read_file(fmt::format("/proc/{}/stat", pid), 4096);
    const size_t after_name = stat.rfind(')');
    if (after_name == std::string::npos) return "0";
    const std::vector<std::string_view> fields = split(std::string_view(stat).substr(after_name + 2), ' ');
    return fields.size() > 19 ? std::string(fields[19]) : "0";
  } catch (const Error&) {
    return "0";
  }
}

}  // namespace

std::string owner_tag() {
  std::random_device random;
  return fmt::format("{}-{}-{}-{:08x}", host_name(), ::getpid(), start_time(::getpid()), random());
}

std::optional<std::string> tag_of(std::string_view file_name, std::string_view suffix) {
  if (!file_name.ends_with(suffix)) return std::nullopt;
  file_name.remove_suffix(suffix.size());
  const size_t dot = file_name.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  return std::string(file_name.substr(dot + 1));
}

bool owner_is_alive(std::string_view tag, const std::filesystem::path& file) {
  const std::vector<std::string_view> parts = split(tag, '-');
  const std::optional<int64_t> pid = parts.size() == 4 ? parse_integer(parts[1]) : std::nullopt;
  if (!pid || *pid <= 0) return false;
  if (parts[0] != host_name()) {
    struct stat status {};
    return ::lstat(file.c_str(), &status) == 0 && std::time(nullptr) - status.st_mtime < kForeignOwnerSeconds;
  }
  if (*pid == ::getpid())
    return false;  // left behind by an earlier attempt of this process: one works at a time
  const bool exists = ::kill(static_cast<pid_t>(*pid), 0) == 0 || errno == EPERM;
  return exists && start_time(*pid) == parts[2];
}

}  // namespace ruvllm::hub
