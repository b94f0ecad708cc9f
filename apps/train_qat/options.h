// The options of train-qat on the command line: the rows of train/settings.def.
#pragma once

#include "cli/app.h"
#include "train/settings.h"

namespace ruvllm::train_qat {

/// Adds an option for each row, bound to its field.
void add_options(CLI::App& app, train::Settings& settings);

/// Tells `settings` which of them were given: typed, in the environment or in the config file.
void note_given(const CLI::App& app, train::Settings& settings);

}  // namespace ruvllm::train_qat
