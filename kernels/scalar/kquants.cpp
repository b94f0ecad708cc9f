// Q2_K .. Q6_K, Q8_K: what their blocks mean. Layouts are drawn in formats/kquants.h.
#include "kernels/formats/kquants.h"

#include "kernels/scalar/definition.h"

namespace ruvllm::kernels {
namespace {

using scalar::Unpacked;

/// Value i of 256 that are stored as crumbs.
int crumb(const uint8_t* bytes, int i) { return (bytes[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3; }

void unpack_q2_k(const BlockQ2_K& block, Unpacked<BlockQ2_K>& out) {
  const float d = f16_to_f32(block.d);
  const float dmin = f16_to_f32(block.dmin);
  for (int s = 0; s < 16; ++s) {
    out.scales[s] = d * static_cast<float>(block.scales[s] & 15);
    out.mins[s] = dmin * static_cast<float>(block.scales[s] >> 4);
  }
  for (int i = 0; i < 256; ++i) out.quants[i] = static_cast<int8_t>(crumb(block.qs, i));
}

void unpack_q3_k(const BlockQ3_K& block, Unpacked<BlockQ3_K>& out) {
  const float d = f16_to_f32(block.d);
  for (int s = 0; s < 16; ++s) {
    const int low = (block.scales[s % 8] >> (s / 8 * 4)) & 15;
    const int high = (block.scales[8 + s % 4] >> (s / 4 * 2)) & 3;
    out.scales[s] = d * static_cast<float>((low | (high << 4)) - 32);
  }
  for (int i = 0; i < 256; ++i) {
    const int third_bit = (block.hmask[i % 32] >> (i / 32)) & 1;
    out.quants[i] = static_cast<int8_t>((crumb(block.qs, i) | (third_bit << 2)) - 4);
  }
}

/// The scales and mins of Q4_K and Q5_K, which share everything but the quants' fifth bit.
template <class Block>
void unpack_scales_and_mins(const Block& block, Unpacked<Block>& out) {
  const float d = f16_to_f32(block.d);
  const float dmin = f16_to_f32(block.dmin);
  for (int s = 0; s < 8; ++s) {
    uint8_t scale, min;
    get_scale_and_min(block.scales, s, &scale, &min);
    out.scales[s] = d * static_cast<float>(scale);
    out.mins[s] = dmin * static_cast<float>(min);
  }
}

/// Value i of 256 that are stored as nibbles.
int nibble(const uint8_t* bytes, int i) { return (bytes[i / 64 * 32 + i % 32] >> (i % 64 / 32 * 4)) & 15; }

void unpack_q4_k(const BlockQ4_K& block, Unpacked<BlockQ4_K>& out) {
  unpack_scales_and_mins(block, out);
  for (int i = 0; i < 256; ++i) out.quants[i] = static_cast<int8_t>(nibble(block.qs, i));
}

void unpack_q5_k(const BlockQ5_K& block, Unpacked<BlockQ5_K>& out) {
  unpack_scales_and_mins(block, out);
  for (int i = 0; i < 256; ++i) {
    const int fifth_bit = (block.qh[i % 32] >> (i / 32)) & 1;
    out.quants[i] = static_cast<int8_t>(nibble(block.qs, i) | (fifth_bit << 4));
  }
}

void unpack_q6_k(const BlockQ6_K& block, Unpacked<BlockQ6_K>& out) {
  const float d = f16_to_f32(block.d);
  for (int s = 0; s < 16; ++s) out.scales[s] = d * static_cast<float>(block.scales[s]);
  for (int i = 0; i < 256; ++i) {
    const int low = (block.ql[i / 128 * 64 + i % 64] >> (i % 128 / 64 * 4)) & 15;
    out.quants[i] = static_cast<int8_t>((low | (crumb(block.qh, i) << 4)) - 32);
  }
}

void unpack_q8_k(const BlockQ8_K& block, Unpacked<BlockQ8_K>& out) {
  for (float& scale : out.scales) scale = block.d;
  memcpy(out.quants, block.qs, sizeof(block.qs));
}

}  // namespace

const Definition kQ2_KDefinition = scalar::define<BlockQ2_K, unpack_q2_k>();
const Definition kQ3_KDefinition = scalar::define<BlockQ3_K, unpack_q3_k>();
const Definition kQ4_KDefinition = scalar::define<BlockQ4_K, unpack_q4_k>();
const Definition kQ5_KDefinition = scalar::define<BlockQ5_K, unpack_q5_k>();
const Definition kQ6_KDefinition = scalar::define<BlockQ6_K, unpack_q6_k>();
const Definition kQ8_KDefinition = scalar::define<BlockQ8_K, unpack_q8_k>();

}  // namespace ruvllm::kernels
