// General products of f32 matrices, for training: C = op(A) op(B), or added to C; operands as they are, or
// rounded to bf16.
//
// Both operands are packed into the order of the kernel's register tile, then tiles of C are handed out to
// threads. An element of C is one chain of fused multiply-adds over each block of k, block sums added
// in order: the same bits for any number of threads and any instruction set. Tested by
// tests/tensor/gemm_test.cpp.
#pragma once

#include "base/thread_pool.h"

#include <cstddef>
#include <vector>

namespace ruvllm::tensor {

/// One operand: element (row, column) of the logical matrix lies at data[row * row_stride + column *
/// column_stride]. A transpose is the same data with the strides exchanged.
struct GemmOperand {
  const float* data;
  size_t row_stride;
  size_t column_stride;
};

/// What operands are rounded to before they are multiplied; sums are f32 either way.
enum class Precision { f32, bf16 };

struct GemmShape {
  size_t m;  ///< rows of C and op(A)
  size_t n;  ///< columns of C and op(B)
  size_t k;  ///< columns of op(A), rows of op(B)
  Precision precision = Precision::f32;
};

/// Packing memory that one caller reuses from product to product.
struct GemmScratch {
  std::vector<float> a, b;
};

/// C (rows c_stride floats apart) = A B, or += where `accumulate`. Serial.
void gemm(const GemmShape& shape, const GemmOperand& a, const GemmOperand& b, float* c, size_t c_stride,
          bool accumulate, GemmScratch& scratch);

/// The same on all threads of a pool; the same bits.
void gemm(ThreadPool& pool, const GemmShape& shape, const GemmOperand& a, const GemmOperand& b, float* c,
          size_t c_stride, bool accumulate, GemmScratch& scratch);

}  // namespace ruvllm::tensor
