#include "base/machine.h"

#include "base/file.h"
#include "test_support.h"

#include <doctest/doctest.h>

#include <map>
#include <string>

using namespace ruvllm;

namespace {

// A made-up root file system.
class Root {
 public:
  explicit Root(const std::map<std::string, std::string>& files) {
    for (const auto& [name, text] : files) {
      const auto path = folder_ / name;
      std::filesystem::create_directories(path.parent_path());
      write_file_atomically(path, text);
    }
  }
  Machine read() const { return read_machine(folder_.path()); }

 private:
  test::TemporaryFolder folder_;
};

const std::map<std::string, std::string> kFourThreads = {
    {"proc/cpuinfo",
     "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags: a b\n\nprocessor\t: 1\nmodel name\t: no\n"},
    {"proc/meminfo", "MemTotal:        8388608 kB\nMemFree: 1 kB\nMemAvailable:    4194304 kB\n"},
    {"proc/self/status", "Name:\tx\nCpus_allowed_list:\t0-3\nVmHWM:\t12 kB\n"},
    {"sys/devices/system/cpu/online", "0-3\n"},
    {"sys/devices/system/node/online", "0-1\n"},
    {"sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "0,2\n"},
    {"sys/devices/system/cpu/cpu1/topology/thread_siblings_list", "1,3\n"},
    {"sys/devices/system/cpu/cpu2/topology/thread_siblings_list", "0,2\n"},
    {"sys/devices/system/cpu/cpu3/topology/thread_siblings_list", "1,3\n"},
    {"sys/devices/system/cpu/cpu0/cache/index0/level", "1\n"},
    {"sys/devices/system/cpu/cpu0/cache/index0/type", "Data\n"},
    {"sys/devices/system/cpu/cpu0/cache/index0/size", "48K\n"},
    {"sys/devices/system/cpu/cpu0/cache/index0/shared_cpu_list", "0,2\n"},
    {"sys/devices/system/cpu/cpu0/cache/index1/level", "3\n"},
    {"sys/devices/system/cpu/cpu0/cache/index1/type", "Unified\n"},
    {"sys/devices/system/cpu/cpu0/cache/index1/size", "32M\n"},
    {"sys/devices/system/cpu/cpu0/cache/index1/shared_cpu_list", "0-3\n"},
};

Machine machine_with(const std::map<std::string, std::string>& files) {
  auto all = files;
  all.insert(kFourThreads.begin(), kFourThreads.end());
  return Root(all).read();
}

}  // namespace

TEST_CASE("processors, cores, caches, memory and NUMA nodes are counted") {
  const Machine machine = machine_with({});
  CHECK(machine.processor == "Some CPU @ 2 GHz");
  CHECK(machine.n_logical == 4);
  CHECK(machine.n_physical == 2);
  CHECK(machine.n_numa_nodes == 2);
  CHECK(machine.memory_bytes == 8ull << 30);
  CHECK(machine.available_bytes == 4ull << 30);
  CHECK_FALSE(machine.cpu_quota);
  CHECK_FALSE(machine.memory_limit);
  REQUIRE(machine.caches.size() == 2);
  CHECK(machine.caches[0].kind == "data");
  CHECK(machine.caches[0].n_bytes == 48 << 10);
  CHECK(machine.caches[0].n_sharing == 2);
  CHECK(machine.caches[1].level == 3);
  CHECK(machine.caches[1].n_bytes == 32 << 20);
  CHECK(machine.caches[1].n_sharing == 4);
  CHECK(machine.default_threads() == 2);
}

TEST_CASE("affinity leaves only the processors that it allows") {
  const Machine machine = machine_with({{"proc/self/status", "Cpus_allowed_list:\t1,3,7\n"}});
  CHECK(machine.n_logical == 2);
  CHECK(machine.n_physical == 1);
}

TEST_CASE("the tightest quota of a version 2 group and the groups above it holds") {
  const Machine machine =
      machine_with({{"proc/self/cgroup", "0::/a/b\n"},
                    {"sys/fs/cgroup/a/b/cpu.max", "max 100000\n"},
                    {"sys/fs/cgroup/a/cpu.max", "150000 100000\n"},
                    {"sys/fs/cgroup/a/b/memory.max", "3221225472\n"},
                    {"sys/fs/cgroup/a/b/memory.current", "2147483648\n"},
                    {"sys/fs/cgroup/a/b/memory.stat", "anon 5\ninactive_file 1073741824\n"},
                    {"sys/fs/cgroup/a/memory.max", "max\n"}});
  CHECK(machine.cpu_quota == 1.5);
  CHECK(machine.default_threads() == 2);
  CHECK(machine.memory_limit == 3ull << 30);
  CHECK(machine.available_bytes == 2ull << 30);
}

TEST_CASE("version 1 groups and a container's root group are read") {
  const Machine machine =
      machine_with({{"proc/self/cgroup", "5:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n0::/\n"},
                    {"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "50000\n"},
                    {"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"},
                    {"sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n"},
                    {"sys/fs/cgroup/memory/memory.usage_in_bytes", "2147483648\n"}});
  CHECK(machine.cpu_quota == 0.5);
  CHECK(machine.default_threads() == 1);
  CHECK(machine.memory_limit == 1ull << 30);
  CHECK(machine.available_bytes == 0);
}

TEST_CASE("what stands for no limit is none") {
  const Machine machine =
      machine_with({{"proc/self/cgroup", "2:memory:/\n1:cpu:/\n"},
                    {"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"},
                    {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"},
                    {"sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"}});
  CHECK_FALSE(machine.cpu_quota);
  CHECK_FALSE(machine.memory_limit);
}

TEST_CASE("a system that says nothing or nonsense is one processor") {
  for (const Machine& machine :
       {Root({}).read(), Root({{"sys/devices/system/cpu/online", "0-99999999999,x,-4,3-1\n"},
                               {"proc/meminfo", "MemTotal: lots\n"},
                               {"proc/self/cgroup", "::\nx\n0::/..\n"},
                               {"sys/fs/cgroup/cpu.max", "nan 0"}})
                             .read()}) {
    CHECK(machine.processor == "unknown");
    CHECK(machine.n_logical == 1);
    CHECK(machine.default_threads() == 1);
    CHECK(machine.memory_bytes == 0);
    CHECK_FALSE(machine.cpu_quota);
  }
}

TEST_CASE("this machine has a processor, memory and a peak of use") {
  const Machine machine = read_machine();
  CHECK(machine.n_logical >= machine.n_physical);
  CHECK(machine.memory_bytes > machine.available_bytes);
  CHECK(machine.available_bytes > 0);
  CHECK(machine.default_threads() >= 1);
  CHECK(peak_memory_bytes() > 1 << 20);
}
