#include "kernels/training.h"

#include "kernels/isa.h"
#include "kernels/overlays.h"

#include <cstring>

namespace ruvllm::kernels {
namespace {

// The tables of this build, worst first; of those of one set the last that runs is taken.
struct Table {
  const char* set;
  const TrainingKernels* kernels;
  bool (*is_here)();
};

constexpr Table kTables[] = {
    {"scalar", &kScalarTraining, [] { return true; }},
#if defined(RUVLLM_COLUMN_AVX2)
    {"avx2", &kAvx2Training, [] { return cpu_features().avx2; }},
#endif
#if defined(RUVLLM_COLUMN_AVX512)
    {"avx512", &kAvx512Training, [] { return cpu_features().avx512; }},
    {"avx512", &kAvx512Bf16Training, [] { return cpu_features().avx512_bf16; }},
#endif
#if defined(RUVLLM_COLUMN_NEON)
    {"neon", &kNeonTraining, [] { return cpu_features().neon; }},
    {"dotprod", &kNeonTraining, [] { return cpu_features().dotprod; }},
    {"i8mm", &kNeonTraining, [] { return cpu_features().i8mm; }},
#endif
};

}  // namespace

const TrainingKernels& training_of(const KernelSet& set) {
  const TrainingKernels* found = &kScalarTraining;
  for (const Table& table : kTables)
    if (strcmp(table.set, set.name) == 0 && table.is_here()) found = table.kernels;
  return *found;
}

const TrainingKernels& training() {
  static const TrainingKernels& chosen = training_of(active());
  return chosen;
}

const TrainingKernels* const* available_training(size_t* n_tables) {
  struct Available {
    const TrainingKernels* tables[sizeof kTables / sizeof kTables[0]] = {};
    size_t n = 0;
    Available() {
      for (const Table& table : kTables)
        if (table.is_here()) tables[n++] = table.kernels;
    }
  };
  static const Available available;
  *n_tables = available.n;
  return available.tables;
}

}  // namespace ruvllm::kernels
