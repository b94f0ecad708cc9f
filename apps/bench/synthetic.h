// Random weights in a known shape, so that speed can be measured without a download: synthetic:SHAPE[:TYPE].
#pragma once

#include "format/model_file.h"

#include <filesystem>
#include <memory>
#include <string>

namespace ruvllm::bench {

bool is_synthetic(const std::string& reference);
/// A model that lives in memory only. Throws Errc::usage for a shape or type that isn't known, naming those
/// that are.
std::shared_ptr<const format::ModelFile> make_synthetic(const std::string& reference);
/// The same as a GGUF file, which other programs can load.
void save_synthetic(const std::string& reference, const std::filesystem::path& path);

}  // namespace ruvllm::bench
