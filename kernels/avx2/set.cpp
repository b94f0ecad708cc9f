// The AVX2 column (with FMA and F16C): a lane is a lane of one of two registers, vpmaddubsw multiplies bytes.
#include "kernels/avx2/simd.h"

#include "kernels/avx2/pairs.h"

#include "kernels/lanes/attention.h"
#include "kernels/lanes/gemm.h"
#include "kernels/lanes/matmul.h"
#include "kernels/lanes/store_kv.h"

#include "kernels/lanes/limits.h"
#include "kernels/lanes/training.h"
#include "kernels/lanes/vector.h"
#include "kernels/overlays.h"

namespace ruvllm::kernels {

const TrainingKernels kAvx2Training = kTrainingOfLanes;

void overlay_avx2(KernelSet& set) {
  overlay_vector(set);
  overlay_attention(set);
  overlay_store_kv(set);
  overlay_gemm(set);
  overlay_limits(set);
  overlay_matmul(set);
  overlay_avx2_encode(set);
}

}  // namespace ruvllm::kernels
