// MXFP4: what its blocks mean. The layout is drawn in formats/microscale.h.
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

}  // namespace

const Definition kMXFP4Definition = scalar::define<BlockMXFP4, unpack_mxfp4>();

}  // namespace ruvllm::kernels
