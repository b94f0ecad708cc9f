// Scales that stand beside a weight in a GGUF file: STEM.scale multiplies what STEM.weight gives, by one
// number or, where experts are stacked, by one for each. Files of NVFP4 have them: its own scales reach from
// 2^-9 to 448. STEM.input_scale is for programs that quantise activations the same way, and is passed over.
// Tested by tests/format/tensor_scales_test.cpp.
#pragma once

#include "format/model_file.h"

namespace ruvllm::format {

/// Moves the scales of a model's tensors from its list of tensors into the tensors they belong to. For
/// readers, before index_tensors(). Throws Errc::corrupt_file naming a scale that fits no weight.
void assign_scales(ModelFile& model);

}  // namespace ruvllm::format
