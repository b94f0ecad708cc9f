// What the machine can do at most, for `bench` to measure against: byte products in registers, and reading
// memory.
#pragma once

#include "kernels/kernels.h"

namespace ruvllm::kernels {
namespace {

/// Products of small bytes that never leave the registers; the sum is returned so that they can't be left
/// out.
int32_t multiply_integers(size_t n_steps, size_t* n_operations) {
  constexpr size_t kSums = kTilePanels * kTileRows;
  Dot<128, true> dots[kSums];
  for (Dot<128, true>& dot : dots) dot.begin(0);
  Ints codes = splat_byte(1);
  for (size_t step = 0; step < n_steps; ++step) {
    hide(codes);
#pragma GCC unroll 16
    for (Dot<128, true>& dot : dots) dot.add(codes, codes);
  }
  Ints sum = splat_word(0);
  for (Dot<128, true>& dot : dots) sum = add_words(sum, dot.total());
  *n_operations = n_steps * kSums * 64 * 2;
  return sum_of_lanes(sum);
}

/// Reads n_bytes (a multiple of 256) and returns something of them.
int32_t read_memory(const void* memory, size_t n_bytes) {
  const char* at = static_cast<const char*>(memory);
  Ints sums[4] = {splat_word(0), splat_word(0), splat_word(0), splat_word(0)};
  for (size_t i = 0; i < n_bytes; i += 256) {
    for (size_t j = 0; j < 4; ++j) sums[j] = add_words(sums[j], load_ints(at + i + 64 * j));
  }
  return sum_of_lanes(add_words(add_words(sums[0], sums[1]), add_words(sums[2], sums[3])));
}

void overlay_limits(KernelSet& set) {
  set.multiply_integers = multiply_integers;
  set.read_memory = read_memory;
}

}  // namespace
}  // namespace ruvllm::kernels
