// The options of train-qat, as they stand on the command line.
#pragma once

#include "cli/app.h"
#include "train/run.h"

#include <optional>
#include <string>
#include <vector>

namespace ruvllm::train_qat {

struct Options {
  std::string model;                        ///< empty with --from-scratch
  std::string teacher;                      ///< empty: the model itself, where distillation is wanted
  std::optional<std::string> from_scratch;  ///< shape file
  std::string tokenizer = "train";          ///< "train", or a model to take it from
  std::filesystem::path chat_template;      ///< file; empty: the model's own, or ChatML for a new one
  std::string rule = "standard";
  std::filesystem::path log, plot;
  train::RunOptions run;
};

void add_options(CLI::App& app, Options& options);

/// Values that only make sense together, or in a range. Throws usage naming the option.
void check_options(Options& options);

}  // namespace ruvllm::train_qat
