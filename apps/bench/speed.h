// Speed of a model: prefill (pp), decoding (tg), at depths, of several sequences together, each against the
// limit that the machine was measured to have in the same run.
#pragma once

#include "base/json.h"
#include "bench/limits.h"
#include "bench/slowdown.h"
#include "bench/stats.h"
#include "cli/app.h"
#include "kv/kv_cache.h"

#include <CLI/CLI.hpp>

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace ruvllm::bench {

struct SpeedOptions {
  std::vector<int> prompts = {512};
  std::vector<int> generated = {128};
  std::vector<int> depths = {0};
  std::vector<int> batches = {1};
  int repetitions = 5;
  std::string format = "table";
  std::filesystem::path out;
  std::filesystem::path baseline;
  std::string max_slowdown = "5%";
  std::string versus;
  std::filesystem::path save_synthetic;
  bool kernels = false;
  std::string quantize_on_load;  ///< a type; empty: weights as they are
};

/// One kind of work: exactly one of n_prompt and n_generated is not 0.
struct SpeedTest {
  int n_prompt = 0;
  int n_generated = 0;
  int depth = 0;
  int batch = 1;
  int threads = 1;
  std::string name() const;  ///< "pp512", "tg128@d4096", "tg128 b8"
};

/// What was measured: one row of the report.
struct SpeedRow {
  SpeedTest test;
  std::string model, type;
  uint64_t bytes = 0;             ///< of the model file
  std::vector<double> samples;    ///< tokens a second
  std::vector<double> shares;     ///< of what the machine's limits allowed beside each sample
  std::vector<double> versus;     ///< the other program's samples, where it was asked
  std::vector<double> before;     ///< the baseline's samples, where it has this test
  std::optional<double> p_value;  ///< of the test for a slowdown, where there was reason to make it
  bool slowed = false;            ///< against the baseline, by more than was allowed
  Stats stats() const { return stats_of(samples); }
  double share() const { return stats_of(shares).median; }
  double limit_tps() const { return stats().median / share(); }
  double median_before() const { return stats_of(before).median; }
  double change_percent() const { return 100 * (stats().median / median_before() - 1); }
  OrderedJson json() const;
};

void add_speed_options(CLI::App& command, SpeedOptions& options);

/// Measures and reports. Throws gate_missed where a baseline is missed.
int run_speed(const std::string& model, const SpeedOptions& options, kv::KvFormat kv_format,
              const cli::CommonOptions& common);

/// The rows as options.format says.
std::string report_speed(const std::vector<SpeedRow>& rows, const std::string& format,
                         const cli::CommonOptions& common);
/// "5%" or "5" as 0.05; throws Errc::usage.
double parse_percent(const std::string& text);

/// A row of an earlier run.
struct BaselineRow {
  std::string test, model, isa;
  int threads = 0;
  std::vector<double> samples;  ///< with the row's median_tps for their median
};
/// The JSON rows that this program wrote in an earlier run. Throws Errc::corrupt_file naming the row that has
/// no figures, or others than rates above 0.
std::vector<BaselineRow> read_baseline(const std::filesystem::path& path);
/// Gives rows what the baseline has of the same tests of the same model, with a warning for those that it
/// hasn't. Throws Errc::usage where it has none of them.
void find_in_baseline(std::vector<SpeedRow>& rows, const std::vector<BaselineRow>& baseline,
                      const cli::CommonOptions& common);
/// Notes which rows are slower than the baseline by more than `bound` and than noise; `sample` measures a row
/// once more.
void compare_with_baseline(std::vector<SpeedRow>& rows, double bound, const cli::CommonOptions& common,
                           const std::function<void(SpeedRow&)>& sample);
/// Throws Errc::gate_missed naming what slowed.
void refuse_slowdowns(const std::vector<SpeedRow>& rows);
/// "tg128 fell from 50.00 to 40.00 tokens/s (-20.0 %)", of a row that has a `before`.
std::string slowdown_text(const SpeedRow& row);

}  // namespace ruvllm::bench
