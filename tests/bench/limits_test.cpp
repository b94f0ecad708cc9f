#include "bench/limits.h"

#include <doctest/doctest.h>

namespace ruvllm::bench {

TEST_CASE("limits are numbers that a machine could have") {
  ThreadPool pool(1);
  const MachineLimits limits = measure_limits(pool);
  CHECK(limits.read_bytes_per_second > 1e8);
  CHECK(limits.read_bytes_per_second < 1e13);
  CHECK(limits.integer_operations_per_second > 1e7);
  CHECK(limits.integer_operations_per_second < 1e14);
}

}  // namespace ruvllm::bench
