// Metadata as every program that reads GGUF wants it: keys that speak of a file's own layout left out, and
// numbers of the exact type that the key has in the specification. Readers are lenient (a count may be of any
// integer type, a factor an integer); the strictest loaders are not, and writers keep to them. Tested by
// tests/format/plain_metadata_test.cpp.
#pragma once

#include "format/metadata.h"
#include "format/model_file.h"

namespace ruvllm::format {

/// The metadata of a model, to be written with its tensors. What every loader asks for and a file may leave
/// out is filled in where the tensors tell it.
Metadata plain_metadata(const ModelFile& model);

}  // namespace ruvllm::format
