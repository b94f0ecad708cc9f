// What this processor can run: cpuid and xgetbv on x86 (an instruction set counts only where the system saves
// its registers), hwcaps on ARM. Used by dispatch.cpp; tested by tests/kernels/isa_test.cpp.
#pragma once

namespace ruvllm::kernels {

struct CpuFeatures {
  bool avx2 = false;         ///< AVX2, FMA and F16C
  bool avx512 = false;       ///< AVX-512 F, BW, DQ, VL and VNNI
  bool avx512_bf16 = false;  ///< AVX512-BF16, beside avx512
  bool neon = false;         ///< Advanced SIMD, which every 64-bit ARM processor has
  bool dotprod = false;      ///< products of four bytes, beside neon
  bool i8mm = false;         ///< products of matrices of bytes, beside dotprod
  char names[256] = {};      ///< every feature that was looked for and found, separated by spaces
};

/// Read once, from the processor.
const CpuFeatures& cpu_features();

}  // namespace ruvllm::kernels
