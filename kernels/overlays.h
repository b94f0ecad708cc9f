// One function a column: fills (scalar) or overwrites (the others) the entries of a set that it does better.
#pragma once

#include "kernels/kernels.h"
#include "kernels/training.h"

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
void overlay_avx512_bf16(KernelSet& set);
void overlay_neon(KernelSet& set);
void overlay_neon_encode(KernelSet& set);  // part of overlay_neon
void overlay_dotprod(KernelSet& set);
void overlay_i8mm(KernelSet& set);

// The same for training: a table a column, and one for AVX-512 machines that multiply bf16 too.
extern const TrainingKernels kScalarTraining;
extern const TrainingKernels kAvx2Training;
extern const TrainingKernels kAvx512Training;
extern const TrainingKernels kAvx512Bf16Training;
extern const TrainingKernels kNeonTraining;

}  // namespace ruvllm::kernels
