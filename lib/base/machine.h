// What this machine is: processors, memory and caches as this process may use them (cgroup quota and limit,
// NUMA, affinity), read from /proc, /sys and the kernel. Used by `info`, by the defaults for threads, and to
// say whether a model fits. Tested by tests/base/machine_test.cpp against made-up /proc and cgroup trees.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace ruvllm {

struct CacheLevel {
  int level;         ///< 1, 2, 3
  std::string kind;  ///< "data", "instruction", "unified"
  uint64_t n_bytes;  ///< of one instance
  int n_sharing;     ///< logical processors that share an instance
};

struct Machine {
  std::string processor;                 ///< model name, "unknown" where the system doesn't say
  int n_logical = 1;                     ///< processors online that this process may run on (affinity)
  int n_physical = 1;                    ///< cores, hyper-threads counted once
  std::optional<double> cpu_quota;       ///< cgroup limit in processors
  uint64_t memory_bytes = 0;             ///< of the machine
  uint64_t available_bytes = 0;          ///< free or reclaimable now, within the cgroup's limit
  std::optional<uint64_t> memory_limit;  ///< cgroup limit
  int n_numa_nodes = 1;
  std::vector<CacheLevel> caches;

  /// min(cores, quota rounded up), at least 1: how many threads to start when nobody says.
  int default_threads() const;
};

/// Reads the machine. `root` is "/" but for tests.
Machine read_machine(const std::filesystem::path& root = "/");

/// The largest resident memory this process has had, in bytes (VmHWM); 0 where unknown.
uint64_t peak_memory_bytes();

}  // namespace ruvllm
