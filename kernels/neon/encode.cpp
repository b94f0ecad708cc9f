// The encoders with four vector registers a lane group. The same bytes.
#include "kernels/neon/simd.h"

#include "kernels/lanes/encode.h"
#include "kernels/overlays.h"

namespace ruvllm::kernels {

void overlay_neon_encode(KernelSet& set) { overlay_encode(set); }

}  // namespace ruvllm::kernels
