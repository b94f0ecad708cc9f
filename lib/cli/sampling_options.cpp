#include "cli/sampling_options.h"

#include "base/error.h"
#include "base/utf8.h"
#include "cli/resolve_options.h"

#include <algorithm>
#include <array>
#include <random>
#include <string_view>
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

constexpr std::string_view kPrefix = "general.sampling.";
// More tokens than any context has.
constexpr int kWholeContext = 1'000'000;

// What stands for "no bound" in a model's file: -1.
double without_bound(const Row& row, double number) {
  if (number != -1) return number;
  if (row.key == std::string_view("general.sampling.top_k")) return 0;
  return row.key == std::string_view("general.sampling.penalty_last_n") ? kWholeContext : number;
}

// Whether a key asks for something: samplers that are switched off stand in files, too, with their settings.
bool is_wanted(const format::Metadata& metadata, std::string_view key) {
  const auto is_on = [&](std::string_view name) {
    const std::string full = std::string(kPrefix).append(name);
    return metadata.find(full) && metadata.number(full).value_or(0) > 0;
  };
  const std::string_view name = key.substr(kPrefix.size());
  if (name.starts_with("mirostat")) return is_on("mirostat");
  if (name.starts_with("xtc_")) return is_on("xtc_probability");
  return true;
}

std::string name_unsupported(const format::Metadata& metadata) {
  std::string names;
  for (const auto& [key, value] : metadata.entries()) {
    if (!key.starts_with(kPrefix)) continue;
    const bool is_known = std::ranges::any_of(kRows, [&](const Row& row) { return row.key == key; });
    if (!is_known && is_wanted(metadata, key)) names += (names.empty() ? "" : ", ") + printable(key, 60);
  }
  if (names.empty()) return {};
  return fmt::format("the model recommends {}, which is not supported: left out", names);
}

}  // namespace

Parameters SamplingOptions::resolved() const {
  Parameters result = parameters;
  std::random_device entropy;
  result.seed = seed ? *seed : uint64_t{entropy()} << 32 | entropy();
  return result;
}

std::string SamplingOptions::take_recommended(const format::Metadata& metadata) {
  const Parameters otherwise;
  for (const Row& row : kRows) {
    if (given.contains(row.option)) continue;
    std::optional<double> number = metadata.number(row.key);
    if (number) number = without_bound(row, *number);
    if (number && !(*number >= row.least && *number <= row.most))
      throw Error(Errc::corrupt_file, "{} is {}, expected {} to {}", row.key, *number, row.least, row.most);
    std::visit(
        [&](auto member) {
          using Value = std::remove_cvref_t<decltype(parameters.*member)>;
          parameters.*member = number ? static_cast<Value>(*number) : otherwise.*member;
        },
        row.value);
  }
  return name_unsupported(metadata);
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
