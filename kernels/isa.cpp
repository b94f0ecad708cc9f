#include "kernels/isa.h"

#include "kernels/kernels.h"

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace ruvllm::kernels {
namespace {

void append(CpuFeatures& features, const char* name) {
  const size_t used = strlen(features.names);
  if (used + strlen(name) + 2 > sizeof features.names) return;
  if (used > 0) strcat(features.names, " ");
  strcat(features.names, name);
}

#if defined(__x86_64__)

// Which register files the operating system saves: bits of XCR0 (Intel SDM volume 1, 13.3).
constexpr uint64_t kSavesYmm = 0x06;
constexpr uint64_t kSavesZmm = 0xE6;

uint64_t saved_registers() {
  uint32_t low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

enum Register { kEax, kEbx, kEcx, kEdx };

// A feature bit: leaf 7 has sub-leaves, the others only 0 (Intel SDM volume 2, CPUID).
struct Bit {
  const char* name;
  uint32_t leaf, subleaf;
  Register where;
  int bit;
  uint64_t needs_saved;
};

constexpr Bit kBits[] = {
    {"sse4.2", 1, 0, kEcx, 20, 0},
    {"avx", 1, 0, kEcx, 28, kSavesYmm},
    {"f16c", 1, 0, kEcx, 29, kSavesYmm},
    {"fma", 1, 0, kEcx, 12, kSavesYmm},
    {"avx2", 7, 0, kEbx, 5, kSavesYmm},
    {"avx_vnni", 7, 1, kEax, 4, kSavesYmm},
    {"avx512f", 7, 0, kEbx, 16, kSavesZmm},
    {"avx512dq", 7, 0, kEbx, 17, kSavesZmm},
    {"avx512bw", 7, 0, kEbx, 30, kSavesZmm},
    {"avx512vl", 7, 0, kEbx, 31, kSavesZmm},
    {"avx512_vbmi", 7, 0, kEcx, 1, kSavesZmm},
    {"avx512_vnni", 7, 0, kEcx, 11, kSavesZmm},
    {"avx512_bf16", 7, 1, kEax, 5, kSavesZmm},
};

bool has_bit(const Bit& bit, uint64_t saved) {
  uint32_t registers[4] = {};
  if (!__get_cpuid_count(bit.leaf, bit.subleaf, &registers[0], &registers[1], &registers[2], &registers[3]))
    return false;
  return (registers[bit.where] >> bit.bit & 1) != 0 && (saved & bit.needs_saved) == bit.needs_saved;
}

bool has_osxsave() {
  uint32_t a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) && (c >> 27 & 1) != 0;
}

bool found(const CpuFeatures& features, const char* name) {
  const size_t length = strlen(name);
  for (const char* at = strstr(features.names, name); at != nullptr; at = strstr(at + 1, name)) {
    if ((at == features.names || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0')) return true;
  }
  return false;
}

CpuFeatures read_features() {
  CpuFeatures features;
  const uint64_t saved = has_osxsave() ? saved_registers() : 0;
  for (const Bit& bit : kBits) {
    if (has_bit(bit, saved)) append(features, bit.name);
  }
  const auto has = [&](const char* name) { return found(features, name); };
  features.avx2 = has("avx2") && has("fma") && has("f16c");
  features.avx512 = features.avx2 && has("avx512f") && has("avx512dq") && has("avx512bw") &&
                    has("avx512vl") && has("avx512_vnni");
  features.avx512_bf16 = features.avx512 && has("avx512_bf16");
  return features;
}

#elif defined(__aarch64__)

CpuFeatures read_features() {
  CpuFeatures features;
  const unsigned long hwcap = getauxval(AT_HWCAP);
  const unsigned long hwcap2 = getauxval(AT_HWCAP2);
  features.neon = (hwcap & HWCAP_ASIMD) != 0;
  features.dotprod = features.neon && (hwcap & HWCAP_ASIMDDP) != 0;
  features.i8mm = features.dotprod && (hwcap2 & HWCAP2_I8MM) != 0;
  if (features.neon) append(features, "neon");
  if (features.dotprod) append(features, "dotprod");
  if (features.i8mm) append(features, "i8mm");
  if (hwcap2 & HWCAP2_BF16) append(features, "bf16");
  return features;
}

#else

CpuFeatures read_features() { return {}; }

#endif

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = read_features();
  return features;
}

const char* detected_features() { return cpu_features().names; }

}  // namespace ruvllm::kernels
