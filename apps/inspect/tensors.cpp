// ruvllm inspect tensors: what a model file holds, statistics of its values, and one tensor taken out.
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "cli/console.h"
#include "cli/model_options.h"
#include "cli/table.h"
#include "format/model_file.h"
#include "inspect.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace ruvllm::inspect {
namespace {

struct Options {
  std::string model;
  bool stats = false;
  std::string extract;
  std::string out;
  std::string as;
};

struct Statistics {
  float least = std::numeric_limits<float>::infinity();
  float largest = -std::numeric_limits<float>::infinity();
  double sum = 0;
  double sum_of_squares = 0;
  uint64_t n_values = 0;
  uint64_t n_bad = 0;  ///< NaN or infinite

  void add(std::span<const float> values) {
    for (const float value : values) {
      ++n_values;
      if (!std::isfinite(value)) {
        ++n_bad;
        continue;
      }
      least = std::min(least, value);
      largest = std::max(largest, value);
      sum += value;
      sum_of_squares += static_cast<double>(value) * value;
    }
  }
  uint64_t n_good() const { return n_values - n_bad; }
  double mean() const { return n_good() == 0 ? 0 : sum / static_cast<double>(n_good()); }
  double root_mean_square() const {
    return n_good() == 0 ? 0 : std::sqrt(sum_of_squares / static_cast<double>(n_good()));
  }
};

// The values of a tensor as f32, some rows or a part of a long one at a time, so that no tensor is held
// twice.
void decode_slices(const format::Tensor& tensor,
                   const std::function<void(std::span<const float>)>& on_slice) {
  constexpr uint64_t kSliceValues = 65'536;  // whole blocks
  const uint64_t n_values = tensor.n_values(), n_columns = tensor.n_columns();
  const uint64_t slice_rows = std::max<uint64_t>(1, kSliceValues / n_columns);
  std::vector<float> values;
  const auto decode = [&](uint64_t first, uint64_t n) {
    cli::throw_if_interrupted();
    values.resize(n);
    tensor.decode(first, values);
    on_slice(values);
  };
  if (n_columns <= kSliceValues) {
    for (uint64_t first = 0; first < n_values; first += slice_rows * n_columns)
      decode(first, std::min(slice_rows * n_columns, n_values - first));
    return;
  }
  for (uint64_t row = 0; row < n_values; row += n_columns)
    for (uint64_t first = 0; first < n_columns; first += kSliceValues)
      decode(row + first, std::min(kSliceValues, n_columns - first));
}

Statistics statistics_of(const format::Tensor& tensor) {
  Statistics statistics;
  decode_slices(tensor, [&](std::span<const float> values) { statistics.add(values); });
  return statistics;
}

std::string shape_text(const format::Tensor& tensor) {
  std::string text;
  for (const uint64_t dimension : tensor.dimensions)
    text += fmt::format("{}{}", text.empty() ? "" : "x", dimension);
  return text;
}

void print_json(const format::ModelFile& file, const Options& options) {
  Json list = Json::array();
  for (const format::Tensor& tensor : file.tensors) {
    Json entry = {{"name", to_valid_utf8(tensor.name)},
                  {"shape", tensor.dimensions},
                  {"type", tensor::format_name(tensor.format)},
                  {"offset", tensor.file_offset},
                  {"bytes", tensor.bytes.size()}};
    if (file.files.size() > 1) entry["file"] = file.files[tensor.file_index].path().filename().string();
    if (options.stats) {
      const Statistics statistics = statistics_of(tensor);
      const bool empty = statistics.n_good() == 0;
      entry["min"] = empty ? Json() : Json(statistics.least);
      entry["max"] = empty ? Json() : Json(statistics.largest);
      entry["mean"] = statistics.mean();
      entry["rms"] = statistics.root_mean_square();
      entry["not_finite"] = statistics.n_bad;
    }
    list.push_back(std::move(entry));
  }
  cli::print(dump_json(Json{{"tensors", std::move(list)}}) + "\n");
}

void print_table(const format::ModelFile& file, const Options& options, const cli::CommonOptions& common) {
  using Align = cli::Table::Align;
  std::vector<cli::Table::Column> columns = {
      {"name"}, {"shape"}, {"type"}, {"offset", Align::right}, {"bytes", Align::right}};
  if (options.stats)
    for (const char* title : {"min", "max", "mean", "rms"}) columns.push_back({title, Align::right});
  cli::Table table(columns);
  for (const format::Tensor& tensor : file.tensors) {
    std::vector<std::string> row = {
        printable(tensor.name), shape_text(tensor), std::string(tensor::format_name(tensor.format)),
        fmt::format("{}", tensor.file_offset), fmt::format("{}", tensor.bytes.size())};
    if (options.stats) {
      const Statistics statistics = statistics_of(tensor);
      if (statistics.n_bad > 0)
        cli::warn(common, fmt::format("{}: {} of {} values are not finite", printable(tensor.name),
                                      statistics.n_bad, statistics.n_values));
      for (const double figure :
           {static_cast<double>(statistics.least), static_cast<double>(statistics.largest), statistics.mean(),
            statistics.root_mean_square()})
        row.push_back(fmt::format("{:.5g}", figure));
    }
    table.add_row(std::move(row));
  }
  cli::print(table.text(cli::Style(cli::use_color(STDOUT_FILENO, common.color))));
}

void extract(const format::ModelFile& file, const Options& options) {
  const format::Tensor* tensor = file.find(options.extract);
  if (!tensor) {
    std::vector<std::string> names;
    for (const format::Tensor& other : file.tensors) names.push_back(other.name);
    const auto nearest = nearest_match(options.extract, names);
    throw Error(Errc::not_found, "{}: no tensor '{}'{}", printable(file.source), printable(options.extract),
                nearest ? fmt::format("; did you mean {}?", printable(*nearest)) : "");
  }
  AtomicFile out(options.out);
  if (options.as == "f32")
    decode_slices(*tensor, [&](std::span<const float> values) { out.write(std::as_bytes(values)); });
  else
    out.write(tensor->bytes);
  out.commit();
}

int run(const Options& options, const cli::CommonOptions& common) {
  if (options.extract.empty() != options.out.empty())
    throw Error(Errc::usage, "--extract NAME and --out FILE go together");
  const auto file = format::open_model_file(cli::resolve_model(options.model, common));
  if (!options.extract.empty())
    extract(*file, options);
  else if (common.json)
    print_json(*file, options);
  else
    print_table(*file, options, common);
  return 0;
}

}  // namespace

Inspection add_tensors(CLI::App& inspect) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      inspect.add_subcommand("tensors", "Name, shape, type, offset and bytes of every tensor.");
  cli::add_model_argument(*command, options->model);
  command->add_flag("--stats", options->stats,
                    "Add least, largest, mean and root mean square of the values.");
  CLI::Option* extract =
      command->add_option("--extract", options->extract, "Write this tensor's bytes to --out.")
          ->type_name("NAME");
  command->add_option("--out", options->out, "Where to write it.")->type_name("FILE");
  const auto check = [](std::string& text) {
    return text == "f32" ? std::string() : fmt::format("'{}' is not f32", printable(text));
  };
  command->add_option("--as", options->as, "Decode it to little-endian f32 first.")
      ->type_name("f32")
      ->check(CLI::Validator(check, ""))
      ->needs(extract);
  return {command, [options](const cli::CommonOptions& common) { return run(*options, common); }};
}

}  // namespace ruvllm::inspect
