#include "cli/sampling_options.h"

#include "cli/resolve_options.h"

#include <random>

namespace ruvllm::cli {

sample::SamplingParameters SamplingOptions::resolved() const {
  sample::SamplingParameters result = parameters;
  std::random_device entropy;
  result.seed = seed ? *seed : uint64_t{entropy()} << 32 | entropy();
  return result;
}

void add_sampling_options(CLI::App& command, SamplingOptions& options) {
  sample::SamplingParameters& parameters = options.parameters;
  const auto add = [&](const char* name, auto& value, const char* about, double low, double high) {
    command.add_option(name, value, about)
        ->type_name("X")
        ->capture_default_str()
        ->check(between(low, high))
        ->group("Sampling");
  };
  add("--temp", parameters.temperature, "Spread the choice: 0 takes the likeliest token every time.", 0, 100);
  add("--top-k", parameters.top_k, "Keep this many of the likeliest tokens; 0 keeps all.", 0, 1e9);
  add("--top-p", parameters.top_p, "Keep the likeliest tokens that together have this probability.", 0, 1);
  add("--min-p", parameters.min_p, "Keep tokens at least this fraction as likely as the best.", 0, 1);
  add("--repeat-penalty", parameters.repeat_penalty, "Make recent tokens less likely; 1 does not.", 0.01,
      100);
  add("--repeat-last", parameters.repeat_last, "How many recent tokens the penalty sees.", 0, 1e9);
  command.add_option("--seed", options.seed, "Start the dice here: the same seed gives the same answer.")
      ->type_name("N")
      ->group("Sampling");
}

}  // namespace ruvllm::cli
