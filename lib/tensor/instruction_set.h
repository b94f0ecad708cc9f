// Which kernels this program runs with, for people: names and problems. Tested by tests/cli/info_test.cpp.
#pragma once

#include <string_view>

namespace ruvllm::tensor {

/// "scalar", "avx2", "avx512", "neon", "dotprod", "i8mm": the kernel set that is in use.
std::string_view kernel_set_name();
/// "avx2 fma f16c ...": what the processor and the system offer.
std::string_view processor_features();
/// Why RUVLLM_ISA can't be honoured; empty where it can or isn't set.
std::string_view instruction_set_problem();

}  // namespace ruvllm::tensor
