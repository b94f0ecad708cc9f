// The inverse of unpacking for formats whose quants are points of a code book (IQ1, IQ2, IQ3), and the points
// that are worth trying for a group of values: for methods that choose quants themselves, through
// set_quants.h.
//
// Eight or four values of a row are one point; of eight, IQ2 and IQ3 keep the signs beside it, some of them
// only of an even number of minuses. IQ1's points are shifted by an eighth, all of a run in one direction,
// which stays as it is. Quants are those of unpack.h: whole numbers with their signs. Tested by
// tests/kernels/set_quants_test.cpp.
#pragma once

#include "kernels/kernels.h"

namespace ruvllm::kernels {

/// The most points that near_points() gives.
inline constexpr size_t kMaxNearPoints = 128;

/// Values that are chosen at once: 4 or 8; 0 where the format has no code book.
size_t point_values(Format format);

/// The groups of point_values() quants that lie nearest to `target` (in quants), one after the other in
/// `quants`, which has room for kMaxNearPoints of them. `present`: the group's quants as they are stored,
/// which tell its shift. Returns how many they are; none lie outside the code book.
size_t near_points(Format format, const float* target, const int8_t* present, int8_t* quants);

/// As set_quants(): every group of `quants` is one of the code book, with the shift that is stored.
void set_points(Format format, const int8_t* quants, size_t n_values, void* blocks);

}  // namespace ruvllm::kernels
