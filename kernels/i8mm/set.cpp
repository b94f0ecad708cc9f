// The products of bytes by smmla, on top of the dotprod column.
#include "kernels/i8mm/simd.h"

#include "kernels/neon/pairs.h"

#include "kernels/lanes/matmul.h"
#include "kernels/overlays.h"

namespace ruvllm::kernels {
namespace {

/// What lanes/limits.h measures with sdot: products that never leave the registers.
int32_t multiply_matrices(size_t n_steps, size_t* n_operations) {
  using OfTwoRows = Dot<128, true>::OfTwoRows;
  constexpr size_t kPairs = kTileRows / 2;
  alignas(16) static constexpr int8_t kOnes[8] = {1, 1, 1, 1, 1, 1, 1, 1};
  OfTwoRows sums[kPairs];
  for (OfTwoRows& sum : sums) sum.begin();
  OfTwoRows::Eight codes = OfTwoRows::eight_columns(splat_byte(1), splat_byte(1));
  for (size_t step = 0; step < n_steps; ++step) {
    for (int8x16_t& two_rows : codes.two_rows) asm volatile("" : "+w"(two_rows));
#pragma GCC unroll 4
    for (OfTwoRows& sum : sums) sum.add(codes, kOnes, kOnes);
  }
  Ints all = splat_word(0);
  for (const OfTwoRows& sum : sums) all = add_words(all, add_words(sum.total(0), sum.total(1)));
  *n_operations = n_steps * kPairs * 16 * 8 * 2 * 2;
  return sum_of_lanes(all);
}

}  // namespace

void overlay_i8mm(KernelSet& set) {
  set.multiply_integers = multiply_matrices;
  overlay_matmul(set);
}

}  // namespace ruvllm::kernels
