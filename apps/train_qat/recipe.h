// A training configuration as a file, JSON or TOML: every key stands for an option of the command line, which
// wins where both are given. Writing one and reading it again gives the same options and the same bytes.
// Tested by tests/cli/train_qat_recipe_test.cpp.
#pragma once

#include "options.h"

#include <filesystem>

namespace ruvllm::train_qat {

/// Sets the options that nothing has set yet from the file (TOML where its name ends in .toml). Throws
/// Errc::usage naming the file and the key that is unknown, of the wrong type or out of range, corrupt_file
/// where it is neither JSON nor TOML.
void apply_recipe(Options& options, const std::filesystem::path& path);

/// Writes every key, atomically.
void write_recipe(const Options& options, const std::filesystem::path& path);

}  // namespace ruvllm::train_qat
