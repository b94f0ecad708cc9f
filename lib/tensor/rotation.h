// Random rotations that spread what sticks out: y = H S x / sqrt(m), S random signs, H the Hadamard matrix of
// m values, block by block; m is the largest power of two that divides the row.
//
// Where a weight matrix is stored rotated along its input dimension, its input is rotated, too, and the
// product stays what it was (H H^T = m, so that the inverse is S H^T / sqrt(m)). Signs depend on seed and
// column alone: matrices that share an input share the rotated one. Tested by tests/tensor/rotation_test.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ruvllm::tensor {

class Rotation {
 public:
  Rotation(uint64_t seed, uint64_t n_columns);

  uint64_t seed() const { return seed_; }
  uint64_t n_columns() const { return signs_.size(); }
  /// m: the values of a block.
  uint64_t block() const { return block_; }

  /// In place: whole rows, or a part of one row from `first_column` on; parts begin and end with a block.
  void apply(std::span<float> rows, uint64_t first_column = 0) const;
  /// The inverse, up to rounding.
  void undo(std::span<float> rows, uint64_t first_column = 0) const;

 private:
  void multiply_by_signs(std::span<float> rows, uint64_t first_column) const;

  uint64_t seed_;
  uint64_t block_;
  std::vector<float> signs_;  // 1 / sqrt(m), or its negative
};

}  // namespace ruvllm::tensor
