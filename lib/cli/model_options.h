// The MODEL that most verbs take, and which file a reference means.
// Tested by tests/cli/options_test.cpp.
#pragma once

#include "cli/app.h"

#include <filesystem>
#include <string>
#include <string_view>

namespace ruvllm::cli {

/// Adds the positional MODEL (also -m, --model, RUVLLM_MODEL).
CLI::Option* add_model_argument(CLI::App& command, std::string& model);

/// The alias of the model that comes with the suite.
inline constexpr std::string_view kBuiltInModel = "tiny";

/// Where the built-in model lies: in ../share/ruvllm from the folder of this program (or ../../share/ruvllm,
/// for libexec/ruvllm), or in models/ of the source tree that the program was built in. Empty where it is in
/// none.
std::filesystem::path built_in_model();

/// The path that a model reference means: a file or folder that exists, else an alias of the config file,
/// else the built-in model, else a reference on the hub. Throws usage where it is empty, not_found with the
/// nearest name in its folder.
std::filesystem::path resolve_model(const std::string& reference, const CommonOptions& common);

}  // namespace ruvllm::cli
