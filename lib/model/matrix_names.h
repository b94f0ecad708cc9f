// Which tensor of the file each packed matrix of a loaded model comes from, so that what is observed in the
// forward pass can be said of the file. Tested by tests/engine/calibrate_test.cpp.
#pragma once

#include "format/model_file.h"
#include "model/weights.h"

#include <string>
#include <vector>

namespace ruvllm::model {

struct NamedMatrix {
  const tensor::PackedMatrix* matrix;
  std::string tensor;   ///< name in the file
  uint32_t expert = 0;  ///< where the tensor holds the matrices of several
  uint32_t n_experts = 1;
};

/// Every matrix of the layers and, where it has a tensor of its own, the head. Of tensors that were cut into
/// several matrices with one input (query, key and value in one), only the first matrix is listed.
std::vector<NamedMatrix> name_matrices(const Weights& weights, const format::ModelFile& file);

/// The first tensor of the file that meets the same input as this one: the query's for the key's and value's,
/// the gate's for the up's; else its own name.
std::string first_with_input_of(const format::ModelFile& file, const std::string& tensor);

}  // namespace ruvllm::model
