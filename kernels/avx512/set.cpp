// The AVX-512 column: a lane is a lane of one register, vpdpbusd multiplies bytes. Needs F, BW, DQ, VL and
// VNNI.
#include "kernels/avx512/simd.h"

#include "kernels/avx512/pairs.h"

#include "kernels/lanes/attention.h"
#include "kernels/lanes/gemm.h"
#include "kernels/lanes/matmul.h"
#include "kernels/lanes/store_kv.h"

#include "kernels/lanes/limits.h"
#include "kernels/lanes/training.h"
#include "kernels/lanes/vector.h"
#include "kernels/overlays.h"

namespace ruvllm::kernels {

void gemm_bf16_tile_avx512(size_t n_pairs, const float* a, const float* b, float* c, size_t c_stride,
                           bool accumulate);

const TrainingKernels kAvx512Training = kTrainingOfLanes;
const TrainingKernels kAvx512Bf16Training = [] {
  TrainingKernels kernels = kTrainingOfLanes;
  kernels.gemm_bf16.tile = gemm_bf16_tile_avx512;
  return kernels;
}();

void overlay_avx512(KernelSet& set) {
  overlay_vector(set);
  overlay_attention(set);
  overlay_store_kv(set);
  overlay_gemm(set);
  overlay_limits(set);
  overlay_matmul(set);
  overlay_avx512_encode(set);
}

}  // namespace ruvllm::kernels
