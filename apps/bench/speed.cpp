#include "speed.h"

#include "base/error.h"
#include "base/file.h"
#include "cli/console.h"
#include "cli/resolve_options.h"
#include "kernel_table.h"
#include "subject.h"
#include "synthetic.h"
#include "versus.h"

#include <map>

namespace ruvllm::bench {
namespace {

constexpr const char* kGroup = "Speed";

std::vector<SpeedTest> plan_tests(const SpeedOptions& options, const cli::CommonOptions& common) {
  std::vector<SpeedTest> tests;
  for (int n_threads : common.thread_counts)
    for (int depth : options.depths)
      for (int batch : options.batches) {
        for (int n : options.prompts)
          if (n > 0) tests.push_back({n, 0, depth, batch, n_threads});
        for (int n : options.generated)
          if (n > 0) tests.push_back({0, n, depth, batch, n_threads});
      }
  if (tests.empty()) throw Error(Errc::usage, "nothing to measure: give -p or -n a number above 0");
  return tests;
}

/// Pools by number of threads.
struct Pools {
  std::map<int, std::unique_ptr<ThreadPool>> pools;

  ThreadPool& get(int n_threads) {
    std::unique_ptr<ThreadPool>& pool = pools[n_threads];
    if (!pool) pool = std::make_unique<ThreadPool>(n_threads);
    return *pool;
  }
};

/// A baseline, and how much slower than it a row may be.
struct Gate {
  std::vector<BaselineRow> baseline;
  double bound = 0;
};

/// Nothing where no baseline is given.
std::optional<Gate> read_gate(const SpeedOptions& options, const cli::CommonOptions& common) {
  const double bound = parse_percent(options.max_slowdown);
  if (options.baseline.empty()) return std::nullopt;
  if (options.repetitions < kLeastRepetitions)
    cli::warn(common,
              fmt::format("-r {} with a baseline: fewer than {} samples rarely tell a loss from noise",
                          options.repetitions, kLeastRepetitions));
  return Gate{read_baseline(options.baseline), bound};
}

/// Our samples and, where there is another program, its samples of the same tests, run in turn.
std::vector<SpeedRow> measure(const std::string& model, const SpeedOptions& options, kv::KvFormat kv_format,
                              const std::optional<Gate>& gate, const cli::CommonOptions& common) {
  const std::vector<SpeedTest> tests = plan_tests(options, common);
  Subject subject(model, options.quantize_on_load, common.threads, kv_format, common);
  Pools pools;
  std::vector<SpeedRow> rows;
  for (const SpeedTest& test : tests) {
    SpeedRow& row = rows.emplace_back();
    row.test = test;
    row.model = subject.name();
    row.type = subject.type();
    row.bytes = subject.file_bytes();
  }
  if (gate) find_in_baseline(rows, gate->baseline, common);
  for (const SpeedTest& test : tests)
    subject.run(test, pools.get(test.threads));  // warm-up: memory, caches, clocks
  const bool alternates = !options.versus.empty();
  // The machine is measured beside every sample: what it can do changes with what else runs on it.
  const auto sample = [&](SpeedRow& row) {
    ThreadPool& pool = pools.get(row.test.threads);
    row.samples.push_back(subject.run(row.test, pool));
    row.shares.push_back(row.samples.back() / subject.limit(row.test, measure_limits(pool)));
  };
  if (!alternates)
    for (SpeedRow& row : rows)
      for (int i = 0; i < options.repetitions; ++i) sample(row);
  for (int i = 0; alternates && i < options.repetitions; ++i) {
    for (SpeedRow& row : rows) sample(row);
    add_versus(options.versus, rows);
  }
  if (gate) compare_with_baseline(rows, gate->bound, common, sample);
  return rows;
}

/// What --out is written in: what its name ends in, else --format, else JSON.
std::string format_of(const SpeedOptions& options) {
  static const std::map<std::string, std::string> kEndings = {
      {".json", "json"}, {".jsonl", "jsonl"}, {".csv", "csv"},  {".md", "md"},
      {".xml", "junit"}, {".html", "html"},   {".htm", "html"}, {".txt", "table"}};
  if (const auto known = kEndings.find(options.out.extension()); known != kEndings.end())
    return known->second;
  return options.format == "table" ? "json" : options.format;
}

}  // namespace

std::string SpeedTest::name() const {
  std::string text = n_prompt > 0 ? fmt::format("pp{}", n_prompt) : fmt::format("tg{}", n_generated);
  if (depth > 0) text += fmt::format("@d{}", depth);
  if (batch > 1) text += fmt::format(" b{}", batch);
  return text;
}

void add_speed_options(CLI::App& command, SpeedOptions& options) {
  const auto list = [&](const std::string& names, std::vector<int>& values, int least,
                        const std::string& help) {
    return command.add_option(names, values, help)
        ->delimiter(',')
        ->type_name("N,...")
        ->check(cli::between(least, 1 << 20))
        ->group(kGroup);
  };
  list("-p,--prompts", options.prompts, 0, "Prefill this many tokens; 0 for none.")->default_str("512");
  list("-n,--generated", options.generated, 0, "Decode this many tokens; 0 for none.")->default_str("128");
  list("-d,--depths", options.depths, 0, "After this many tokens of context.")->default_str("0");
  list("-b,--batches", options.batches, 1, "This many sequences together.")->default_str("1");
  command.add_option("-r,--repetitions", options.repetitions, "Samples of each test.")
      ->type_name("N")
      ->capture_default_str()
      ->check(cli::between(1, 1000))
      ->group(kGroup);
  command.add_option("--format", options.format, "How to print the rows.")
      ->type_name("table|json|jsonl|csv|md|junit|html")
      ->capture_default_str()
      ->check(CLI::IsMember({"table", "json", "jsonl", "csv", "md", "junit", "html"}).description(""))
      ->group(kGroup);
  command
      .add_option("--out", options.out,
                  "Write the rows to this file too, in the format that its name ends in (else JSON).")
      ->type_name("FILE")
      ->group(kGroup);
  command
      .add_option("--vs", options.versus,
                  "Run this command in turn with the tests, and compare: it prints llama-bench's JSON.")
      ->type_name("COMMAND")
      ->group(kGroup);
  command
      .add_flag("--kernels", options.kernels,
                "Measure every kernel against the machine's limits; needs no model.")
      ->group(kGroup);
  command
      .add_option("--save-synthetic", options.save_synthetic,
                  "Write the synthetic model to a GGUF file, and stop.")
      ->type_name("FILE")
      ->group(kGroup);
  CLI::Option* baseline =
      command.add_option("--baseline", options.baseline, "Compare with the JSON rows of an earlier run.")
          ->type_name("FILE")
          ->group(kGroup);
  command
      .add_option("--max-slowdown", options.max_slowdown,
                  "Fail where a test is slower than the baseline by more, and surely slower at all.")
      ->capture_default_str()
      ->type_name("PERCENT")
      ->needs(baseline)
      ->group(kGroup);
}

int run_speed(const std::string& model, const SpeedOptions& options, kv::KvFormat kv_format,
              const cli::CommonOptions& common) {
  if (options.kernels) {
    cli::print(measure_kernels(common));
    return 0;
  }
  if (!options.save_synthetic.empty()) {
    if (!is_synthetic(model))
      throw Error(Errc::usage, "--save-synthetic needs a model like synthetic:llama-1b:Q4_0");
    save_synthetic(model, options.save_synthetic);
    return 0;
  }
  const std::vector<SpeedRow> rows = measure(model, options, kv_format, read_gate(options, common), common);
  const bool is_document = options.format == "html" || options.format == "junit";
  const bool print_table = is_document && !options.out.empty();
  cli::print(report_speed(rows, common.json ? "json" : print_table ? "table" : options.format, common));
  if (!options.out.empty())
    write_file_atomically(options.out, report_speed(rows, format_of(options), common));
  refuse_slowdowns(rows);
  return 0;
}

}  // namespace ruvllm::bench
