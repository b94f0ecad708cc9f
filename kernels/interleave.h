// Panels: 16 rows of a matrix side by side, so that a vector's lanes are rows.
//
// A panel is a sequence of blocks; in a block, each unit of each field (formats/layout.h) is stored for all
// 16 rows, one after the other, so that the panel of a Q4_0 matrix begins with 16 scales, then 16 x 4 bytes
// of nibbles, and so on. Nothing changes size. 16-bit floats go in pairs: 16 words of two columns each, the
// even one in the low half, so that a register multiplies both. Tested by tests/kernels/matmul_test.cpp.
#pragma once

#include "kernels/formats/layout.h"
#include "kernels/kernels.h"

#include <cstddef>

namespace ruvllm::kernels {

/// FormatKernels::interleave for blocks of block_bytes that consist of `fields`.
void interleave_rows(const Fields& fields, size_t block_bytes, const void* rows, size_t row_bytes,
                     size_t n_rows, size_t n_blocks, void* panel);

/// Copies a row of n_blocks blocks out of a panel, as it lay in the file.
void extract_row(const Fields& fields, size_t block_bytes, const void* panel, size_t lane, size_t n_blocks,
                 void* row);

/// Where a row's column lies in a panel of a format whose columns are paired, in bytes.
inline size_t paired_offset(size_t lane, size_t column) {
  return (column / 2 * kPanelRows + lane) * 4 + column % 2 * 2;
}

}  // namespace ruvllm::kernels
