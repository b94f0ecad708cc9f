// Rotary embedding in a Hugging Face configuration, as GGUF keys and tensors. Newer files say everything in
// rope_parameters, perhaps for each type of layer, older ones in rope_scaling and beside it. Every field is
// obeyed or refused by name. Meanings are those of the transformers library (modeling_rope_utils.py). Used by
// hf_config.cpp; tested by tests/format/hf_rope_test.cpp.
#pragma once

#include "format/hf_config.h"
#include "format/hf_fields.h"

#include <string>

namespace ruvllm::format {

/// Writes keys under `prefix` into model.metadata and factors into model.tensors. `config` has the family's
/// defaults where it leaves a field out; has_windows: some layers see a window.
void read_hf_rope(const HfFields& config, uint32_t head_dimension, bool has_windows,
                  const std::string& prefix, HfModel& model);

}  // namespace ruvllm::format
