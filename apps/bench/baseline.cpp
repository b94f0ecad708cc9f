// Speed rows against those of an earlier run: reading the earlier ones, which have to hold figures or are
// refused before anything is measured, and telling what slowed.
#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "cli/console.h"
#include "kernels_name.h"
#include "speed.h"

#include <climits>
#include <cmath>
#include <utility>

namespace ruvllm::bench {
namespace {

/// A row of a baseline while it is read; errors name the file, the row and the field.
class RowReader {
 public:
  RowReader(const Json& row, std::string place) : row_(row), place_(std::move(place)) {
    if (!row.is_object()) throw wrong("this", row, "a row of 'ruvllm bench --json'");
  }

  std::string text(const char* name) const {
    const Json& value = at(name);
    if (!value.is_string()) throw wrong(name, value, "a text");
    return value;
  }

  int count(const char* name) const {
    const Json& value = at(name);
    if (!value.is_number_integer() || value < 1 || value > INT_MAX)
      throw wrong(name, value, "a number above 0");
    return value;
  }

  /// A rate: finite and above 0.
  double figure(const char* name) const { return figure(name, at(name)); }

  std::vector<double> figures(const char* name) const {
    const Json& list = at(name);
    if (!list.is_array() || list.empty()) throw wrong(name, list, "a list of numbers above 0");
    std::vector<double> values;
    for (const Json& value : list) values.push_back(figure(name, value));
    return values;
  }

 private:
  const Json& at(const char* name) const {
    const auto found = row_.find(name);
    if (found == row_.end())
      throw Error(Errc::corrupt_file, "{}: there is no {}, so that nothing can be compared with it", place_,
                  name);
    return *found;
  }

  double figure(const char* name, const Json& value) const {
    if (!value.is_number()) throw wrong(name, value, "a number above 0");
    const double number = value;
    if (!std::isfinite(number) || !(number > 0)) throw wrong(name, value, "a number above 0");
    return number;
  }

  Error wrong(std::string_view what, const Json& found, std::string_view wish) const {
    constexpr size_t kShown = 40;
    return Error(Errc::corrupt_file, "{}: {} is {}, expected {}", place_, what,
                 printable(dump_json(found).substr(0, kShown)), wish);
  }

  const Json& row_;
  std::string place_;
};

BaselineRow read_row(const Json& json, const std::string& place) {
  const RowReader reader(json, place);
  BaselineRow row;
  row.test = reader.text("test");
  row.model = reader.text("model");
  const RowReader named(json, fmt::format("{} ({} of {})", place, printable(row.test), printable(row.model)));
  row.isa = named.text("isa");
  row.threads = named.count("threads");
  const double median = named.figure("median_tps");
  row.samples = named.figures("samples_tps");
  // The median is the figure that people read, and set by hand; the samples tell how far one lies from
  // another.
  const double scale = median / stats_of(row.samples).median;
  for (double& sample : row.samples) {
    sample *= scale;
    if (!std::isfinite(sample) || !(sample > 0))
      throw Error(Errc::corrupt_file, "{}: samples_tps and median_tps don't belong together", place);
  }
  return row;
}

/// Of the same test, model, threads and kernels.
bool is_same_test(const BaselineRow& old, const SpeedRow& row) {
  return old.test == row.test.name() && old.model == row.model && old.threads == row.test.threads &&
         old.isa == isa_name();
}

}  // namespace

double parse_percent(const std::string& text) {
  const std::string_view number =
      text.ends_with('%') ? std::string_view(text).substr(0, text.size() - 1) : text;
  const auto value = parse_number(trim(number));
  if (!value || *value < 0 || *value >= 100)
    throw Error(Errc::usage, "--max-slowdown: '{}' is no percentage from 0 to below 100; try 5%",
                printable(text));
  return *value / 100;
}

std::vector<BaselineRow> read_baseline(const std::filesystem::path& path) {
  const std::string name = printable(path.string());
  const Json list = parse_json(read_file(path, limits::kHubJsonBytes), path.string());
  if (!list.is_array() || list.empty())
    throw Error(Errc::corrupt_file, "{}: expected the list of rows that 'ruvllm bench --json' prints", name);
  std::vector<BaselineRow> rows;
  for (const Json& row : list)
    rows.push_back(read_row(row, fmt::format("{}: row {}", name, rows.size() + 1)));
  return rows;
}

void find_in_baseline(std::vector<SpeedRow>& rows, const std::vector<BaselineRow>& baseline,
                      const cli::CommonOptions& common) {
  std::string missing;
  size_t n_found = 0;
  for (SpeedRow& row : rows) {
    for (const BaselineRow& old : baseline)
      if (is_same_test(old, row)) row.before.insert(row.before.end(), old.samples.begin(), old.samples.end());
    if (row.before.empty())
      missing +=
          fmt::format("{}{} on {} threads", missing.empty() ? "" : ", ", row.test.name(), row.test.threads);
    else
      ++n_found;
  }
  if (n_found == 0)
    throw Error(Errc::usage, "the baseline has none of these tests of this model with {} kernels",
                isa_name());
  if (!missing.empty())
    cli::warn(common, fmt::format("not compared, as the baseline doesn't have it: {}", missing));
}

void compare_with_baseline(std::vector<SpeedRow>& rows, double bound, const cli::CommonOptions& common,
                           const std::function<void(SpeedRow&)>& sample) {
  std::vector<SpeedRow*> compared;
  std::vector<GateRow> gate;
  for (SpeedRow& row : rows) {
    if (row.before.empty()) continue;
    compared.push_back(&row);
    gate.push_back({.before = row.before, .now = row.samples});
  }
  judge_slowdowns(gate, bound, [&](size_t i, size_t n) {
    SpeedRow& row = *compared[i];
    cli::note(common, fmt::format("{} looks slower; measuring it {} more times", row.test.name(), n));
    const auto n_before = static_cast<std::ptrdiff_t>(row.samples.size());
    while (n-- > 0) sample(row);
    return std::vector<double>(row.samples.begin() + n_before, row.samples.end());
  });
  for (size_t i = 0; i < gate.size(); ++i) {
    compared[i]->slowed = gate[i].slowed;
    const bool is_told_by_p = !gate[i].slowed || gate[i].p_value <= kGateLevel;
    if (!gate[i].again.empty() && is_told_by_p) compared[i]->p_value = gate[i].p_value;
  }
}

void refuse_slowdowns(const std::vector<SpeedRow>& rows) {
  std::string slowed;
  for (const SpeedRow& row : rows)
    if (row.slowed) slowed += (slowed.empty() ? "" : "; ") + slowdown_text(row);
  if (!slowed.empty()) throw Error(Errc::gate_missed, "{}", slowed);
}

std::string slowdown_text(const SpeedRow& row) {
  return fmt::format("{} fell from {:.2f} to {:.2f} tokens/s ({:.1f} %)", row.test.name(),
                     row.median_before(), row.stats().median, row.change_percent());
}

}  // namespace ruvllm::bench
