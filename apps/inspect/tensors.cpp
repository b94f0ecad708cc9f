// ruvllm inspect tensors: what a model file holds, statistics of its values, and one tensor taken out.
#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mapped_file.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "cli/console.h"
#include "cli/model_options.h"
#include "cli/table.h"
#include "format/model_file.h"
#include "format/safetensors.h"
#include "inspect.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <span>
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

// A tensor as it is listed; `values` where there is a way to decode them.
struct Row {
  std::string name;
  std::vector<uint64_t> shape;
  std::string_view type;
  uint64_t offset;
  std::span<const std::byte> bytes;
  std::string file = {};  ///< which of several
  std::optional<format::Tensor> values = {};
};

// The tensors of a model, or of a safetensors file that lies alone: an adapter, or one shard of many.
struct Listing {
  std::shared_ptr<const format::ModelFile> model;
  std::optional<MappedFile> lone;
  std::vector<std::vector<std::byte>> aligned;  ///< copies of values that lie at odd addresses
  std::vector<Row> rows;
};

std::optional<tensor::Format> format_of(format::SafetensorsType type) {
  using enum format::SafetensorsType;
  if (type == F32) return tensor::Format::F32;
  if (type == F16) return tensor::Format::F16;
  if (type == BF16) return tensor::Format::BF16;
  return std::nullopt;
}

Listing list_model(const std::filesystem::path& path) {
  Listing listing;
  listing.model = format::open_model_file(path);
  const format::ModelFile& model = *listing.model;
  for (const format::Tensor& tensor : model.tensors) {
    Row row{tensor.name,
            tensor.dimensions,
            tensor::format_name(tensor.format),
            tensor.file_offset,
            tensor.bytes,
            {},
            tensor};
    if (model.files.size() > 1) row.file = model.files[tensor.file_index].path().filename().string();
    listing.rows.push_back(std::move(row));
  }
  return listing;
}

// Shapes are as the file has them, outermost first.
Listing list_safetensors_file(const std::filesystem::path& path) {
  Listing listing;
  listing.lone.emplace(path);
  format::SafetensorsImage image = format::parse_safetensors(listing.lone->bytes(), path.string());
  for (format::SafetensorsEntry& entry : image.tensors) {
    Row row{entry.name, entry.shape, format::safetensors_type_name(entry.type), entry.file_offset,
            entry.bytes};
    if (const auto format = format_of(entry.type); format && !entry.bytes.empty())
      row.values =
          format::Tensor{entry.name, *format, {entry.shape.rbegin(), entry.shape.rend()}, entry.bytes};
    if (row.values && row.values->dimensions.empty()) row.values->dimensions = {1};
    if (row.values && reinterpret_cast<uintptr_t>(entry.bytes.data()) % 4 != 0)
      row.values->bytes = listing.aligned.emplace_back(entry.bytes.begin(), entry.bytes.end());
    listing.rows.push_back(std::move(row));
  }
  return listing;
}

std::string shape_text(const Row& row) { return fmt::format("{}", fmt::join(row.shape, "x")); }

void print_json(const Listing& listing, const Options& options) {
  Json list = Json::array();
  for (const Row& row : listing.rows) {
    Json entry = {{"name", to_valid_utf8(row.name)},
                  {"shape", row.shape},
                  {"type", row.type},
                  {"offset", row.offset},
                  {"bytes", row.bytes.size()}};
    if (!row.file.empty()) entry["file"] = row.file;
    if (options.stats) {
      const Statistics statistics = row.values ? statistics_of(*row.values) : Statistics();
      const bool empty = statistics.n_good() == 0;
      entry["min"] = empty ? Json() : Json(statistics.least);
      entry["max"] = empty ? Json() : Json(statistics.largest);
      entry["mean"] = row.values ? Json(statistics.mean()) : Json();
      entry["rms"] = row.values ? Json(statistics.root_mean_square()) : Json();
      entry["not_finite"] = row.values ? Json(statistics.n_bad) : Json();
    }
    list.push_back(std::move(entry));
  }
  cli::print(dump_json(Json{{"tensors", std::move(list)}}) + "\n");
}

// The four figures of a row's values, as the table has them; dashes where they can't be decoded.
std::vector<std::string> figures_of(const Row& row, const cli::CommonOptions& common) {
  if (!row.values) return std::vector<std::string>(4, "-");
  const Statistics statistics = statistics_of(*row.values);
  if (statistics.n_bad > 0)
    cli::warn(common, fmt::format("{}: {} of {} values are not finite", printable(row.name), statistics.n_bad,
                                  statistics.n_values));
  std::vector<std::string> figures;
  for (const double figure : {static_cast<double>(statistics.least), static_cast<double>(statistics.largest),
                              statistics.mean(), statistics.root_mean_square()})
    figures.push_back(fmt::format("{:.5g}", figure));
  return figures;
}

void print_table(const Listing& listing, const Options& options, const cli::CommonOptions& common) {
  using Align = cli::Table::Align;
  std::vector<cli::Table::Column> columns = {
      {"name"}, {"shape"}, {"type"}, {"offset", Align::right}, {"bytes", Align::right}};
  if (options.stats)
    for (const char* title : {"min", "max", "mean", "rms"}) columns.push_back({title, Align::right});
  cli::Table table(columns);
  for (const Row& row : listing.rows) {
    std::vector<std::string> cells = {printable(row.name), shape_text(row), std::string(row.type),
                                      fmt::format("{}", row.offset), fmt::format("{}", row.bytes.size())};
    if (options.stats) std::ranges::move(figures_of(row, common), std::back_inserter(cells));
    table.add_row(std::move(cells));
  }
  cli::print(table.text(cli::Style(cli::use_color(STDOUT_FILENO, common.color))));
}

void extract(const Listing& listing, const std::string& source, const Options& options) {
  const auto row = std::ranges::find(listing.rows, options.extract, &Row::name);
  if (row == listing.rows.end()) {
    std::vector<std::string> names;
    for (const Row& other : listing.rows) names.push_back(other.name);
    const auto nearest = nearest_match(options.extract, names);
    throw Error(Errc::not_found, "{}: no tensor '{}'{}", printable(source), printable(options.extract),
                nearest ? fmt::format("; did you mean {}?", printable(*nearest)) : "");
  }
  if (options.as == "f32" && !row->values && !row->bytes.empty())
    throw Error(Errc::usage, "{}: tensor {} is of type {}, which --as f32 does not decode", printable(source),
                printable(row->name), row->type);
  AtomicFile out(options.out);
  if (options.as == "f32" && row->values)
    decode_slices(*row->values, [&](std::span<const float> values) { out.write(std::as_bytes(values)); });
  else
    out.write(row->bytes);
  out.commit();
}

int run(const Options& options, const cli::CommonOptions& common) {
  if (options.extract.empty() != options.out.empty())
    throw Error(Errc::usage, "--extract NAME and --out FILE go together");
  const std::filesystem::path path = cli::resolve_model(options.model, common);
  const bool is_lone = path.extension() == ".safetensors" && !std::filesystem::is_directory(path);
  const Listing listing = is_lone ? list_safetensors_file(path) : list_model(path);
  if (!options.extract.empty())
    extract(listing, path.string(), options);
  else if (common.json)
    print_json(listing, options);
  else
    print_table(listing, options, common);
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
