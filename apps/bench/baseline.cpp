// Comparison of speed rows with those of an earlier run.
#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "kernels_name.h"
#include "speed.h"

namespace ruvllm::bench {
namespace {

/// Of the same test, model, threads and kernels.
bool is_same_test(const Json& old, const SpeedRow& row) {
  return old.is_object() && old.value("test", "") == row.test.name() && old.value("model", "") == row.model &&
         old.value("threads", 0) == row.test.threads && old.value("isa", "") == isa_name();
}

}  // namespace

double parse_percent(const std::string& text) {
  const std::string_view number =
      text.ends_with('%') ? std::string_view(text).substr(0, text.size() - 1) : text;
  const auto value = parse_number(trim(number));
  if (!value || *value < 0)
    throw Error(Errc::usage, "--max-slowdown: '{}' is no percentage; try 5%", printable(text));
  return *value / 100;
}

Json read_baseline(const std::filesystem::path& path) {
  Json rows = parse_json(read_file(path, limits::kHubJsonBytes), path.string());
  if (!rows.is_array())
    throw Error(Errc::corrupt_file, "{}: not the JSON rows of an earlier run", printable(path.string()));
  return rows;
}

void compare_with_baseline(std::vector<SpeedRow>& rows, const Json& baseline, double bound) {
  size_t n_compared = 0;
  for (SpeedRow& row : rows)
    for (const Json& old : baseline) {
      if (!is_same_test(old, row)) continue;
      ++n_compared;
      row.before = {old.value("median_tps", 0.0), old.value("min", 0.0), old.value("max", 0.0),
                    old.value("mad", 0.0)};
      row.slowed = is_slower(*row.before, row.stats(), bound);
    }
  if (n_compared == 0) throw Error(Errc::usage, "the baseline has none of these tests of this model");
}

void refuse_slowdowns(const std::vector<SpeedRow>& rows) {
  std::string slowed;
  for (const SpeedRow& row : rows)
    if (row.slowed) slowed += (slowed.empty() ? "" : "; ") + slowdown_text(row);
  if (!slowed.empty()) throw Error(Errc::gate_missed, "{}", slowed);
}

std::string slowdown_text(const SpeedRow& row) {
  return fmt::format("{} fell from {:.2f} to {:.2f} tokens/s ({:.1f} %)", row.test.name(), row.before->median,
                     row.stats().median, row.change_percent());
}

}  // namespace ruvllm::bench
