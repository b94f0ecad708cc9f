// The products of bytes by sdot, on top of the NEON column.
#include "kernels/dotprod/simd.h"

#include "kernels/neon/pairs.h"

#include "kernels/lanes/matmul.h"

#include "kernels/lanes/limits.h"
#include "kernels/overlays.h"

namespace ruvllm::kernels {

void overlay_dotprod(KernelSet& set) {
  overlay_limits(set);
  overlay_matmul(set);
}

}  // namespace ruvllm::kernels
