// IQ1 .. IQ4: quants that are points of a code book, from ggml.
//
// IQ4 takes single values from 16 uneven levels; IQ2 and IQ1 take eight values at once, IQ3 four, from a grid
// of points; signs of IQ2 and IQ3 are kept beside. The code books are expanded from iquants_grid.inc by
// scalar/iquants.cpp. Decoded there, encoded by scalar/iquants_encode.cpp.
#pragma once

#include "kernels/formats/floats.h"

namespace ruvllm::kernels {

/// The levels of IQ4_NL and IQ4_XS.
static constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                          1,    13,   25,  38,  53,  69,  89,  113};

// Grids as they are used: one int8 a coordinate, coordinate 0 in the low byte. IQ1's are -1, 0, 1; IQ2's 8,
// 25, 43; IQ3_XXS's 4 12 20 28 36 44 52 62; IQ3_S's the odd numbers to 15.
template <class Word, size_t n_points>
struct CodeBook {
  Word points[n_points];
};
extern const CodeBook<uint64_t, 2048> kIq1Grid;
extern const CodeBook<uint64_t, 256> kIq2xxsGrid;
extern const CodeBook<uint64_t, 512> kIq2xsGrid;
extern const CodeBook<uint64_t, 1024> kIq2sGrid;
extern const CodeBook<uint32_t, 256> kIq3xxsGrid;
extern const CodeBook<uint32_t, 512> kIq3sGrid;

// The same points as the numbers of their levels, for look-ups in registers: where w is a point,
// t = w | w << 12 has in the low bits of byte j the number of coordinate j, and, of IQ2, above it that of
// coordinate j + 4.
extern const CodeBook<uint16_t, 256> kIq2xxsNumbers;
extern const CodeBook<uint16_t, 512> kIq2xsNumbers;
extern const CodeBook<uint16_t, 1024> kIq2sNumbers;
extern const CodeBook<uint16_t, 256> kIq3xxsNumbers;
extern const CodeBook<uint16_t, 512> kIq3sNumbers;
// By number, as a table of 16.
static constexpr int8_t kIq2Levels[16] = {8, 25, 43};
static constexpr int8_t kIq3xxsLevels[16] = {4, 12, 20, 28, 36, 44, 52, 62};
static constexpr int8_t kIq3sLevels[16] = {1, 3, 5, 7, 9, 11, 13, 15};

/// The signs of eight values from seven bits: the eighth makes the number of minuses even.
RUVLLM_KERNEL_INLINE uint8_t even_signs(uint32_t seven_bits) {
  const uint32_t folded = seven_bits ^ (seven_bits >> 4);
  const uint32_t odd = (0x6996u >> (folded & 15u)) & 1u;  // parity of a nibble
  return static_cast<uint8_t>(seven_bits | (odd << 7));
}

//  0  2        66
//  |d |qs 8x8  |    of each 32 values: four grid numbers; then u32: 4x7 bits of signs, 4 bits of scale
//                   value = d * (sc + 1/2) / 4 * grid * sign
struct BlockIQ2_XXS {
  static constexpr int kValues = 256, kSubBlock = 32;
  static constexpr bool kHasMin = false;
  static constexpr Field fields[] = {{0, 2, 1}, {2, 4, 16}};
  uint16_t d;
  uint8_t qs[64];
};

//  0  2             66        74
//  |d |qs 32xu16    |scales 8 |   of each 8 values: 9 bits grid, 7 bits signs; a nibble of scale for each 16
struct BlockIQ2_XS {
  static constexpr int kValues = 256, kSubBlock = 16;
  static constexpr bool kHasMin = false;
  static constexpr Field fields[] = {{0, 2, 1}, {2, 4, 16}, {66, 4, 2}};
  uint16_t d;
  uint16_t qs[32];
  uint8_t scales[8];
};

//  0  2       34        66    74        82
//  |d |qs 32  |signs 32 |qh 8 |scales 8 |   grid number: 8 bits of qs, 2 of qh; a whole byte of signs
struct BlockIQ2_S {
  static constexpr int kValues = 256, kSubBlock = 16;
  static constexpr bool kHasMin = false;
  static constexpr Field fields[] = {{0, 2, 1}, {2, 4, 8}, {34, 4, 8}, {66, 4, 2}, {74, 4, 2}};
  uint16_t d;
  uint8_t qs[32];
  uint8_t signs[32];
  uint8_t qh[8];
  uint8_t scales[8];
};

//  0  2       66             98
//  |d |qs 64  |signs 8xu32   |   of each 4 values: a grid number; of each 32: 4x7 bits of signs, 4 bits of
//  scale
//                                value = d * (sc + 1/2) / 2 * grid * sign
struct BlockIQ3_XXS {
  static constexpr int kValues = 256, kSubBlock = 32;
  static constexpr bool kHasMin = false;
  static constexpr Field fields[] = {{0, 2, 1}, {2, 4, 16}, {66, 4, 8}};
  uint16_t d;
  uint8_t qs[64];
  uint8_t signs[32];
};

//  0  2       66    74        106       110
//  |d |qs 64  |qh 8 |signs 32 |scales 4 |   ninth bit of grid number i of 64: bit i % 8 of qh[i / 8]
//                                           value = d * (2 sc + 1) * grid * sign
struct BlockIQ3_S {
  static constexpr int kValues = 256, kSubBlock = 32;
  static constexpr bool kHasMin = false;
  static constexpr Field fields[] = {{0, 2, 1}, {2, 4, 16}, {66, 4, 2}, {74, 4, 8}, {106, 4, 1}};
  uint16_t d;
  uint8_t qs[64];
  uint8_t qh[8];
  uint8_t signs[32];
  uint8_t scales[4];
};

//  0  2       34        50
//  |d |qs 32  |qh 8xu16 |   qh of each 32 values: 4x3 high bits of grid numbers, 3 bits of scale, 1 of shift
//                           value = d * (2 sc + 1) * (grid +- 1/8)
struct BlockIQ1_S {
  static constexpr int kValues = 256, kSubBlock = 32;
  static constexpr bool kHasMin = false;
  static constexpr Field fields[] = {{0, 2, 1}, {2, 4, 8}, {34, 4, 4}};
  uint16_t d;
  uint8_t qs[32];
  uint16_t qh[8];
};

//  0       32      48          56
//  |qs 32  |qh 16  |scales 4xu16|   a nibble of qh for each 8 values: 3 high bits of the grid number, 1 of
//  shift;
//                                   scales: 3 bits for each 16 values; the top nibbles make up the f16 d
struct BlockIQ1_M {
  static constexpr int kValues = 256, kSubBlock = 16;
  static constexpr bool kHasMin = false;
  static constexpr Field fields[] = {{0, 4, 8}, {32, 4, 4}, {48, 4, 2}};
  uint8_t qs[32];
  uint8_t qh[16];
  uint16_t scales[4];
};

//  0  2                18
//  |d |qs 16x(hi4 lo4) |   value = d * kIq4Values[q]; nibbles as in Q4_0
struct BlockIQ4_NL {
  static constexpr int kValues = 32, kSubBlock = 32;
  static constexpr bool kHasMin = false;
  static constexpr Field fields[] = {{0, 2, 1}, {2, 4, 4}};
  uint16_t d;
  uint8_t qs[16];
};

//  0  2        4          8                136
//  |d |scales_h|scales_l 4|qs 128x(hi4 lo4)|   value = d * (sc - 32) * kIq4Values[q]
// Six bits of scale for each 32 values s: nibble s of scales_l, bits 2 s of scales_h. Nibbles: as in Q4_0,
// each 32.
struct BlockIQ4_XS {
  static constexpr int kValues = 256, kSubBlock = 32;
  static constexpr bool kHasMin = false;
  static constexpr Field fields[] = {{0, 2, 1}, {2, 2, 1}, {4, 4, 1}, {8, 4, 32}};
  uint16_t d;
  uint16_t scales_h;
  uint8_t scales_l[4];
  uint8_t qs[128];
};

}  // namespace ruvllm::kernels
