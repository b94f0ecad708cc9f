// The encoders with a vector register a lane group: 20 to 40 times scalar. The same bytes.
#include "kernels/avx2/simd.h"

#include "kernels/lanes/encode.h"
#include "kernels/overlays.h"

namespace ruvllm::kernels {

void overlay_avx2_encode(KernelSet& set) { overlay_encode(set); }

}  // namespace ruvllm::kernels
