// What a block consists of, for code that moves blocks without knowing them: 16 rows of a matrix are stored
// with each field transposed, so that a vector's lanes are rows. Every block struct lists its own as
// `fields`, covering the block exactly (format_matrix_test checks that), in the order in which a product
// reads them: a panel keeps them so, since memory is fastest read from one end to the other.
//
// This and the other headers of this folder are included by the instruction-set files: types, constants and
// static always-inline functions only, C headers only.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace ruvllm::kernels {

/// A run of `count` units of `unit` bytes (1, 2 or 4) from byte `offset` of a block on. Quants are cut into
/// units of 4 whatever their alignment in the block; scales keep their own size.
struct Field {
  uint16_t offset;
  uint8_t unit;
  uint8_t count;
};

/// The fields of one format's block.
struct Fields {
  const Field* fields;
  size_t n_fields;
};

}  // namespace ruvllm::kernels
