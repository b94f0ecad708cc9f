// Sums of pairs on x86-64 without vdpbf16ps: the steps of that instruction as multiply-adds, in the
// processor's mode that takes small numbers for zero. Included by a column's pairs.h, after its simd.h.
#pragma once

#include <immintrin.h>
#include <stdint.h>

namespace ruvllm::kernels {
namespace {

/// Multiply-adds, in the mode that sum_pairs sets.
struct PairSums {
  static constexpr int kParts = 2;
  template <int part>
  static Floats part_of(Pairs a) {
    if constexpr (part == 0) return as_floats(both(a, splat_word(static_cast<int32_t>(0xFFFF0000u))));
    return as_floats(shift_left<16>(a));
  }
  static Floats add(Floats sum, Floats a, Floats b) { return fma(a, b, sum); }
};
/// Apart, so that no other arithmetic gets into the mode.
template <class Products>
__attribute__((noinline)) void call_apart(const Products& products) {
  products(PairSums{});
}
template <class Products>
inline void sum_pairs(const Products& products) {
  constexpr unsigned kDenormalsAreZero = 0x0040, kFlushToZero = 0x8000;
  const unsigned mode = _mm_getcsr();
  _mm_setcsr(mode | kDenormalsAreZero | kFlushToZero);
  call_apart(products);
  _mm_setcsr(mode);
}

}  // namespace
}  // namespace ruvllm::kernels
