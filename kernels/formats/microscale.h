// MXFP4: 32 values of 4-bit floating point (e2m1) under one shared power of two (e8m0); OCP Microscaling
// Formats 1.0. Decoded by scalar/microscale.cpp, encoded by scalar/microscale_encode.cpp.
#pragma once

#include "kernels/formats/floats.h"

namespace ruvllm::kernels {

//  0 1                17
//  |e|qs 16x(hi4 lo4) |                            value = 2^(e - 128) * code book[q]; nibbles as in Q4_0
struct BlockMXFP4 {
  static constexpr int kValues = 32, kSubBlock = 32;
  static constexpr bool kHasMin = false;
  static constexpr Field fields[] = {{0, 1, 1}, {1, 4, 4}};
  uint8_t e;
  uint8_t qs[16];
};

/// Twice the e2m1 numbers, so that all are integers; the fourth bit is the sign.
static constexpr int8_t kMxfp4Values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

}  // namespace ruvllm::kernels
