// ruvllm bench's speed rows, as a process: what they hold, gates, other programs, synthetic models. Never how
// fast.
#include <doctest/doctest.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/process.h"
#include "test_support.h"

#include <filesystem>
#include <string>

using ruvllm::Json;
using ruvllm::parse_json;
using ruvllm::test::Finished;
using ruvllm::test::run;
using ruvllm::test::TemporaryFolder;
using ruvllm::test::test_data;

namespace {

/// Rows of an earlier run, in which every test made `rate` tokens a second.
std::string baseline_with(double rate, const Json& rows) {
  Json before = rows;
  for (Json& row : before) {
    row["median_tps"] = rate;
    row["mad"] = 0.0;
  }
  return before.dump();
}

}  // namespace

TEST_CASE("a row a test, with as many samples as were asked for") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const Finished finished =
      run({"bench", *model, "-p", "8,16", "-n", "4", "-d", "0,32", "-b", "1,2", "-r", "3", "--json"});
  REQUIRE(finished.exit_code == 0);
  const Json rows = parse_json(finished.out, "bench");
  CHECK(rows.size() == 3 * 2 * 2);
  for (const Json& row : rows) {
    CHECK(row["samples_tps"].size() == 3);
    CHECK(row["median_tps"].get<double>() > 0);
    CHECK(row["pct_of_limit"].get<double>() > 0);
    CHECK(row["type"] == "F32");
    CHECK(row["bytes"] == std::filesystem::file_size(*model));
  }
  CHECK(rows[0]["test"] == "pp8");
  CHECK(rows[11]["test"] == "tg4@d32 b2");
}

TEST_CASE("a baseline that is missed ends with 7, one that is met with 0, one of other tests with 2") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const TemporaryFolder folder;
  const std::string out = folder / "rows.json", baseline = folder / "baseline.json";
  REQUIRE(run({"bench", *model, "-p", "8", "-n", "0", "-r", "2", "--out", out}).exit_code == 0);
  const Json rows = parse_json(ruvllm::read_file(out, 1 << 20), out);
  const auto against = [&](const std::string& text, const std::string& n_prompt) {
    ruvllm::write_file_atomically(baseline, text);
    return run({"bench", *model, "-p", n_prompt, "-n", "0", "-r", "2", "--baseline", baseline,
                "--max-slowdown", "50%"});
  };
  CHECK(against(baseline_with(1e12, rows), "8").exit_code == 7);
  CHECK(against(baseline_with(1e-6, rows), "8").exit_code == 0);
  CHECK(against(baseline_with(1e12, rows), "9").exit_code == 2);
}

TEST_CASE("another program runs once a sample, and pairs give ratios") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const TemporaryFolder folder;
  const std::string log = folder / "log";
  const std::string command = "echo x >> " + log + "; echo '[{\"n_prompt\":8,\"n_gen\":0,\"avg_ts\":0.5}]'";
  const Finished finished =
      run({"bench", *model, "-p", "8", "-n", "4", "-r", "2", "--vs", command, "--json"});
  REQUIRE(finished.exit_code == 0);
  const Json rows = parse_json(finished.out, "bench");
  CHECK(std::filesystem::file_size(log) == 4);
  CHECK(rows[0]["ratios"].size() == 2);
  CHECK(rows[0]["ratios"][1].get<double>() == doctest::Approx(rows[0]["samples_tps"][1].get<double>() / 0.5));
  CHECK_FALSE(rows[1].contains("ratios"));
  CHECK(run({"bench", *model, "-p", "8", "-r", "1", "--vs", "exit 3"}).exit_code == 1);
}

TEST_CASE("a synthetic model has a known shape, and can be saved for other programs") {
  const TemporaryFolder folder;
  const std::string path = folder / "synthetic.gguf";
  REQUIRE(run({"bench", "synthetic:llama-160m:Q4_0", "--save-synthetic", path}).exit_code == 0);
  const Finished tensors = run({"inspect", "tensors", path, "--json"});
  REQUIRE(tensors.exit_code == 0);
  CHECK(tensors.out.find("blk.11.ffn_down.weight") != std::string::npos);
  const Finished wrong = run({"bench", "synthetic:llama-9:Q4_0"});
  CHECK(wrong.exit_code == 2);
  CHECK(wrong.err.find("llama-160m") != std::string::npos);
}

TEST_CASE("every format prints the same rows") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  for (const char* format : {"table", "json", "jsonl", "csv", "md"}) {
    const Finished finished = run({"bench", *model, "-p", "8", "-n", "2", "-r", "1", "--format", format});
    CAPTURE(std::string(format));
    CHECK(finished.exit_code == 0);
    CHECK(finished.out.find("pp8") != std::string::npos);
    CHECK(finished.out.find("tg2") != std::string::npos);
  }
}
