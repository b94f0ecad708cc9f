#include "tensor/instruction_set.h"

#include "kernels/kernels.h"

namespace ruvllm::tensor {

std::string_view kernel_set_name() { return kernels::active().name; }

std::string_view processor_features() { return kernels::detected_features(); }

std::string_view instruction_set_problem() {
  const char* problem = kernels::isa_problem();
  return problem ? problem : "";
}

}  // namespace ruvllm::tensor
