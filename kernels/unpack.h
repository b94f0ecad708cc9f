// What a stored block means, in the one form that everything else is defined on: small integers and f32
// scales.
//
// A quantised weight is scale * quant - min (the - min only where the format has one), with one scale and min
// for each run of sub_block values. The products of stored scales are exact in f32, so that this form loses
// nothing: decoding is one multiplication (and one subtraction) a value, which gives ggml's results to the
// bit, and a matrix product is a sum over sub-blocks of scale times an exact integer. Tested by
// tests/kernels/format_matrix_test.cpp.
#pragma once

#include "kernels/formats/layout.h"
#include "kernels/kernels.h"

namespace ruvllm::kernels {

struct Unpack {
  /// n_values (a multiple of the block) quants; n_values / sub_block scales, and mins where has_min. `blocks`
  /// need not be aligned. `mins` may be null where the format has none. Where has_grid: one row of any
  /// length, on the uniform grid.
  void (*unpack)(const void* blocks, size_t n_values, int8_t* quants, float* scales, float* mins);
  int sub_block;  ///< 16 or 32
  bool has_min;
};

/// Of a quantised format (traits(format).is_quantised).
const Unpack& unpack_of(Format format);

/// The scalar decoder of any format: FormatKernels::decode.
void (*decode_of(Format format))(const void* blocks, float* values, size_t n_values);

/// What the blocks of a format consist of.
const Fields& fields_of(Format format);

}  // namespace ruvllm::kernels
