// TQ1_0, TQ2_0: what their blocks mean. Layouts are drawn in formats/ternary.h.
#include "kernels/formats/ternary.h"

#include "kernels/scalar/definition.h"

namespace ruvllm::kernels {
namespace {

using scalar::Unpacked;

/// Trit n of n_bytes bytes each, stored one after the other: quants[n * n_bytes + byte].
int8_t* unpack_trits(const uint8_t* bytes, int n_bytes, int n_trits, int8_t* quants) {
  uint8_t power_of_three = 1;
  for (int n = 0; n < n_trits; ++n) {
    for (int j = 0; j < n_bytes; ++j) {
      const uint8_t fraction = static_cast<uint8_t>(bytes[j] * power_of_three);
      *quants++ = static_cast<int8_t>(((fraction * 3) >> 8) - 1);
    }
    power_of_three = static_cast<uint8_t>(power_of_three * 3);
  }
  return quants;
}

void unpack_tq1_0(const BlockTQ1_0& block, Unpacked<BlockTQ1_0>& out) {
  int8_t* rest = unpack_trits(block.qs, 32, 5, out.quants);
  rest = unpack_trits(block.qs + 32, 16, 5, rest);
  unpack_trits(block.qh, 4, 4, rest);
  for (float& scale : out.scales) scale = f16_to_f32(block.d);
}

void unpack_tq2_0(const BlockTQ2_0& block, Unpacked<BlockTQ2_0>& out) {
  for (int i = 0; i < 256; ++i) {
    const int crumb = (block.qs[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3;
    out.quants[i] = static_cast<int8_t>(crumb - 1);
  }
  for (float& scale : out.scales) scale = f16_to_f32(block.d);
}

}  // namespace

const Definition kTQ1_0Definition = scalar::define<BlockTQ1_0, unpack_tq1_0>();
const Definition kTQ2_0Definition = scalar::define<BlockTQ2_0, unpack_tq2_0>();

}  // namespace ruvllm::kernels
