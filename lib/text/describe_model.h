// All that a model file says of itself beside its weights, whatever it was read from: hyper-parameters,
// tokenizer, chat templates, settings for generation, as GGUF's keys. Who writes a model writes this, so that
// the file can be used as its source can. Tested by tests/cli/written_model_test.cpp.
#pragma once

#include "format/model_file.h"

#include <string>
#include <vector>

namespace ruvllm::text {

struct ModelDescription {
  format::Metadata metadata;  ///< whole, with the exact types of every key; views may point into the model
  std::vector<std::string> notes;  ///< what the user is to be told
};

/// Describes an opened model. Throws Errc::corrupt_file where its tokenizer or its templates can't be read.
ModelDescription describe_model(const format::ModelFile& model);

}  // namespace ruvllm::text
