// Files that quantize and train-qat write from a folder and from GGUF can be used as what they came from.
#include <doctest/doctest.h>

#include "base/file.h"
#include "base/json.h"
#include "cli/process.h"
#include "cli/small_folder.h"
#include "format/model_file.h"
#include "test_support.h"

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

using ruvllm::Json;
using ruvllm::parse_json;
using ruvllm::test::Finished;
using ruvllm::test::run;
using ruvllm::test::TemporaryFolder;
namespace format = ruvllm::format;

namespace {

Json answer(const std::string& model) {
  const Finished finished = run({"chat", model, "-p", "the cat, the <|im_end|> 12", "--system", "Be brief.",
                                 "-n", "8", "--temp", "0", "--kv-type", "f32", "--json"});
  CAPTURE(finished.err);
  REQUIRE(finished.exit_code == 0);
  const Json json = parse_json(finished.out, "answer");
  return {{"text", json["text"]}, {"tokens", json["tokens"]}, {"prompt", json["usage"]["prompt_tokens"]}};
}

}  // namespace

TEST_CASE("a folder becomes a GGUF file that answers as the folder does") {
  const TemporaryFolder folder;
  const std::string model = folder / "model", output = folder / "out.gguf", again = folder / "again.gguf";
  ruvllm::test::write_small_folder(model);
  const Finished finished = run({"quantize", model, output, "--type", "F32"});
  CAPTURE(finished.err);
  REQUIRE(finished.exit_code == 0);
  REQUIRE(run({"quantize", output, again, "--type", "F32"}).exit_code == 0);
  const Json expected = answer(model);
  CHECK(answer(output) == expected);
  CHECK(answer(again) == expected);

  const auto written = format::open_model_file(output);
  const format::Metadata& metadata = written->metadata;
  CHECK(metadata.array("tokenizer.ggml.tokens", format::ValueType::string)->n_elements ==
        ruvllm::test::kSmallRows);
  CHECK(metadata.string("tokenizer.chat_template.rag") == "{{ documents }}");
  CHECK(metadata.array("tokenizer.chat_templates", format::ValueType::string)->strings[0] == "rag");
  CHECK(*metadata.find("general.sampling.top_k") == format::MetadataValue(int32_t{20}));
  CHECK(*metadata.find("llama.vocab_size") ==
        format::MetadataValue(static_cast<uint32_t>(ruvllm::test::kSmallRows)));
  for (const format::Tensor& tensor : written->tensors) CHECK(tensor.file_offset % 32 == 0);
}

TEST_CASE("training from a folder writes a file that chats") {
  const TemporaryFolder folder;
  const std::string model = folder / "model", output = folder / "out.gguf", data = folder / "data.txt";
  ruvllm::test::write_small_folder(model);
  ruvllm::write_file_atomically(data, std::string("the cat sat on the mat. the end.\n"));
  const Finished finished = run({"train-qat", model, "--data", data, "--target", "Q8_0", "--out", output,
                                 "--epochs", "1", "--lr", "1e-9"});
  CAPTURE(finished.err);
  REQUIRE(finished.exit_code == 0);
  CHECK(answer(output)["prompt"] == answer(model)["prompt"]);
}

TEST_CASE("a new model takes over the tokenizer of a folder") {
  const TemporaryFolder folder;
  const std::string model = folder / "model", output = folder / "out.gguf", data = folder / "data.txt";
  ruvllm::test::write_small_folder(model);
  ruvllm::write_file_atomically(data, std::string("the cat sat on the mat. the end.\n"));
  ruvllm::write_file_atomically(
      folder / "shape.json", std::string(R"({"block_count": 1, "embedding_length": 64, "context_length": 64,
      "feed_forward_length": 96, "attention.head_count": 4, "attention.layer_norm_rms_epsilon": 1e-5})"));
  const Finished finished = run({"train-qat", "--from-scratch", folder / "shape.json", "--tokenizer", model,
                                 "--data", data, "--target", "Q8_0", "--out", output, "--epochs", "1"});
  CAPTURE(finished.err);
  REQUIRE(finished.exit_code == 0);
  CHECK(answer(output)["prompt"] == answer(model)["prompt"]);
}

TEST_CASE("a folder without a tokenizer is quantised, with a word that its file reads no text") {
  const TemporaryFolder folder;
  const std::string model = folder / "model", output = folder / "out.gguf";
  ruvllm::test::write_small_folder(model);
  std::filesystem::remove(folder.path() / "model" / "tokenizer.json");
  const Finished finished = run({"quantize", model, output, "--type", "Q8_0"});
  CHECK(finished.exit_code == 0);
  CHECK(finished.err.find("will read no text") != std::string::npos);
}

TEST_CASE("a tokenizer that can't be read stops quantize before anything is written") {
  const TemporaryFolder folder;
  const std::string model = folder / "model", output = folder / "out.gguf";
  ruvllm::test::write_small_folder(model);
  ruvllm::write_file_atomically(folder.path() / "model" / "tokenizer.json", std::string(R"({"model": 1})"));
  const Finished finished = run({"quantize", model, output, "--type", "Q8_0"});
  CHECK(finished.exit_code == 5);
  CHECK(finished.err.find("tokenizer.json") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(output));
}

TEST_CASE("a shard as input gives a whole model's name, and a type is no output") {
  const TemporaryFolder folder;
  const std::string model = folder / "model", split = folder / "m-F32.gguf";
  ruvllm::test::write_small_folder(model);
  REQUIRE(run({"quantize", model, split, "--type", "F32", "--split-max-size", "100K"}).exit_code == 0);
  std::vector<std::string> shards;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    if (entry.path().filename().string().starts_with("m-F32-00001-of-")) shards.push_back(entry.path());
  REQUIRE(shards.size() == 1);
  REQUIRE(run({"quantize", shards[0], "--type", "Q8_0"}).exit_code == 0);
  CHECK(std::filesystem::exists(folder / "m-Q8_0.gguf"));

  const Finished refused = run({"quantize", shards[0], "q4_k_m"});
  CHECK(refused.exit_code == 2);
  CHECK(refused.err.find("--type q4_k_m") != std::string::npos);
}
