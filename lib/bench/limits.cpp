#include "bench/limits.h"

#include "kernels/kernels.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <vector>

namespace ruvllm::bench {
namespace {

using Clock = std::chrono::steady_clock;

// Far more than any cache, in parts that are read in turn.
constexpr size_t kPartBytes = size_t{1} << 20;
constexpr size_t kParts = 192;
constexpr int kReadRuns = 8;
constexpr size_t kProductSteps = 200'000;
constexpr int kProductRuns = 12;

/// The shortest time of n runs, in seconds.
template <typename Run>
double shortest(int n, Run run) {
  double best = 1e9;
  for (int i = 0; i < n; ++i) {
    const auto start = Clock::now();
    run();
    best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

}  // namespace

MachineLimits measure_limits(ThreadPool& pool) {
  const kernels::KernelSet& set = kernels::active();
  std::atomic<int32_t> seen = 0;
  MachineLimits limits;

  std::vector<uint64_t> memory(kParts * kPartBytes / sizeof(uint64_t), 1);
  const double reading = shortest(kReadRuns, [&] {
    pool.for_each_tile(kParts, [&](size_t part, int) {
      seen += set.read_memory(&memory[part * (kPartBytes / sizeof(uint64_t))], kPartBytes);
    });
  });
  limits.read_bytes_per_second = static_cast<double>(kParts * kPartBytes) / reading;

  const size_t n_threads = static_cast<size_t>(pool.n_threads());
  std::vector<size_t> n_operations(n_threads);
  const double multiplying = shortest(kProductRuns, [&] {
    pool.for_each_tile(n_threads, [&](size_t tile, int) {
      seen += set.multiply_integers(kProductSteps, &n_operations[tile]);
    });
  });
  limits.integer_operations_per_second = static_cast<double>(n_operations[0] * n_threads) / multiplying;
  return limits;
}

}  // namespace ruvllm::bench
