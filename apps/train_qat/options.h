// The options of train-qat, as they stand on the command line.
#pragma once

#include "cli/app.h"
#include "train/run.h"

#include <optional>
#include <string>
#include <vector>

namespace ruvllm::train_qat {

struct Options {
  CLI::App* command = nullptr;              ///< whose options a recipe may set
  std::string model;                        ///< empty with --from-scratch
  std::string teacher;                      ///< empty: the model itself, where distillation is wanted
  std::optional<std::string> from_scratch;  ///< shape file
  std::string tokenizer = "train";          ///< "train", or a model to take it from
  std::filesystem::path chat_template;      ///< file; empty: the model's own, or ChatML for a new one
  std::filesystem::path recipe, recipe_out;
  std::string preset;
  std::string rule = "standard";
  std::string granularity;  ///< empty: as the target's own blocks have it
  int bits = 0;             ///< 0: --target says
  bool asymmetric = false;
  bool pure = false;
  std::string output_type, embedding_type;
  std::vector<std::string> tensor_rules;
  quant::Mix uniform_mix = {};  ///< what --bits means
  std::string weights;          ///< a preset of the losses' weights
  std::string reasoning = "default";
  uint64_t data_free_tokens = 0;
  std::filesystem::path log, plot;
  train::RunOptions run;
};

void add_options(CLI::App& app, Options& options);

/// Fills in what the recipe and the presets say, checks values that only make sense together or in a range,
/// and works out what they mean for the run. Throws usage naming the option.
void resolve_options(Options& options);

}  // namespace ruvllm::train_qat
