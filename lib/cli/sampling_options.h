// How the next token is chosen: --temp and its kin. Tested by tests/cli/chat_test.cpp.
#pragma once

#include "cli/app.h"
#include "format/metadata.h"
#include "sample/sampler.h"

#include <cstdint>
#include <optional>
#include <set>
#include <string>

namespace ruvllm::cli {

struct SamplingOptions {
  sample::SamplingParameters parameters;
  std::optional<uint64_t> seed;
  std::set<std::string> given;  ///< names of options that the user has set, in whichever way

  /// The parameters with the seed that was given, else one that nobody can guess.
  sample::SamplingParameters resolved() const;

  /// Takes what a model recommends (general.sampling.*; of a folder, its generation_config.json) for all that
  /// the user hasn't set; what another model recommended before is forgotten. Returns a warning that names
  /// what it recommends and nothing here can do, or nothing. Throws corrupt_file naming a key that is out of
  /// range.
  [[nodiscard]] std::string take_recommended(const format::Metadata& metadata);
};

void add_sampling_options(CLI::App& command, SamplingOptions& options);

}  // namespace ruvllm::cli
