// The tile of bf16 products by vdpbf16ps: twice the multiplications of f32 in an instruction. For machines
// that have AVX512-BF16 too.
#include "kernels/avx512/simd.h"

#include "kernels/avx512/pairs.h"
#include "kernels/lanes/gemm_bf16.h"

namespace ruvllm::kernels {

void gemm_bf16_tile_avx512(size_t n_pairs, const float* a, const float* b, float* c, size_t c_stride,
                           bool accumulate) {
  gemm_bf16_tile(n_pairs, a, b, c, c_stride, accumulate);
}

}  // namespace ruvllm::kernels
