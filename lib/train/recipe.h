// A training configuration as a file, JSON or TOML: every key stands for an option of the command line, which
// wins where both are given. A recipe that was written holds everything that decides the output, so that
// reading it gives the same bytes. Tested by tests/train/settings_test.cpp and
// tests/cli/train_qat_options_test.cpp.
#pragma once

#include "train/settings.h"

#include <filesystem>

namespace ruvllm::train {

/// Sets the options that nothing has set yet from the file (TOML where its name ends in .toml), and tells
/// whether the command line has overruled the type that it trains for. Throws Errc::usage naming the file and
/// the key that is unknown, of the wrong type or out of range, corrupt_file where it is neither JSON nor
/// TOML.
bool apply_recipe(Settings& settings, const std::filesystem::path& path);

/// Writes every key that has an effect, atomically.
void write_recipe(const Settings& settings, const std::filesystem::path& path);

}  // namespace ruvllm::train
