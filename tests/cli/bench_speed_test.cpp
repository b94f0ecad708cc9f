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
  CHECK(against("{}", "8").exit_code == 5);
  const Finished wrong = run({"bench", *model, "--baseline", out, "--max-slowdown", "much"});
  CHECK(wrong.exit_code == 2);
  CHECK(wrong.err.find("'much'") != std::string::npos);
}

TEST_CASE("reports of a comparison tell what slowed, whatever their format") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const TemporaryFolder folder;
  const std::string baseline = folder / "baseline.json";
  const auto report = [&](const std::vector<std::string>& more, int exit_code) {
    std::vector<std::string> arguments = {"bench", *model, "-p", "8,16", "-n", "0", "-r", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Finished finished = run(arguments);
    CHECK(finished.exit_code == exit_code);
    return finished.out;
  };
  Json rows = parse_json(report({"--json"}, 0), "bench");
  ruvllm::write_file_atomically(baseline, baseline_with(1e12, Json::array({rows[1]})));
  const auto compared = [&](const std::string& format) {
    return report({"--baseline", baseline, "--format", format}, 7);
  };
  rows = parse_json(compared("json"), "bench");
  CHECK(rows[1]["slowed"] == true);
  CHECK(rows[1]["baseline_tps"] == 1e12);
  CHECK_FALSE(rows[0].contains("slowed"));
  CHECK(compared("table").find("slower") != std::string::npos);
  const std::string junit = compared("junit");
  CHECK(junit.find("tests=\"2\" failures=\"1\"") != std::string::npos);
  CHECK(junit.find("<failure type=\"slowdown\" message=\"pp16 fell from") != std::string::npos);
  const std::string page = compared("html");
  CHECK(page.find("<svg") != std::string::npos);
  CHECK(page.find("class=\"slow\"") != std::string::npos);
}

TEST_CASE("-t takes a list, and --out the format of its ending") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const TemporaryFolder folder;
  const std::string page = folder / "page.html", rows_file = folder / "rows";
  const Finished finished =
      run({"bench", *model, "-p", "8", "-n", "0", "-r", "1", "-t", "1,2", "--json", "--out", page});
  REQUIRE(finished.exit_code == 0);
  const Json rows = parse_json(finished.out, "bench");
  REQUIRE(rows.size() == 2);
  CHECK(rows[0]["threads"] == 1);
  CHECK(rows[1]["threads"] == 2);
  CHECK(ruvllm::read_file(page, 1 << 20).starts_with("<!doctype html>"));
  REQUIRE(run({"bench", *model, "-p", "8", "-n", "0", "-r", "1", "--out", rows_file}).exit_code == 0);
  CHECK(parse_json(ruvllm::read_file(rows_file, 1 << 20), rows_file).size() == 1);
  CHECK(run({"bench", *model, "-t", "1,0"}).exit_code == 2);
}

TEST_CASE("another program runs once a sample, and pairs give ratios") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const TemporaryFolder folder;
  const std::string log = folder / "log";
  const std::string command =
      "echo x >> " + log + "; echo '[\nWARNING: slow!\n  {\"n_prompt\":8,\"n_gen\":0,\"avg_ts\":0.5}]'";
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
  CHECK(tensors.out.find("Q6_K") == std::string::npos);
  REQUIRE(run({"bench", "synthetic:llama-160m:Q4_K_M", "--save-synthetic", path}).exit_code == 0);
  CHECK(run({"inspect", "tensors", path, "--json"}).out.find("Q6_K") != std::string::npos);
  const Finished wrong = run({"bench", "synthetic:llama-9:Q4_0"});
  CHECK(wrong.exit_code == 2);
  CHECK(wrong.err.find("llama-160m") != std::string::npos);
}

TEST_CASE("every format prints the same rows") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  for (const char* format : {"table", "json", "jsonl", "csv", "md", "junit", "html"}) {
    const Finished finished = run({"bench", *model, "-p", "8", "-n", "2", "-r", "1", "--format", format});
    CAPTURE(std::string(format));
    CHECK(finished.exit_code == 0);
    CHECK(finished.out.find("pp8") != std::string::npos);
    CHECK(finished.out.find("tg2") != std::string::npos);
  }
}
