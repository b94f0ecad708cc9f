// MXFP4: 32 values of 4-bit floating point (e2m1) under one shared power of two (e8m0); OCP Microscaling
// Formats 1.0. NVFP4: 16 such values under a scale of eight bits (unsigned e4m3), four of them in a block; a
// file may have one more scale for the whole tensor beside it. Decoded by scalar/microscale.cpp, encoded by
// lanes/encode_legacy.h.
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

//  0  4                          36
//  |d4|qs 4x8 bytes, each hi4 lo4|              value = d/2 * code book[q]
//
//  Low nibbles of 8 bytes are values 0 to 7 of their sixteen, high ones 8 to 15.
struct BlockNVFP4 {
  static constexpr int kValues = 64, kSubBlock = 16;
  static constexpr bool kHasMin = false;
  static constexpr Field fields[] = {{0, 1, 4}, {4, 4, 8}};
  uint8_t d[4];
  uint8_t qs[32];
};

/// Half of what an unsigned e4m3 number stands for (exponent bias 7, no infinities; 0x7f, NaN elsewhere, is 0
/// here as in ggml; the sign bit means nothing).
RUVLLM_KERNEL_INLINE float ue4m3_half_to_f32(uint8_t bits) {
  const uint32_t exponent = bits >> 3 & 15u, mantissa = bits & 7u;
  if (bits == 0x7f) return 0.0f;
  if (exponent == 0) return static_cast<float>(mantissa) * 0x1p-10f;
  return float_from_bits((exponent + 127u - 7u - 1u) << 23 | mantissa << 20);
}

}  // namespace ruvllm::kernels
