#include "bench/limits.h"

#include "bench/stats.h"
#include "kernels/kernels.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

namespace ruvllm::bench {
namespace {

using Clock = std::chrono::steady_clock;

// Far more than any cache, in parts that are read in turn.
constexpr size_t kPartBytes = size_t{1} << 20;
constexpr size_t kParts = 192;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr int kReadRuns = 5;
constexpr size_t kProductSteps = 200'000;
constexpr int kProductRuns = 5;

/// The time of a run, in seconds: the median of n, as of everything that is compared with it.
template <typename Run>
double median_time(int n, Run run) {
  std::vector<double> times;
  for (int i = 0; i < n; ++i) {
    const auto start = Clock::now();
    run();
    times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  return stats_of(times).median;
}

struct Free {
  void operator()(std::byte* memory) const { free(memory); }
};
using Memory = std::unique_ptr<std::byte[], Free>;

/// In huge pages where the system has them, as weights are.
Memory allocate(size_t n_bytes) {
  Memory memory(static_cast<std::byte*>(std::aligned_alloc(kHugePage, n_bytes)));
  if (!memory) throw std::bad_alloc();
  madvise(memory.get(), n_bytes, MADV_HUGEPAGE);  // only a wish
  std::fill_n(memory.get(), n_bytes, std::byte{1});
  return memory;
}

}  // namespace

MachineLimits measure_limits(ThreadPool& pool) {
  const kernels::KernelSet& set = kernels::active();
  std::atomic<int32_t> seen = 0;
  MachineLimits limits;

  const Memory memory = allocate(kParts * kPartBytes);
  const double reading = median_time(kReadRuns, [&] {
    pool.for_each_tile(
        kParts, [&](size_t part, int) { seen += set.read_memory(&memory[part * kPartBytes], kPartBytes); });
  });
  limits.read_bytes_per_second = static_cast<double>(kParts * kPartBytes) / reading;

  const size_t n_threads = static_cast<size_t>(pool.n_threads());
  std::vector<size_t> n_operations(n_threads);
  const auto rate_of = [&](auto multiply) {
    const double seconds = median_time(kProductRuns, [&] {
      pool.for_each_tile(n_threads, [&](size_t tile, int) {
        seen += static_cast<int32_t>(multiply(kProductSteps, &n_operations[tile]));
      });
    });
    return static_cast<double>(n_operations[0] * n_threads) / seconds;
  };
  limits.integer_operations_per_second = rate_of(set.multiply_integers);
  limits.value_operations_per_second = rate_of(set.multiply_values);
  limits.pair_operations_per_second = rate_of(set.multiply_pairs);
  return limits;
}

double MachineLimits::operations_per_second(kernels::Format format) const {
  const kernels::Traits& shape = kernels::traits(format);
  if (shape.is_paired) return pair_operations_per_second;
  return shape.is_quantised ? integer_operations_per_second : value_operations_per_second;
}

}  // namespace ruvllm::bench
