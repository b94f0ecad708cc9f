#include <doctest/doctest.h>

#include "base/json.h"
#include "cli/process.h"
#include "test_support.h"

using ruvllm::Json;
using ruvllm::parse_json;
using ruvllm::test::run;
using ruvllm::test::test_data;

TEST_CASE("info sums up a model") {
  const auto model = test_data("stories260K/stories260K.gguf");
  if (!model) return;
  const Json info = parse_json(run({"info", *model, "--json"}).out, "stdout");
  CHECK(info.at("architecture") == "llama");
  CHECK(info.at("layers") == 5);
  CHECK(info.at("heads") == 8);
  CHECK(info.at("kv_heads") == 4);
  CHECK(info.at("context") == 512);
  CHECK(info.at("vocabulary") == 512);
  CHECK(info.at("chat_template") == false);
  CHECK(info.at("runnable") == true);
  CHECK(info.at("types").at("F32").at("tensors") == 47);
  CHECK(info.at("bits_per_weight") == 32.0);
  // 5 layers, a key and a value of 4 heads of 8, 2 bytes each, for each of 512 tokens
  CHECK(info.at("memory").back().at("kv_bytes") == 5 * 2 * 4 * (8 * 2 + 4) * 512);
  CHECK(run({"info", *model}).out.find("260 thousand") != std::string::npos);
}

TEST_CASE("info says of a file without a model in it what it is, and that it can't be run") {
  const auto vocabulary = test_data("tokenizers/ggml-vocab-gpt-2.gguf");
  if (!vocabulary) return;
  const auto finished = run({"info", *vocabulary, "--json"});
  CHECK(finished.exit_code == 0);
  CHECK(parse_json(finished.out, "stdout").at("vocabulary") == 50257);
}

TEST_CASE("info without a model tells of the machine") {
  const Json info = parse_json(run({"info", "--json"}).out, "stdout");
  CHECK(info.at("threads").get<int>() >= 1);
  CHECK(info.at("memory_bytes").get<uint64_t>() >= info.at("available_bytes").get<uint64_t>());
  CHECK(info.at("fits").size() == 21);
  for (const Json& row : info.at("fits"))
    CHECK(row.at("fits").get<bool>() ==
          (row.at("bytes").get<uint64_t>() <= info.at("available_bytes").get<uint64_t>()));
}
