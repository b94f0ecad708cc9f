#include "bench/limits.h"

#include <doctest/doctest.h>

#include "kernels/kernels.h"

#include <vector>

namespace ruvllm::bench {

TEST_CASE("limits are numbers that a machine could have") {
  ThreadPool pool(1);
  const MachineLimits limits = measure_limits(pool);
  CHECK(limits.read_bytes_per_second > 1e8);
  CHECK(limits.read_bytes_per_second < 1e13);
  CHECK(limits.integer_operations_per_second > 1e7);
  CHECK(limits.integer_operations_per_second < 1e14);
}

TEST_CASE("what is measured is done: every byte read, every product added") {
  std::vector<uint32_t> memory(256, 3);
  memory[255] = 10;
  size_t n_sets = 0;
  const kernels::KernelSet* const* sets = kernels::available(&n_sets);
  for (size_t i = 0; i < n_sets; ++i) {
    CHECK(sets[i]->read_memory(memory.data(), 1024) == 255 * 3 + 10);
    size_t few = 0, many = 0;
    sets[i]->multiply_integers(10, &few);
    sets[i]->multiply_integers(100, &many);
    CHECK(many == 10 * few);
    if (i > 0) CHECK(static_cast<size_t>(sets[i]->multiply_integers(10, &few)) * 2 == few);
  }
}

}  // namespace ruvllm::bench
