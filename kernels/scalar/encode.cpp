// The encoders lane by lane: the definition that the other columns equal byte for byte.
#include "kernels/scalar/simd.h"

#include "kernels/lanes/encode.h"
#include "kernels/overlays.h"

namespace ruvllm::kernels {

void overlay_scalar_encode(KernelSet& set) { overlay_encode(set); }

}  // namespace ruvllm::kernels
