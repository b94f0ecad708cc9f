// Where each figure comes from: proc(5) for the processor, memory and this process' affinity; the kernel's
// Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst for quota and limit; sysfs for cores, caches and NUMA
// nodes.
#include "base/machine.h"

#include "base/error.h"
#include "base/file.h"
#include "base/strings.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <string_view>

namespace ruvllm {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxBytes = 16 << 20;
constexpr int64_t kMaxProcessors = 1 << 16;

// Everything below is advice from a system that may lack any of it: what can't be read is absent, never an
// error.
std::string read_text(const fs::path& path) {
  try {
    return read_file(path, kMaxBytes);
  } catch (const Error&) {
    return {};
  }
}

// What follows "name" and a colon at the beginning of a line; empty where there is no such line.
std::string_view field(std::string_view text, std::string_view name) {
  for (const std::string_view line : split(text, '\n')) {
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos && trim(line.substr(0, colon)) == name)
      return trim(line.substr(colon + 1));
  }
  return {};
}

// "123 kB" in bytes.
uint64_t kilobytes(std::string_view text) {
  return static_cast<uint64_t>(
             std::max<int64_t>(parse_integer(text.substr(0, text.find(' '))).value_or(0), 0)) *
         1024;
}

// "0-3,8" as numbers.
std::set<int64_t> parse_list(std::string_view text) {
  std::set<int64_t> numbers;
  for (const std::string_view range : split(trim(text), ',')) {
    const size_t dash = range.find('-');
    const auto first = parse_integer(range.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_integer(range.substr(dash + 1));
    if (!first || !last || *first < 0 || *last >= kMaxProcessors) continue;
    for (int64_t number = *first; number <= *last; ++number) numbers.insert(number);
  }
  return numbers;
}

fs::path processor_folder(const fs::path& root, int64_t processor) {
  return root / "sys/devices/system/cpu" / ("cpu" + std::to_string(processor));
}

std::set<int64_t> usable_processors(const fs::path& root) {
  std::set<int64_t> usable = parse_list(read_text(root / "sys/devices/system/cpu/online"));
  const auto allowed = parse_list(field(read_text(root / "proc/self/status"), "Cpus_allowed_list"));
  if (usable.empty()) return allowed;
  if (!allowed.empty())
    std::erase_if(usable, [&](int64_t processor) { return !allowed.contains(processor); });
  return usable;
}

int count_cores(const fs::path& root, const std::set<int64_t>& processors) {
  std::set<std::string> cores;  // processors of one core name the same siblings
  for (const int64_t processor : processors) {
    const std::string siblings =
        read_text(processor_folder(root, processor) / "topology/thread_siblings_list");
    cores.insert(siblings.empty() ? std::to_string(processor) : siblings);
  }
  return static_cast<int>(cores.size());
}

std::vector<CacheLevel> read_caches(const fs::path& root, int64_t processor) {
  std::vector<CacheLevel> caches;
  for (int index = 0;; ++index) {
    const fs::path folder = processor_folder(root, processor) / "cache" / ("index" + std::to_string(index));
    const auto level = parse_integer(trim(read_text(folder / "level")));
    if (!level) return caches;
    const auto n_bytes = parse_bytes(trim(read_text(folder / "size")));
    const auto sharing = parse_list(read_text(folder / "shared_cpu_list"));
    caches.push_back({static_cast<int>(*level), to_lower(trim(read_text(folder / "type"))),
                      n_bytes.value_or(0), std::max(static_cast<int>(sharing.size()), 1)});
  }
}

// Calls `visit` with the folder of this process' control group and of each group above it, in the hierarchy
// of `controller` (version 1) or the unified one (empty). Inside a container the group's path may not exist
// below the mount point; its root does.
void for_each_group(const fs::path& root, std::string_view controller,
                    const std::function<void(const fs::path&)>& visit) {
  const std::string groups = read_text(root / "proc/self/cgroup");
  for (const std::string_view line : split(groups, '\n')) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    if (std::ranges::count(split(controllers, ','), controller) == 0) continue;
    const fs::path path = fs::path(line.substr(second + 1)).relative_path();
    const std::string mounted(controllers.empty() ? "unified" : controllers);
    for (const fs::path& mount : {fs::path(mounted), fs::path(controller), fs::path()}) {
      fs::path group = path;
      for (;; group = group.parent_path()) {
        visit(root / "sys/fs/cgroup" / mount / group);
        if (group.empty()) break;
      }
    }
  }
}

template <typename T>
void keep_least(std::optional<T>& least, T value) {
  least = least ? std::min(*least, value) : value;
}

std::optional<double> read_cpu_quota(const fs::path& root) {
  std::optional<double> quota;
  const auto take = [&](std::string_view limit, std::string_view period) {
    const auto microseconds = parse_number(trim(limit)), every = parse_number(trim(period));
    if (microseconds && every && *microseconds > 0 && *every > 0) keep_least(quota, *microseconds / *every);
  };
  for_each_group(root, "", [&](const fs::path& group) {
    const std::string text = read_text(group / "cpu.max");  // "50000 100000" or "max 100000"
    const size_t space = text.find(' ');
    if (space != std::string::npos)
      take(std::string_view(text).substr(0, space), std::string_view(text).substr(space));
  });
  for_each_group(root, "cpu", [&](const fs::path& group) {
    take(read_text(group / "cpu.cfs_quota_us"), read_text(group / "cpu.cfs_period_us"));
  });
  return quota;
}

// One hierarchy's names for the same three things.
struct MemoryFiles {
  const char* controller;
  const char* limit;
  const char* usage;
  const char* reclaimable;  // a word of memory.stat: the page cache that the kernel takes back first
};
constexpr MemoryFiles kMemoryFiles[] = {
    {"", "memory.max", "memory.current", "inactive_file"},
    {"memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"},
};

uint64_t stat_value(std::string_view text, std::string_view name) {
  for (const std::string_view line : split(text, '\n')) {
    const size_t space = line.find(' ');
    if (space != std::string_view::npos && line.substr(0, space) == name)
      return static_cast<uint64_t>(std::max<int64_t>(parse_integer(trim(line.substr(space))).value_or(0), 0));
  }
  return 0;
}

void read_memory_limits(const fs::path& root, Machine& machine) {
  for (const MemoryFiles& files : kMemoryFiles) {
    for_each_group(root, files.controller, [&](const fs::path& group) {
      const auto limit = parse_integer(trim(read_text(group / files.limit)));
      // No limit is "max" in version 2, a number beyond all memory in version 1.
      if (!limit || *limit < 0 ||
          (machine.memory_bytes != 0 && std::cmp_greater_equal(*limit, machine.memory_bytes)))
        return;
      const auto n_bytes = static_cast<uint64_t>(*limit);
      keep_least(machine.memory_limit, n_bytes);
      const auto usage = parse_integer(trim(read_text(group / files.usage)));
      const uint64_t reclaimable = stat_value(read_text(group / "memory.stat"), files.reclaimable);
      const auto used = static_cast<uint64_t>(std::max<int64_t>(usage.value_or(0), 0));
      const uint64_t kept = used - std::min(used, reclaimable);
      machine.available_bytes = std::min(machine.available_bytes, n_bytes - std::min(n_bytes, kept));
    });
  }
}

}  // namespace

int Machine::default_threads() const {
  int n_threads = n_physical;
  if (cpu_quota) n_threads = std::min(n_threads, static_cast<int>(std::ceil(std::min(*cpu_quota, 1e6))));
  return std::max(n_threads, 1);
}

Machine read_machine(const fs::path& root) {
  Machine machine;
  machine.processor = field(read_text(root / "proc/cpuinfo"), "model name");
  if (machine.processor.empty()) machine.processor = "unknown";
  if (const auto processors = usable_processors(root); !processors.empty()) {
    machine.n_logical = static_cast<int>(processors.size());
    machine.n_physical = count_cores(root, processors);
    machine.caches = read_caches(root, *processors.begin());
  }
  machine.cpu_quota = read_cpu_quota(root);
  const std::string memory = read_text(root / "proc/meminfo");
  machine.memory_bytes = kilobytes(field(memory, "MemTotal"));
  machine.available_bytes = kilobytes(field(memory, "MemAvailable"));
  read_memory_limits(root, machine);
  const auto nodes = parse_list(read_text(root / "sys/devices/system/node/online"));
  machine.n_numa_nodes = std::max(static_cast<int>(nodes.size()), 1);
  return machine;
}

uint64_t peak_memory_bytes() { return kilobytes(field(read_text("/proc/self/status"), "VmHWM")); }

}  // namespace ruvllm
