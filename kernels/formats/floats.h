// f16, bf16 and e8m0: the numbers that weights and scales are stored as, converted to the bit as IEEE 754 and
// ggml do, in baseline integer code (no F16C), always inlined. "Blocks" of these formats are single values.
// Tested by tests/kernels/floats_test.cpp.
#pragma once

#include <stdint.h>
#include <string.h>

#include "kernels/formats/layout.h"

namespace ruvllm::kernels {

#define RUVLLM_KERNEL_INLINE static inline __attribute__((always_inline))

RUVLLM_KERNEL_INLINE uint32_t float_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

RUVLLM_KERNEL_INLINE float float_from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/// Exact. NaNs become quiet and keep their payload, as the hardware instruction does.
RUVLLM_KERNEL_INLINE float f16_to_f32(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t magnitude = half & 0x7fffu;
  if (magnitude >= 0x7c00u) {  // infinity, NaN
    const uint32_t quiet = magnitude > 0x7c00u ? 0x00400000u : 0u;
    return float_from_bits(sign | 0x7f800000u | quiet | ((magnitude & 0x3ffu) << 13));
  }
  if (magnitude < 0x0400u) {  // zero, subnormal: the integer times 2^-24
    return float_from_bits(sign | float_bits(static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f));
  }
  return float_from_bits(sign | ((magnitude << 13) + ((127u - 15u) << 23)));
}

/// To nearest, ties to even; overflow to infinity; every NaN becomes 0x7e00 with its sign.
RUVLLM_KERNEL_INLINE uint16_t f32_to_f16(float value) {
  const uint32_t bits = float_bits(value);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return sign | 0x7e00u;
  if (magnitude >= 0x477ff000u) return sign | 0x7c00u;  // 65520 and more round to infinity
  if (magnitude <
      0x38800000u) {  // below 2^-14: adding 0.5 leaves the rounded multiple of 2^-24 in the low bits
    const float shifted = float_from_bits(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (float_bits(shifted) - float_bits(0.5f)));
  }
  const uint32_t rounded = magnitude + 0x0fffu + ((magnitude >> 13) & 1u);
  return static_cast<uint16_t>(sign | ((rounded >> 13) - ((127u - 15u) << 10)));
}

RUVLLM_KERNEL_INLINE float bf16_to_f32(uint16_t half) {
  return float_from_bits(static_cast<uint32_t>(half) << 16);
}

/// To nearest, ties to even; NaNs are made quiet.
RUVLLM_KERNEL_INLINE uint16_t f32_to_bf16(float value) {
  const uint32_t bits = float_bits(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/// Half of the power of two that an e8m0 exponent stands for: 2^(exponent - 128). MXFP4's code book holds
/// doubled values so that it can be integers.
RUVLLM_KERNEL_INLINE float e8m0_half_to_f32(uint8_t exponent) {
  return float_from_bits(exponent < 2 ? 0x00200000u << exponent : static_cast<uint32_t>(exponent - 1) << 23);
}

struct BlockF32 {
  static constexpr int kValues = 1;
  static constexpr Field fields[] = {{0, 4, 1}};
  float value;
};

struct BlockF16 {
  static constexpr int kValues = 1;
  static constexpr Field fields[] = {{0, 2, 1}};
  uint16_t value;
};

struct BlockBF16 {
  static constexpr int kValues = 1;
  static constexpr Field fields[] = {{0, 2, 1}};
  uint16_t value;
};

}  // namespace ruvllm::kernels
