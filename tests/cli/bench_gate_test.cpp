// ruvllm bench's gate on speed, as continuous integration reads it: a baseline that holds no figures is
// refused before anything is measured, a gate that is missed is one document, and every format tells the
// same.
#include <doctest/doctest.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/process.h"
#include "test_support.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

using ruvllm::Json;
using ruvllm::parse_json;
using ruvllm::test::Finished;
using ruvllm::test::run;
using ruvllm::test::TemporaryFolder;

namespace {

const std::vector<std::string> kBench = {"bench", "tiny", "-p", "8,16", "-n", "0", "-r", "3", "-t", "1"};

Finished bench(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = kBench;
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run(arguments);
}

/// The rows of one measurement, as a baseline.
const Json& rows() {
  static const Json measured = parse_json(bench({"--json"}).out, "bench");
  return measured;
}

/// Rows that are `factor` times as fast, samples and all.
Json faster(double factor) {
  Json before = rows();
  for (Json& row : before) {
    for (const char* name : {"median_tps", "min", "max"}) row[name] = factor * row[name].get<double>();
    for (Json& sample : row["samples_tps"]) sample = factor * sample.get<double>();
  }
  return before;
}

}  // namespace

TEST_CASE("a gate that is missed is one document of rows and verdicts, and exit 7") {
  const TemporaryFolder folder;
  const std::string baseline = folder / "before.json";
  ruvllm::write_file_atomically(baseline, faster(10).dump());
  const Finished finished = bench({"--baseline", baseline, "--json"});
  CHECK(finished.exit_code == 7);
  const Json seen = parse_json(finished.out, "stdout");
  REQUIRE(seen.size() == 2);
  for (const Json& row : seen) {
    CHECK(row["slowed"] == true);
    CHECK(row["gate_missed"].get<std::string>().find(" fell from ") != std::string::npos);
    CHECK(row["p_value"].get<double>() < 0.01);
    CHECK(row["samples_tps"].size() == 25);  // those of the second measurement, too
  }
  CHECK(finished.err.find("error: pp8 fell from") != std::string::npos);
  CHECK(finished.err.find("-r 3 with a baseline") != std::string::npos);
}

TEST_CASE("a median that was set by hand is what counts") {
  const TemporaryFolder folder;
  const std::string baseline = folder / "before.json";
  Json before = rows();
  for (Json& row : before) row["median_tps"] = 10 * row["median_tps"].get<double>();
  ruvllm::write_file_atomically(baseline, before.dump());
  CHECK(bench({"--baseline", baseline}).exit_code == 7);
}

TEST_CASE("a baseline that is as fast, or slower, is met, whatever one sample was") {
  const TemporaryFolder folder;
  const std::string baseline = folder / "before.json";
  Json before = faster(0.25);
  ruvllm::write_file_atomically(baseline, before.dump());
  const Finished met = bench({"--baseline", baseline, "-r", "5", "--json"});
  CHECK(met.exit_code == 0);
  CHECK(met.err.empty());
  const Json seen = parse_json(met.out, "stdout");
  CHECK(seen[0]["slowed"] == false);
  CHECK_FALSE(seen[0].contains("gate_missed"));
  // A row that the baseline lacks is not compared, and said to be.
  before.erase(1);
  ruvllm::write_file_atomically(baseline, before.dump());
  const Finished partly = bench({"--baseline", baseline, "-r", "5"});
  CHECK(partly.exit_code == 0);
  CHECK(partly.err.find("pp16 on 1 threads") != std::string::npos);
}

TEST_CASE("a baseline row without figures is malformed, and told with its file, row and field") {
  const TemporaryFolder folder;
  const std::string baseline = folder / "before.json";
  struct Case {
    std::function<void(Json& row)> spoil;
    std::string finding;
  };
  const auto put = [](const char* name, Json value) {
    return [name, value](Json& row) { row[name] = value; };
  };
  const std::vector<Case> cases = {
      {put("median_tps", nullptr), "median_tps is null, expected a number above 0"},
      {put("median_tps", "NaN"), "median_tps is \"NaN\""},
      {put("median_tps", 0), "median_tps is 0"},
      {put("median_tps", -3.5), "median_tps is -3.5"},
      {put("median_tps", true), "median_tps is true"},
      {put("samples_tps", nullptr), "samples_tps is null"},
      {put("samples_tps", Json::array()), "samples_tps is []"},
      {put("samples_tps", {1.0, nullptr}), "samples_tps is null"},
      {put("samples_tps", {1.0, 0}), "samples_tps is 0"},
      {put("samples_tps", 3), "samples_tps is 3"},
      {put("threads", "1"), "threads is \"1\""},
      {put("model", 7), "model is 7"},
      {put("isa", nullptr), "isa is null"},
      {[](Json& row) { row.erase("median_tps"); }, "there is no median_tps"},
      {[](Json& row) { row.erase("samples_tps"); }, "there is no samples_tps"},
      {[](Json& row) { row.erase("test"); }, "there is no test"},
      {[](Json& row) { row = "pp16"; }, "this is \"pp16\""},
  };
  for (const auto& [spoil, finding] : cases) {
    Json before = rows();
    spoil(before[1]);
    ruvllm::write_file_atomically(baseline, before.dump());
    const Finished finished = bench({"--baseline", baseline});
    CAPTURE(finished.err);
    CHECK(finished.exit_code == 5);
    CHECK(finished.out.empty());
    CHECK(finished.err.find("before.json: row 2") != std::string::npos);
    CHECK(finished.err.find(finding) != std::string::npos);
  }
  ruvllm::write_file_atomically(baseline, "[]");
  CHECK(bench({"--baseline", baseline}).exit_code == 5);
}

TEST_CASE("a bound that no loss can pass is refused") {
  const TemporaryFolder folder;
  const std::string baseline = folder / "before.json";
  ruvllm::write_file_atomically(baseline, rows().dump());
  for (const char* bound : {"100%", "nan", "-1", "inf%"})
    CHECK(bench({"--baseline", baseline, "--max-slowdown", bound}).exit_code == 2);
}

TEST_CASE("an error behind the rows leaves them the one document") {
  const Finished finished = bench({"--json", "--out", "/proc/self/rows.json"});
  CHECK(finished.exit_code != 0);
  CHECK(parse_json(finished.out, "stdout").size() == 2);
  CHECK(finished.err.find("error:") != std::string::npos);
}

TEST_CASE("a bar in a model's name is no cell of its own") {
  const TemporaryFolder folder;
  const std::string path = folder / "a|b\\.gguf";
  std::filesystem::copy_file(std::filesystem::path(RUVLLM_SOURCE_DIR) / "models/tiny.gguf", path);
  const Finished finished =
      run({"bench", path, "-p", "8", "-n", "0", "-r", "1", "-t", "1", "--format", "md"});
  REQUIRE(finished.exit_code == 0);
  CHECK(finished.out.find("| a\\|b\\\\.gguf |") != std::string::npos);
}
