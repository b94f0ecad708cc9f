// The name of the instruction set in use, as reports give it.
#pragma once

#include "tensor/format.h"

namespace ruvllm::bench {

inline const char* isa_name() { return kernels::active().name; }

}  // namespace ruvllm::bench
