// Which sets there are: scalar first, then those that the processor can run, each on top of the one before.
#include "kernels/isa.h"

#include <doctest/doctest.h>

#include "kernels/kernels.h"

#include <cstdlib>
#include <sstream>
#include <string>

namespace ruvllm::kernels {
namespace {

std::string names_of_sets() {
  size_t n = 0;
  const KernelSet* const* sets = available(&n);
  std::string names;
  for (size_t i = 0; i < n; ++i) names += (i > 0 ? " " : "") + std::string(sets[i]->name);
  return names;
}

}  // namespace

TEST_CASE("the sets are scalar and those that the processor can run, worst first") {
  const CpuFeatures& features = cpu_features();
  std::string expected = "scalar";
#if defined(__x86_64__)
  if (features.avx2) expected += " avx2";
  if (features.avx512) expected += " avx512";
  if (features.avx512_bf16) expected += " avx512";
#elif defined(__aarch64__)
  if (features.neon) expected += " neon";
  if (features.dotprod) expected += " dotprod";
  if (features.i8mm) expected += " i8mm";
#endif
  CHECK(names_of_sets() == expected);
  const char* on_this_machine = std::getenv("RUVLLM_EXPECTED_SETS");  // of an emulated one
  if (on_this_machine != nullptr) CHECK(names_of_sets() == on_this_machine);
}

TEST_CASE("a set counts only where every instruction it is built with was found") {
  const CpuFeatures& features = cpu_features();
  std::istringstream words(features.names);
  std::string found = " ";
  for (std::string word; words >> word;) found += word + " ";
  const auto has = [&](const std::string& name) { return found.find(" " + name + " ") != std::string::npos; };
  if (features.avx2) CHECK((has("avx2") && has("fma") && has("f16c")));
  if (features.avx512) CHECK((features.avx2 && has("avx512f") && has("avx512_vnni")));
  if (features.dotprod) CHECK((features.neon && has("dotprod")));
  if (features.i8mm) CHECK((features.dotprod && has("i8mm")));
}

}  // namespace ruvllm::kernels
