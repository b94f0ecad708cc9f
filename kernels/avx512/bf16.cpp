// Products of bf16 values by vdpbf16ps: twice the multiplications of f32 in an instruction. For machines that
// have AVX512-BF16 too.
#include "kernels/avx512/simd.h"

#include "kernels/avx512/pairs.h"

#include "kernels/lanes/floats.h"
#include "kernels/lanes/gemm_bf16.h"
#include "kernels/overlays.h"

#include "kernels/lanes/limits.h"

namespace ruvllm::kernels {

void gemm_bf16_tile_avx512(size_t n_pairs, const float* a, const float* b, float* c, size_t c_stride,
                           bool accumulate) {
  gemm_bf16_tile(n_pairs, a, b, c, c_stride, accumulate);
}

void overlay_avx512_bf16(KernelSet& set) {
  set.formats[static_cast<uint32_t>(Format::BF16)].matmul = LanesBF16::matmul;
  set.formats[static_cast<uint32_t>(Format::F16)].matmul = LanesF16::matmul;
  set.group_pairs = group_pairs;
  set.multiply_pairs = multiply_pairs;
}

}  // namespace ruvllm::kernels
