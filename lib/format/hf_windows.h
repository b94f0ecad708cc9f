// Which layers of a Hugging Face model see a window only: layer_types, where config.json has them, else what
// the model type's configuration class makes of its other fields. Used by hf_config.cpp; tested by
// tests/model/hf_windows_test.cpp.
#pragma once

#include "format/hf_families.h"
#include "format/hf_fields.h"
#include "format/metadata.h"

#include <string>

namespace ruvllm::format {

/// Writes attention.sliding_window and attention.sliding_window_pattern under `prefix`, as far as GGUF's
/// readers don't assume them. True where a layer has a window. Throws Errc::corrupt_file for what no layer of
/// this family can be.
bool read_hf_windows(const HfFields& config, const HfFamily& family, uint32_t n_layers,
                     const std::string& prefix, Metadata& metadata);

}  // namespace ruvllm::format
