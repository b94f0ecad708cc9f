// The NEON column: a lane is a lane of one of four registers. Every 64-bit ARM processor has it.
#include "kernels/neon/simd.h"

#include "kernels/neon/pairs.h"

#include "kernels/lanes/attention.h"
#include "kernels/lanes/gemm.h"
#include "kernels/lanes/matmul.h"
#include "kernels/lanes/store_kv.h"

#include "kernels/lanes/limits.h"
#include "kernels/lanes/training.h"
#include "kernels/lanes/vector.h"
#include "kernels/overlays.h"

namespace ruvllm::kernels {

const TrainingKernels kNeonTraining = kTrainingOfLanes;

void overlay_neon(KernelSet& set) {
  overlay_vector(set);
  overlay_attention(set);
  overlay_store_kv(set);
  overlay_gemm(set);
  overlay_limits(set);
  overlay_matmul(set);
  overlay_neon_encode(set);
}

}  // namespace ruvllm::kernels
