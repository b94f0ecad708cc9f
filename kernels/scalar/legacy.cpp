// Q4_0 Q4_1 Q5_0 Q5_1 Q8_0: what their blocks mean. Layouts are drawn in formats/legacy.h.
#include "kernels/formats/legacy.h"

#include "kernels/scalar/definition.h"

namespace ruvllm::kernels {
namespace {

using scalar::Unpacked;

/// 32 quants from 16 bytes of nibbles and 32 fifth bits, less `offset`.
void unpack_quants(const uint8_t* nibbles, uint32_t fifth_bits, int offset, int8_t* quants) {
  for (int j = 0; j < 16; ++j) {
    const int low = (nibbles[j] & 15) | (((fifth_bits >> j) & 1u) << 4);
    const int high = (nibbles[j] >> 4) | (((fifth_bits >> (j + 16)) & 1u) << 4);
    quants[j] = static_cast<int8_t>(low - offset);
    quants[j + 16] = static_cast<int8_t>(high - offset);
  }
}

uint32_t fifth_bits(const uint8_t (&qh)[4]) {
  uint32_t bits;
  memcpy(&bits, qh, sizeof bits);
  return bits;
}

void unpack_q4_0(const BlockQ4_0& block, Unpacked<BlockQ4_0>& out) {
  unpack_quants(block.qs, 0, 8, out.quants);
  out.scales[0] = f16_to_f32(block.d);
}

void unpack_q4_1(const BlockQ4_1& block, Unpacked<BlockQ4_1>& out) {
  unpack_quants(block.qs, 0, 0, out.quants);
  out.scales[0] = f16_to_f32(block.d);
  out.mins[0] = -f16_to_f32(block.m);
}

void unpack_q5_0(const BlockQ5_0& block, Unpacked<BlockQ5_0>& out) {
  unpack_quants(block.qs, fifth_bits(block.qh), 16, out.quants);
  out.scales[0] = f16_to_f32(block.d);
}

void unpack_q5_1(const BlockQ5_1& block, Unpacked<BlockQ5_1>& out) {
  unpack_quants(block.qs, fifth_bits(block.qh), 0, out.quants);
  out.scales[0] = f16_to_f32(block.d);
  out.mins[0] = -f16_to_f32(block.m);
}

void unpack_q8_0(const BlockQ8_0& block, Unpacked<BlockQ8_0>& out) {
  memcpy(out.quants, block.qs, sizeof(block.qs));
  out.scales[0] = f16_to_f32(block.d);
}

}  // namespace

const Definition kQ4_0Definition = scalar::define<BlockQ4_0, unpack_q4_0>();
const Definition kQ4_1Definition = scalar::define<BlockQ4_1, unpack_q4_1>();
const Definition kQ5_0Definition = scalar::define<BlockQ5_0, unpack_q5_0>();
const Definition kQ5_1Definition = scalar::define<BlockQ5_1, unpack_q5_1>();
const Definition kQ8_0Definition = scalar::define<BlockQ8_0, unpack_q8_0>();

}  // namespace ruvllm::kernels
