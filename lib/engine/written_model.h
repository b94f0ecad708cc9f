// A model file that was just written, opened as `chat` would open it: what its source could, it must be able
// to, too. Nothing is packed, so that a file larger than memory is checked in moments. Tested by
// tests/engine/written_model_test.cpp.
#pragma once

#include "format/model_file.h"

#include <filesystem>
#include <string>

namespace ruvllm::engine {

/// Why a model can't be talked to (its architecture, a tensor, its tokenizer, its chat template); empty where
/// it can.
std::string why_unusable(const format::ModelFile& model);

/// Opens the file that was written from `source` (null: from nothing that can be asked). Throws Errc::failed
/// where it can't be used and its source can; the file stays where it is.
void check_written_model(const format::ModelFile* source, const std::filesystem::path& written);

}  // namespace ruvllm::engine
