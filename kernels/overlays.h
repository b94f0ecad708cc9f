// One function a column: fills (scalar) or overwrites (the others) the entries of a set that it does better.
#pragma once

#include "kernels/kernels.h"

namespace ruvllm::kernels {

void overlay_scalar(KernelSet& set);
void overlay_scalar_matmul(KernelSet& set);  // part of overlay_scalar
void overlay_scalar_piq(KernelSet& set);     // part of overlay_scalar
void overlay_scalar_encode(KernelSet& set);  // part of overlay_scalar
void overlay_scalar_limits(KernelSet& set);  // part of overlay_scalar
void overlay_avx2(KernelSet& set);
void overlay_avx2_encode(KernelSet& set);  // part of overlay_avx2
void overlay_avx512(KernelSet& set);
void overlay_avx512_encode(KernelSet& set);  // part of overlay_avx512
void overlay_neon(KernelSet& set);

}  // namespace ruvllm::kernels
