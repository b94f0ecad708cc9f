// A folder in Hugging Face layout (config.json, one or several safetensors files) as a ModelFile: metadata
// under GGUF keys, tensors under GGUF names with GGUF's conventions, so that the same weights are the same
// bits whichever way they came. Most tensors stay views into the mapped files; those that GGUF wants
// otherwise are made: rows of queries and keys reordered, experts stacked, norms in F32 (Gemma's plus one),
// F8 as F16 (which holds every F8 value), F8 with scales beside it as BF16. What generation_config.json
// recommends becomes GGUF's keys general.sampling.*. Tested by tests/format/hf_folder_test.cpp.
#pragma once

#include "format/model_file.h"

#include <filesystem>
#include <memory>
#include <vector>

namespace ruvllm::format {

/// Opens such a folder. Throws not_found where a file is missing, corrupt_file naming file and tensor
/// otherwise.
std::shared_ptr<const ModelFile> read_hf_folder(const std::filesystem::path& folder);

/// The safetensors files of a folder: model.safetensors, or what model.safetensors.index.json lists, which
/// must be plain names of files in the folder. Sorted.
std::vector<std::filesystem::path> list_safetensors(const std::filesystem::path& folder);

}  // namespace ruvllm::format
