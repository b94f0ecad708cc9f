#include <doctest/doctest.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/process.h"
#include "test_support.h"

#include <cmath>

using ruvllm::Json;
using ruvllm::parse_json;
using ruvllm::read_file;
using ruvllm::test::run;
using ruvllm::test::test_data;

TEST_CASE("perplexity of the reference text is the reference's within 1e-4, and gates hold it") {
  const auto model = test_data("stories260K/stories260K.gguf");
  const auto text = test_data("stories260K/stories-eval.txt");
  const auto reference = test_data("stories260K/ref/eval.json");
  if (!model || !text || !reference) return;
  const Json expected = parse_json(read_file(*reference, 1 << 26), "eval.json");
  const std::vector<std::string> words = {"bench", *model,      "--perplexity", *text,   "-c",
                                          "512",   "--kv-type", "f32",          "--json"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), words.begin(), words.end());
    return run(more);
  };
  const auto plain = run(words);
  CHECK(plain.exit_code == 0);
  const Json document = parse_json(plain.out, "stdout");
  CHECK(std::abs(document.at("perplexity").get<double>() / expected.at("perplexity").get<double>() - 1) <
        1e-4);
  CHECK(document.at("tokens") == expected.at("n_tokens"));
  CHECK(with({"--max-perplexity", "4.4"}).exit_code == 0);
  const auto missed = with({"--max-perplexity", "4.2"});
  CHECK(missed.exit_code == 7);
  CHECK(parse_json(missed.out, "stdout")
            .at("gate_missed")
            .get<std::string>()
            .starts_with("perplexity is 4.305"));
}

TEST_CASE("a model does not diverge from itself") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const ruvllm::test::TemporaryFolder folder;
  ruvllm::write_file_atomically(folder / "text", "Once upon a time, there was a little girl named Lily.");
  const auto finished = run(
      {"bench", *model, "--perplexity", folder / "text", "--kl-against", *model, "--max-kl", "0", "--json"});
  CHECK(finished.exit_code == 0);
  const Json document = parse_json(finished.out, "stdout");
  CHECK(document.at("mean_kl") == 0.0);
  CHECK(document.at("top1_agreement") == 1.0);
}
