// MXFP4 and NVFP4: what their blocks mean. The layouts are drawn in formats/microscale.h.
#include "kernels/formats/microscale.h"

#include "kernels/scalar/definition.h"

namespace ruvllm::kernels {
namespace {

void unpack_mxfp4(const BlockMXFP4& block, scalar::Unpacked<BlockMXFP4>& out) {
  for (int j = 0; j < 16; ++j) {
    out.quants[j] = kMxfp4Values[block.qs[j] & 15];
    out.quants[j + 16] = kMxfp4Values[block.qs[j] >> 4];
  }
  out.scales[0] = e8m0_half_to_f32(block.e);
}

void unpack_nvfp4(const BlockNVFP4& block, scalar::Unpacked<BlockNVFP4>& out) {
  for (int s = 0; s < 4; ++s) {
    for (int j = 0; j < 8; ++j) {
      const uint8_t pair = block.qs[8 * s + j];
      out.quants[16 * s + j] = kMxfp4Values[pair & 15];
      out.quants[16 * s + j + 8] = kMxfp4Values[pair >> 4];
    }
    out.scales[s] = ue4m3_half_to_f32(block.d[s]);
  }
}

}  // namespace

const Definition kMXFP4Definition = scalar::define<BlockMXFP4, unpack_mxfp4>();
const Definition kNVFP4Definition = scalar::define<BlockNVFP4, unpack_nvfp4>();

}  // namespace ruvllm::kernels
