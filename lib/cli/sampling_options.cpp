#include "cli/sampling_options.h"

#include "base/error.h"
#include "cli/resolve_options.h"

#include <array>
#include <random>
#include <variant>

namespace ruvllm::cli {
namespace {

using Parameters = sample::SamplingParameters;

struct Row {
  const char* option;
  const char* key;  ///< under which a model recommends it
  std::variant<float Parameters::*, int Parameters::*> value;
  const char* about;
  double least, most;
};

constexpr std::array<Row, 6> kRows = {{
    {"--temp", "general.sampling.temp", &Parameters::temperature,
     "Spread the choice: 0 takes the likeliest token every time.", 0, 100},
    {"--top-k", "general.sampling.top_k", &Parameters::top_k,
     "Keep this many of the likeliest tokens; 0 keeps all.", 0, 1e9},
    {"--top-p", "general.sampling.top_p", &Parameters::top_p,
     "Keep the likeliest tokens that together have this probability.", 0, 1},
    {"--min-p", "general.sampling.min_p", &Parameters::min_p,
     "Keep tokens at least this fraction as likely as the best.", 0, 1},
    {"--repeat-penalty", "general.sampling.penalty_repeat", &Parameters::repeat_penalty,
     "Make recent tokens less likely; 1 does not.", 0.01, 100},
    {"--repeat-last", "general.sampling.penalty_last_n", &Parameters::repeat_last,
     "How many recent tokens the penalty sees.", 0, 1e9},
}};

}  // namespace

Parameters SamplingOptions::resolved() const {
  Parameters result = parameters;
  std::random_device entropy;
  result.seed = seed ? *seed : uint64_t{entropy()} << 32 | entropy();
  return result;
}

void SamplingOptions::take_recommended(const format::Metadata& metadata) {
  const Parameters otherwise;
  for (const Row& row : kRows) {
    if (given.contains(row.option)) continue;
    const std::optional<double> number = metadata.number(row.key);
    if (number && !(*number >= row.least && *number <= row.most))
      throw Error(Errc::corrupt_file, "{} is {}, expected {} to {}", row.key, *number, row.least, row.most);
    std::visit(
        [&](auto member) {
          using Value = std::remove_cvref_t<decltype(parameters.*member)>;
          parameters.*member = number ? static_cast<Value>(*number) : otherwise.*member;
        },
        row.value);
  }
}

void add_sampling_options(CLI::App& command, SamplingOptions& options) {
  for (const Row& row : kRows) {
    std::visit(
        [&](auto member) {
          command.add_option(row.option, options.parameters.*member, row.about)
              ->type_name("X")
              ->capture_default_str()
              ->check(between(row.least, row.most))
              ->group("Sampling")
              ->each([&options, name = row.option](const std::string&) { options.given.insert(name); });
        },
        row.value);
  }
  command.add_option("--seed", options.seed, "Start the dice here: the same seed gives the same answer.")
      ->type_name("N")
      ->group("Sampling");
}

}  // namespace ruvllm::cli
