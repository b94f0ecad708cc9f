// Speed of a model: prefill (pp), decoding (tg), at depths, of several sequences together, each against the
// limit that the machine was measured to have in the same run.
#pragma once

#include "base/json.h"
#include "bench/limits.h"
#include "bench/stats.h"
#include "cli/app.h"
#include "kv/kv_cache.h"

#include <CLI/CLI.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace ruvllm::bench {

struct SpeedOptions {
  std::vector<int> prompts = {512};
  std::vector<int> generated = {128};
  std::vector<int> depths = {0};
  std::vector<int> batches = {1};
  std::vector<int> threads;  ///< empty: the program's
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
  uint64_t bytes = 0;           ///< of the model file
  std::vector<double> samples;  ///< tokens a second
  double limit_tps = 0;         ///< what the machine's limits allow
  std::vector<double> versus;   ///< the other program's samples, where it was asked
  Stats stats() const { return stats_of(samples); }
  OrderedJson json() const;
};

void add_speed_options(CLI::App& command, SpeedOptions& options);

/// Measures and reports. Throws gate_missed where a baseline is missed.
int run_speed(const std::string& model, const SpeedOptions& options, kv::KvFormat kv_format,
              const cli::CommonOptions& common);

/// The rows as options.format says.
std::string report_speed(const std::vector<SpeedRow>& rows, const std::string& format,
                         const cli::CommonOptions& common);
/// Throws Errc::gate_missed naming what slowed against the rows of `baseline`, a file that this program wrote
/// as JSON.
void check_baseline(const std::vector<SpeedRow>& rows, const std::filesystem::path& baseline,
                    const std::string& max_slowdown);

}  // namespace ruvllm::bench
