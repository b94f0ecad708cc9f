// What the machine can do at most, for `bench` to measure against: products in registers, and reading memory.
// Included after lanes/floats.h.
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

/// The same of words of float products: ones, of which a pair has two.
template <class W>
inline size_t multiply_ones(size_t n_steps, float one, float* sum) {
  constexpr size_t kSums = static_cast<size_t>(kFloatPanels * kFloatRows);
  alignas(64) float ones[16];
  store(ones, broadcast(one));
  Floats sums[kSums];  // unrolled loops keep it in registers
  float zero = 0.0f;
#pragma GCC unroll 32
  for (Floats& s : sums) {
    asm volatile("" : "+m"(zero));  // else all sums are known to be the same
    s = broadcast(zero);
  }
  for (size_t step = 0; step < n_steps; ++step) {
    const uint8_t* words = reinterpret_cast<const uint8_t*>(ones);
    asm volatile("" : "+r"(words) : : "memory");
    const auto add_part = [&]<int part>() {
      const auto lanes = W::template weights<part>(words);
#pragma GCC unroll 32
      for (Floats& s : sums) s = W::add(s, lanes, lanes);
    };
    add_part.template operator()<0>();
    if constexpr (W::kParts > 1) add_part.template operator()<1>();
  }
  Floats all = broadcast(0.0f);
#pragma GCC unroll 32
  for (const Floats& s : sums) all = add(all, s);
  *sum = sum_of_lanes(all);
  return n_steps * kSums * 16;
}
float multiply_values(size_t n_steps, size_t* n_operations) {
  float sum;
  *n_operations = 2 * multiply_ones<F32Words>(n_steps, 1.0f, &sum);
  return sum;
}
float multiply_pairs(size_t n_steps, size_t* n_operations) {
  float sum;
  sum_pairs([&]<class S>(S) {
    *n_operations = 4 * multiply_ones<PairWords<S>>(n_steps, float_from_bits(0x3F803F80u), &sum);
  });
  return sum;
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

[[maybe_unused]] void overlay_limits(KernelSet& set) {
  set.multiply_integers = multiply_integers;
  set.multiply_values = multiply_values;
  set.multiply_pairs = multiply_pairs;
  set.read_memory = read_memory;
}

}  // namespace
}  // namespace ruvllm::kernels
