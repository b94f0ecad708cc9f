// Q2_K .. Q6_K: 256 values in sub-blocks of 16 or 32, whose small integer scales (and minimums) are
// themselves scaled by one f16 (two) for all; and Q8_K, ggml's format for activations. From ggml.
//
// Crumbs (2 bits): within each half of 128 values, byte j of 32 holds values j, j + 32, j + 64, j + 96 from
// its low bits up. Decoded by scalar/kquants.cpp, encoded by scalar/kquants_encode.cpp.
#pragma once

#include "kernels/formats/floats.h"

namespace ruvllm::kernels {

//  0                     16          80 82 84
//  |scales 16x(min4 sc4) |qs 64x4x2b |d |dmin|     value = d * sc * q - dmin * min, for 16 values each
struct BlockQ2_K {
  static constexpr int kValues = 256, kSubBlock = 16;
  static constexpr bool kHasMin = true;
  static constexpr Field fields[] = {{80, 2, 2}, {0, 1, 16}, {16, 4, 16}};
  uint8_t scales[16];
  uint8_t qs[64];
  uint16_t d;
  uint16_t dmin;
};

//  0          32          96         108 110
//  |hmask 32  |qs 64x4x2b |scales 12 |d |          value = d * (sc - 32) * (q - 4), for 16 values each
//
// q's third bit: bit g of hmask[j] for value j + 32 g. Scale s of 16, six bits: its low four are nibble s / 8
// of byte s % 8; its high two are bits 2 (s / 4) of byte 8 + s % 4.
struct BlockQ3_K {
  static constexpr int kValues = 256, kSubBlock = 16;
  static constexpr bool kHasMin = false;
  static constexpr Field fields[] = {{108, 2, 1}, {96, 1, 12}, {0, 4, 8}, {32, 4, 16}};
  uint8_t hmask[32];
  uint8_t qs[64];
  uint8_t scales[12];
  uint16_t d;
};

//  0  2    4          16                144
//  |d |dmin|scales 12 |qs 128x(hi4 lo4) |          value = d * sc * q - dmin * min, for 32 values each
//
// Of sub-blocks s < 4, bytes s and s + 4 hold the six bits of scale and minimum; of s >= 4, byte s + 4 holds
// the low four bits of both (scale low), and the top two bits of bytes s - 4 and s their high two. Nibbles:
// byte j of each 32 holds value j low and value j + 32 high, of 64.
struct BlockQ4_K {
  static constexpr int kValues = 256, kSubBlock = 32;
  static constexpr bool kHasMin = true;
  static constexpr Field fields[] = {{0, 2, 2}, {4, 1, 12}, {16, 4, 32}};
  uint16_t d;
  uint16_t dmin;
  uint8_t scales[12];
  uint8_t qs[128];
};

//  0  2    4          16      48                176
//  |d |dmin|scales 12 |qh 32  |qs 128x(hi4 lo4) |  as Q4_K; q's fifth bit: bit s of qh[j] for value j of
//  sub-block s
struct BlockQ5_K {
  static constexpr int kValues = 256, kSubBlock = 32;
  static constexpr bool kHasMin = true;
  static constexpr Field fields[] = {{0, 2, 2}, {4, 1, 12}, {16, 4, 8}, {48, 4, 32}};
  uint16_t d;
  uint16_t dmin;
  uint8_t scales[12];
  uint8_t qh[32];
  uint8_t qs[128];
};

//  0                 128         192          208 210
//  |ql 128x(hi4 lo4) |qh 64x4x2b |scales 16xi8|d  |  value = d * sc * (q - 32), for 16 values each
//
// Of each half of 128 values: byte j of 64 of ql holds value j low and value j + 64 high; qh is crumbs.
struct BlockQ6_K {
  static constexpr int kValues = 256, kSubBlock = 16;
  static constexpr bool kHasMin = false;
  static constexpr Field fields[] = {{208, 2, 1}, {192, 1, 16}, {128, 4, 8},
                                     {0, 4, 16},  {160, 4, 8},  {64, 4, 16}};
  uint8_t ql[128];
  uint8_t qh[64];
  int8_t scales[16];
  uint16_t d;
};

//  0    4            260               292
//  |d   |qs 256xi8   |sums 16xi16 of 16 q |         value = d * q; d is f32
struct BlockQ8_K {
  static constexpr int kValues = 256, kSubBlock = 32;
  static constexpr bool kHasMin = false;
  static constexpr Field fields[] = {{0, 4, 1}, {4, 4, 64}, {260, 2, 16}};
  float d;
  int8_t qs[256];
  int16_t sums[16];
};

/// Scale and minimum of sub-block s of Q4_K and Q5_K.
RUVLLM_KERNEL_INLINE void get_scale_and_min(const uint8_t* packed, int s, uint8_t* scale, uint8_t* min) {
  if (s < 4) {
    *scale = packed[s] & 63u;
    *min = packed[s + 4] & 63u;
  } else {
    *scale = static_cast<uint8_t>((packed[s + 4] & 15u) | ((packed[s - 4] >> 6) << 4));
    *min = static_cast<uint8_t>((packed[s + 4] >> 4) | ((packed[s] >> 6) << 4));
  }
}

}  // namespace ruvllm::kernels
