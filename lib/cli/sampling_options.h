// How the next token is chosen: --temp and its kin. Tested by tests/cli/chat_test.cpp.
#pragma once

#include "cli/app.h"
#include "sample/sampler.h"

#include <cstdint>
#include <optional>

namespace ruvllm::cli {

struct SamplingOptions {
  sample::SamplingParameters parameters;
  std::optional<uint64_t> seed;

  /// The parameters with the seed that was given, else one that nobody can guess.
  sample::SamplingParameters resolved() const;
};

void add_sampling_options(CLI::App& command, SamplingOptions& options);

}  // namespace ruvllm::cli
