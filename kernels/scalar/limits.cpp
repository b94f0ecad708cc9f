// What the scalar column can do at most: see lanes/limits.h.
#include "kernels/scalar/simd.h"

#include "kernels/scalar/pairs.h"

#include "kernels/overlays.h"

namespace ruvllm::kernels {
namespace {

int32_t multiply_integers(size_t n_steps, size_t* n_operations) {
  constexpr size_t kSums = 8;
  int32_t sums[kSums] = {};
  for (size_t step = 0; step < n_steps; ++step) {
    int8_t byte = static_cast<int8_t>(step);
    asm volatile("" : "+r"(byte));
    for (int32_t& sum : sums) sum += byte * byte;
  }
  *n_operations = n_steps * kSums * 2;
  for (size_t i = 1; i < kSums; ++i) sums[0] += sums[i];
  return sums[0];
}

/// Chains of multiply-adds, as many as hide how long each takes.
float multiply_values(size_t n_steps, size_t* n_operations) {
  constexpr size_t kSums = 8;
  float sums[kSums] = {};
  float one = 1.0f;
  for (size_t step = 0; step < n_steps; ++step) {
    asm volatile("" : "+m"(one));
    for (float& sum : sums) sum = fmaf(one, one, sum);
  }
  *n_operations = n_steps * kSums * 2;
  for (size_t i = 1; i < kSums; ++i) sums[0] += sums[i];
  return sums[0];
}
float multiply_pairs(size_t n_steps, size_t* n_operations) {
  float sum = 0.0f;
  uint32_t ones = pair_up(1.0f, 1.0f);
  for (size_t step = 0; step < n_steps; ++step) {
    asm volatile("" : "+r"(ones));
    sum = add_pair(sum, ones, ones);
  }
  *n_operations = n_steps * 4;
  return sum;
}

int32_t read_memory(const void* memory, size_t n_bytes) {
  const uint32_t* words = static_cast<const uint32_t*>(memory);
  uint32_t sums[4] = {};
  for (size_t i = 0; i < n_bytes / 4; i += 4) {
    for (size_t j = 0; j < 4; ++j) sums[j] += words[i + j];
  }
  return static_cast<int32_t>(sums[0] + sums[1] + sums[2] + sums[3]);
}

}  // namespace

void overlay_scalar_limits(KernelSet& set) {
  set.multiply_integers = multiply_integers;
  set.multiply_values = multiply_values;
  set.multiply_pairs = multiply_pairs;
  set.read_memory = read_memory;
}

}  // namespace ruvllm::kernels
