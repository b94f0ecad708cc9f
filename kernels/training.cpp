#include "kernels/training.h"

#include <cstring>

namespace ruvllm::kernels {

const TrainingKernels& training_of(const KernelSet& set) {
#if defined(RUVLLM_COLUMN_AVX512)
  if (strcmp(set.name, "avx512") == 0) return kAvx512Training;
#endif
#if defined(RUVLLM_COLUMN_AVX2)
  if (strcmp(set.name, "avx2") == 0) return kAvx2Training;
#endif
#if defined(RUVLLM_COLUMN_NEON)
  if (strcmp(set.name, "neon") == 0) return kNeonTraining;
#endif
  (void)set;
  return kScalarTraining;
}

const TrainingKernels& training() {
  static const TrainingKernels& chosen = training_of(active());
  return chosen;
}

}  // namespace ruvllm::kernels
