// Row loops on the tape's threads, and products in either precision: what the operations share.
#pragma once

#include "train/tape.h"

#include <algorithm>
#include <type_traits>

namespace ruvllm::train {

/// Calls body(row) for rows [0, n_rows), a few rows to a tile.
template <typename T, typename Body>
void for_each_row(Tape<T>& tape, size_t n_rows, const Body& body) {
  constexpr size_t kRowsInTile = 8;
  tape.pool().for_each_tile((n_rows + kRowsInTile - 1) / kRowsInTile, [&](size_t tile, int) {
    const size_t last = std::min(n_rows, (tile + 1) * kRowsInTile);
    for (size_t row = tile * kRowsInTile; row < last; ++row) body(row);
  });
}

/// Calls body(first, n) for ranges of columns that cover [0, n_columns): for sums over rows in one order.
template <typename T, typename Body>
void for_each_column_range(Tape<T>& tape, size_t n_columns, const Body& body) {
  constexpr size_t kColumnsInTile = 64;
  tape.pool().for_each_tile((n_columns + kColumnsInTile - 1) / kColumnsInTile, [&](size_t tile, int) {
    body(tile * kColumnsInTile, std::min(kColumnsInTile, n_columns - tile * kColumnsInTile));
  });
}

/// A matrix operand of product(): strides as in tensor::GemmOperand, in either precision.
template <typename T>
struct Operand {
  const T* data;
  size_t row_stride;
  size_t column_stride;
};

/// C (m, n) = A (m, k) B (k, n), or += where `accumulate`. Doubles (tests only) take the plain loops.
template <typename T>
void product(ThreadPool* pool, size_t m, size_t n, size_t k, const Operand<T>& a, const Operand<T>& b, T* c,
             size_t c_stride, bool accumulate, tensor::GemmScratch& scratch,
             tensor::Precision precision = tensor::Precision::f32) {
  if constexpr (std::is_same_v<T, float>) {
    const tensor::GemmOperand left{a.data, a.row_stride, a.column_stride};
    const tensor::GemmOperand right{b.data, b.row_stride, b.column_stride};
    if (pool)
      tensor::gemm(*pool, {m, n, k, precision}, left, right, c, c_stride, accumulate, scratch);
    else
      tensor::gemm({m, n, k, precision}, left, right, c, c_stride, accumulate, scratch);
  } else {
    for (size_t i = 0; i < m; ++i)
      for (size_t j = 0; j < n; ++j) {
        T sum = 0;
        for (size_t l = 0; l < k; ++l)
          sum +=
              a.data[i * a.row_stride + l * a.column_stride] * b.data[l * b.row_stride + j * b.column_stride];
        c[i * c_stride + j] = sum + (accumulate ? c[i * c_stride + j] : T(0));
      }
  }
}

}  // namespace ruvllm::train
