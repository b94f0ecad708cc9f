// The two halves of `ruvllm info`.
#pragma once

#include "cli/app.h"

#include <string>

namespace ruvllm::info {

/// A model: what it is, and the memory it takes.
int show_model(const std::string& reference, const cli::CommonOptions& common);

/// This machine: what it has, and what fits.
int show_machine(const cli::CommonOptions& common);

}  // namespace ruvllm::info
