#include "bench/limits.h"

#include <doctest/doctest.h>

namespace ruvllm::bench {

TEST_CASE("limits are numbers that a machine could have") {
  ThreadPool pool(1);
  const MachineLimits limits = measure_limits(pool);
  CHECK(limits.read_bytes_per_second > 1e8);
  CHECK(limits.read_bytes_per_second < 1e13);
  for (const auto format : {kernels::Format::Q4_0, kernels::Format::F16, kernels::Format::BF16}) {
    CHECK(limits.operations_per_second(format) > 1e7);
    CHECK(limits.operations_per_second(format) < 1e14);
  }
  CHECK(limits.operations_per_second(kernels::Format::Q6_K) == limits.integer_operations_per_second);
  CHECK(limits.operations_per_second(kernels::Format::F32) == limits.value_operations_per_second);
  CHECK(limits.operations_per_second(kernels::Format::BF16) == limits.pair_operations_per_second);
}

}  // namespace ruvllm::bench
