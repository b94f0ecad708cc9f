// Q4_0 Q4_1 Q5_0 Q5_1 Q8_0: 32 values under one f16 scale (and one f16 minimum in the _1 formats), from ggml.
//
// Nibbles: byte j of qs holds value j in its low half and value j + 16 in its high half. Bit j of qh is the
// fifth bit of value j. Decoded by scalar/legacy.cpp, encoded by scalar/legacy_encode.cpp.
#pragma once

#include "kernels/formats/floats.h"

namespace ruvllm::kernels {

//  0  2                18
//  |d |qs 16x(hi4 lo4) |          value = d * (q - 8)
struct BlockQ4_0 {
  static constexpr int kValues = 32, kSubBlock = 32;
  static constexpr bool kHasMin = false;
  static constexpr Field fields[] = {{0, 2, 1}, {2, 4, 4}};
  uint16_t d;
  uint8_t qs[16];
};

//  0  2  4                20
//  |d |m |qs 16x(hi4 lo4) |       value = d * q + m
struct BlockQ4_1 {
  static constexpr int kValues = 32, kSubBlock = 32;
  static constexpr bool kHasMin = true;
  static constexpr Field fields[] = {{0, 2, 2}, {4, 4, 4}};
  uint16_t d;
  uint16_t m;
  uint8_t qs[16];
};

//  0  2    6                22
//  |d |qh  |qs 16x(hi4 lo4) |     value = d * (q - 16)
struct BlockQ5_0 {
  static constexpr int kValues = 32, kSubBlock = 32;
  static constexpr bool kHasMin = false;
  static constexpr Field fields[] = {{0, 2, 1}, {2, 4, 1}, {6, 4, 4}};
  uint16_t d;
  uint8_t qh[4];
  uint8_t qs[16];
};

//  0  2  4    8                24
//  |d |m |qh  |qs 16x(hi4 lo4) |  value = d * q + m
struct BlockQ5_1 {
  static constexpr int kValues = 32, kSubBlock = 32;
  static constexpr bool kHasMin = true;
  static constexpr Field fields[] = {{0, 2, 2}, {4, 4, 1}, {8, 4, 4}};
  uint16_t d;
  uint16_t m;
  uint8_t qh[4];
  uint8_t qs[16];
};

//  0  2           34
//  |d |qs 32xi8   |               value = d * q
struct BlockQ8_0 {
  static constexpr int kValues = 32, kSubBlock = 32;
  static constexpr bool kHasMin = false;
  static constexpr Field fields[] = {{0, 2, 1}, {2, 4, 8}};
  uint16_t d;
  int8_t qs[32];
};

}  // namespace ruvllm::kernels
