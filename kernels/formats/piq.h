// PIQ2 and PIQ3: the suite's own formats. One f16 alpha, then codes of two or three bits in one run.
//
//  0      2                             3 bits: eight codes in three bytes, low bits first: code i of a block
//  |alpha |codes, low bits first |      is bits 3 i .. 3 i + 2 of the run. 2 bits: four codes a byte.
//
//  value = alpha * unit * level[code]
//
// unit and levels are the tensor's (kernels::Grid; in a file, metadata of format/own_formats.h). On the
// uniform grid level[code] = code - 4 (3 bits) or code - 2 (2 bits) and unit = pi / k, so that a step is
// alpha * pi / k. The product alpha * unit is rounded to f32 before it is multiplied by the level.
//
// A row's last block holds what is left of the row; its codes end with the group of eight codes (three bytes)
// or four codes (one byte) that holds the last one, filled up with zero bits.
#pragma once

#include "kernels/formats/floats.h"

namespace ruvllm::kernels {

template <int bits, int values>
struct BlockPiq {
  static constexpr int kBits = bits, kValues = values, kSubBlock = 32;
  static constexpr bool kHasMin = false;
  static constexpr Field fields[] = {{0, 2, 1}, {2, 4, values* bits / 32}};
  uint16_t alpha;
  uint8_t codes[values * bits / 8];
};

using BlockPIQ2 = BlockPiq<2, 256>;
using BlockPIQ3 = BlockPiq<3, 256>;
using BlockPIQ2_64 = BlockPiq<2, 64>;
using BlockPIQ3_64 = BlockPiq<3, 64>;
using BlockPIQ2_32 = BlockPiq<2, 32>;
using BlockPIQ3_32 = BlockPiq<3, 32>;

/// Codes in the smallest whole number of bytes, and those bytes.
template <int bits>
constexpr size_t kCodeGroup = bits == 3 ? 8 : 4;
template <int bits>
constexpr size_t kCodeGroupBytes = bits == 3 ? 3 : 1;

/// Bytes of n codes.
template <int bits>
constexpr size_t code_bytes(size_t n) {
  return (n + kCodeGroup<bits> - 1) / kCodeGroup<bits> * kCodeGroupBytes<bits>;
}

/// `bits` bits a code of eight codes from code 8 g on of a run that has `n_bytes`.
template <int bits>
RUVLLM_KERNEL_INLINE uint32_t load_eight_codes(const uint8_t* codes, size_t g, size_t n_bytes) {
  uint32_t word = 0;
  const size_t first = g * bits, left = n_bytes - first;
  memcpy(&word, codes + first, left < bits ? left : bits);
  return word;
}

// In a panel (interleave.h) each 32 codes lie as planes, the same number of bytes: byte j of word w holds the
// low two bits of codes 4 (4 w + i) + j, i = 0 .. 3, low bits first; with 3 bits, bit g of byte j of a third
// word is the high bit of code 4 g + j. A vector then takes the codes of four columns with one shift.

/// 32 codes, one a byte, to planes: bits words.
template <int bits>
RUVLLM_KERNEL_INLINE void codes_to_planes(const uint8_t* codes, uint32_t* words) {
  for (int w = 0; w < bits; ++w) words[w] = 0;
  for (int g = 0; g < 8; ++g) {
    uint32_t four;
    memcpy(&four, codes + 4 * g, 4);
    words[g / 4] |= (four & 0x03030303u) << (2 * (g % 4));
    if constexpr (bits == 3) words[2] |= (four >> 2 & 0x01010101u) << g;
  }
}

template <int bits>
RUVLLM_KERNEL_INLINE void planes_to_codes(const uint32_t* words, uint8_t* codes) {
  for (int g = 0; g < 8; ++g) {
    uint32_t four = words[g / 4] >> (2 * (g % 4)) & 0x03030303u;
    if constexpr (bits == 3) four |= (words[2] >> g & 0x01010101u) << 2;
    memcpy(codes + 4 * g, &four, 4);
  }
}

/// Codes of row `lane` in a panel's block, one a byte: n_units times 32.
template <int bits>
RUVLLM_KERNEL_INLINE void codes_from_panel(const uint8_t* block, size_t lane, size_t n_units,
                                           uint8_t* codes) {
  for (size_t unit = 0; unit < n_units; ++unit) {
    uint32_t words[bits];
    for (size_t w = 0; w < bits; ++w) memcpy(&words[w], block + 32 + ((unit * bits + w) * 16 + lane) * 4, 4);
    planes_to_codes<bits>(words, codes + 32 * unit);
  }
}

/// n codes, one a byte, from a block's run; up to the next multiple of 8 they are written, too.
template <int bits>
RUVLLM_KERNEL_INLINE void unpack_codes(const uint8_t* packed, size_t n, uint8_t* codes) {
  const size_t n_bytes = code_bytes<bits>(n);
  for (size_t g = 0; g < (n + 7) / 8; ++g) {
    const uint32_t word = load_eight_codes<bits>(packed, g, n_bytes);
    for (size_t i = 0; i < 8; ++i)
      codes[8 * g + i] = static_cast<uint8_t>(word >> (bits * i) & ((1u << bits) - 1));
  }
}

/// n codes, one a byte, to a block's run.
template <int bits>
RUVLLM_KERNEL_INLINE void pack_codes(const uint8_t* codes, size_t n, uint8_t* packed) {
  const size_t n_bytes = code_bytes<bits>(n);
  for (size_t g = 0; g < (n + 7) / 8; ++g) {
    uint32_t word = 0;
    for (size_t i = 0; i < 8 && 8 * g + i < n; ++i)
      word |= static_cast<uint32_t>(codes[8 * g + i]) << (bits * i);
    const size_t left = n_bytes - g * bits;
    memcpy(packed + g * bits, &word, left < bits ? left : bits);
  }
}

}  // namespace ruvllm::kernels
