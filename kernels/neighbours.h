// For the encoders of grid formats: which points of a grid lie near. Built once for a grid, when first asked
// for.
//
// Space around a grid is cut into cells, one for every combination of the grid's levels; a cell lists the
// sixteen points nearest to its centre, coordinate by coordinate, so that a vector compares them all with a
// target at once.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace ruvllm::kernels {

enum class GridName { iq1, iq2_xxs, iq2_xs, iq2_s, iq3_xxs, iq3_s };

struct Neighbours {
  static constexpr int kListed = 16;

  int dimensions;           ///< 8 or 4
  int n_levels;             ///< of a coordinate
  float per_level, offset;  ///< the level of a value is trunc(value * per_level + offset), clamped
  float largest;            ///< the highest level's value
  const int8_t* points;     ///< (cell, dimension, 16)
  const uint16_t* numbers;  ///< (cell, 16): the points' places in the code book
};

/// Thread-safe.
const Neighbours& neighbours_of(GridName grid);

}  // namespace ruvllm::kernels
