// TQ1_0 and TQ2_0: weights of -1, 0, 1 under one f16 scale for 256, from ggml.
// Decoded by scalar/ternary.cpp, encoded by scalar/ternary_encode.cpp.
#pragma once

#include "kernels/formats/floats.h"

namespace ruvllm::kernels {

//  0        48     52 54
//  |qs 48   |qh 4  |d |                            value = d * (trit - 1)
//
// A byte holds five trits (qh: four) as the fraction trits / 3^5, rounded up to 1/256: multiplying by 3 moves
// the next trit above bit 8. Trit n of byte j is value j + 32 n of the first 160 (bytes 0..31), value 160 + j
// + 16 n of the next 80 (bytes 32..47), value 240 + j + 4 n of the last 16 (qh).
struct BlockTQ1_0 {
  static constexpr int kValues = 256, kSubBlock = 32;
  static constexpr bool kHasMin = false;
  static constexpr Field fields[] = {{0, 4, 12}, {48, 4, 1}, {52, 2, 1}};
  uint8_t qs[48];
  uint8_t qh[4];
  uint16_t d;
};

//  0           64 66
//  |qs 64x4x2b |d |                                value = d * (q - 1); crumbs as in the K formats
struct BlockTQ2_0 {
  static constexpr int kValues = 256, kSubBlock = 32;
  static constexpr bool kHasMin = false;
  static constexpr Field fields[] = {{0, 4, 16}, {64, 2, 1}};
  uint8_t qs[64];
  uint16_t d;
};

}  // namespace ruvllm::kernels
