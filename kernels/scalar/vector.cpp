// The scalar column of lanes/vector.h, lanes/attention.h, lanes/gemm.h and lanes/training.h: the definition
// that other columns must equal to the bit.
#include "kernels/scalar/simd.h"

#include "kernels/scalar/pairs.h"

#include "kernels/lanes/attention.h"
#include "kernels/lanes/gemm.h"
#include "kernels/lanes/store_kv.h"
#include "kernels/lanes/training.h"
#include "kernels/lanes/vector.h"
#include "kernels/overlays.h"

namespace ruvllm::kernels {

const TrainingKernels kScalarTraining = kTrainingOfLanes;

void overlay_scalar(KernelSet& set) {
  overlay_scalar_matmul(set);
  overlay_scalar_piq(set);
  overlay_scalar_encode(set);
  overlay_vector(set);
  overlay_attention(set);
  overlay_store_kv(set);
  overlay_gemm(set);
  overlay_scalar_limits(set);
}

}  // namespace ruvllm::kernels
