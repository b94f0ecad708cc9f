// The inverse of unpacking, for methods that choose quants themselves: the scales of a block stay, its quants
// are replaced.
//
// Quants of most formats are chosen one by one, from a range of integers or from a few uneven levels; those
// of code books several at once (set_points.h). TQ1_0 and Q8_K can't be set: blocks of the one are digits of
// one number, and the other has sums beside its quants. Tested by tests/kernels/set_quants_test.cpp.
#pragma once

#include "kernels/kernels.h"

namespace ruvllm::kernels {

/// The quants that a format can hold: those of a range, or where `levels` is not null only these of it,
/// rising.
struct QuantRange {
  int low, high;
  const int8_t* levels = nullptr;
  int n_levels = 0;
};

/// nullptr where quants can't be set one by one.
const QuantRange* quant_range(Format format);
/// Values of a row whose quants are chosen at once: 1, or those of a point of a code book; 0 where quants
/// can't be set.
size_t quants_at_once(Format format);

/// Writes n_values (a multiple of the block; one row where the format has a grid, which is uniform) quants,
/// each in the range, or points of the code book, into blocks that have their scales already.
void set_quants(Format format, const int8_t* quants, size_t n_values, void* blocks);

}  // namespace ruvllm::kernels
