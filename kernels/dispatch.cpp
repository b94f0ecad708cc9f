// The overlays in order: scalar fills every entry, each better instruction set overwrites what it does
// faster.
#include "kernels/isa.h"
#include "kernels/kernels.h"
#include "kernels/overlays.h"

#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace ruvllm::kernels {
namespace {

// The columns that this build has (kernels/CMakeLists.txt says which), worst first. Of two with one name the
// latter is taken: a processor that has more instructions than the column needs.
struct Column {
  const char* name;
  void (*overlay)(KernelSet& set);
  bool (*is_here)();
};

constexpr Column kColumns[] = {
    {"scalar", overlay_scalar, [] { return true; }},
#if defined(RUVLLM_COLUMN_AVX2)
    {"avx2", overlay_avx2, [] { return cpu_features().avx2; }},
#endif
#if defined(RUVLLM_COLUMN_AVX512)
    {"avx512", overlay_avx512, [] { return cpu_features().avx512; }},
    {"avx512", overlay_avx512_bf16, [] { return cpu_features().avx512_bf16; }},
#endif
#if defined(RUVLLM_COLUMN_NEON)
    {"neon", overlay_neon, [] { return cpu_features().neon; }},
#endif
#if defined(RUVLLM_COLUMN_DOTPROD)
    {"dotprod", overlay_dotprod, [] { return cpu_features().dotprod; }},
#endif
#if defined(RUVLLM_COLUMN_I8MM)
    {"i8mm", overlay_i8mm, [] { return cpu_features().i8mm; }},
#endif
};
constexpr size_t kMostSets = sizeof kColumns / sizeof kColumns[0];

struct Sets {
  KernelSet sets[kMostSets] = {};
  const KernelSet* pointers[kMostSets] = {};
  size_t n_sets = 0;

  Sets() {
    for (const Column& column : kColumns) {
      if (!column.is_here()) continue;
      if (n_sets > 0) sets[n_sets] = sets[n_sets - 1];
      column.overlay(sets[n_sets]);
      sets[n_sets].name = column.name;
      pointers[n_sets] = &sets[n_sets];
      ++n_sets;
    }
  }
};

const Sets& all_sets() {
  static const Sets sets;
  return sets;
}

const char* wanted_name() {
  const char* name = getenv("RUVLLM_ISA");
  return name != nullptr && *name != '\0' ? name : nullptr;
}

const KernelSet* find_set(const char* name) {
  const Sets& all = all_sets();
  for (size_t i = all.n_sets; i-- > 0;) {
    if (strcmp(all.sets[i].name, name) == 0) return &all.sets[i];
  }
  return nullptr;
}

}  // namespace

const KernelSet& active() {
  static const KernelSet& chosen = [&]() -> const KernelSet& {
    const char* name = wanted_name();
    const KernelSet* wanted = name != nullptr ? find_set(name) : nullptr;
    return wanted != nullptr ? *wanted : all_sets().sets[all_sets().n_sets - 1];
  }();
  return chosen;
}

const KernelSet* const* available(size_t* n_sets) {
  *n_sets = all_sets().n_sets;
  return all_sets().pointers;
}

const char* isa_problem() {
  const char* name = wanted_name();
  if (name == nullptr || find_set(name) != nullptr) return nullptr;
  for (const char* known : {"scalar", "avx2", "avx512", "neon", "dotprod", "i8mm"}) {
    if (strcmp(known, name) == 0)
      return "RUVLLM_ISA names an instruction set that this machine does not have";
  }
  return "RUVLLM_ISA names no instruction set; choose scalar, avx2 or avx512 (x86-64), neon, dotprod or "
         "i8mm (ARM)";
}

}  // namespace ruvllm::kernels
