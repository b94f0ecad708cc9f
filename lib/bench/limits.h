// What this machine can do at most, measured beside everything else: reading memory bounds decoding, products
// bound prefill. Tested by tests/bench/limits_test.cpp.
#pragma once

#include "base/thread_pool.h"
#include "kernels/kernels.h"

namespace ruvllm::bench {

struct MachineLimits {
  double read_bytes_per_second = 0;
  // Additions and multiplications of products:
  double integer_operations_per_second = 0;  ///< of int8
  double value_operations_per_second = 0;    ///< of f32
  double pair_operations_per_second = 0;     ///< of bf16

  /// Of the products that weights of this format take part in.
  double operations_per_second(kernels::Format format) const;
};

/// Medians of a few short runs of the active kernels on all threads of the pool: about a quarter of a second.
/// Throws std::bad_alloc where 192 MiB are not to be had.
MachineLimits measure_limits(ThreadPool& pool);

}  // namespace ruvllm::bench
