// What this machine can do at most, measured beside everything else: reading memory bounds decoding, products
// of bytes bound prefill. Tested by tests/bench/limits_test.cpp.
#pragma once

#include "base/thread_pool.h"

namespace ruvllm::bench {

struct MachineLimits {
  double read_bytes_per_second = 0;
  double integer_operations_per_second = 0;  ///< additions and multiplications of int8 products
};

/// Medians of a few short runs of the active kernels on all threads of the pool: about a fifth of a second.
/// Throws std::bad_alloc where 192 MiB are not to be had.
MachineLimits measure_limits(ThreadPool& pool);

}  // namespace ruvllm::bench
