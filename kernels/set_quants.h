// The inverse of unpacking, for methods that choose quants themselves: the scales of a block stay, its quants
// are replaced.
//
// Only for formats whose quants are a range of integers each of which may be chosen freely: grids and uneven
// levels can't. Tested by tests/kernels/set_quants_test.cpp.
#pragma once

#include "kernels/kernels.h"

namespace ruvllm::kernels {

/// The quants that a format can hold.
struct QuantRange {
  int low, high;
};

/// nullptr where quants can't be set one by one.
const QuantRange* quant_range(Format format);

/// Writes n_values (a multiple of the block; one row where the format has a grid, which is uniform) quants,
/// each in the range, into blocks that have their scales already.
void set_quants(Format format, const int8_t* quants, size_t n_values, void* blocks);

}  // namespace ruvllm::kernels
