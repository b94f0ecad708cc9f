#include "engine/calibrate.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/file.h"
#include "test_support.h"

#include <cmath>
#include <set>

namespace ruvllm::engine {
namespace {

struct Loaded {
  explicit Loaded(const std::filesystem::path& path, int n_threads = 2) : pool(n_threads) {
    file = format::open_model_file(path);
    tokenizer = text::make_tokenizer(*file);
    model = model::Model::load(file, pool);
  }
  format::ImatrixFile collect(std::string_view text, uint32_t context) {
    CalibrationOptions options;
    options.context = context;
    return calibrate(model, *file, *tokenizer, pool, text, options).whole;
  }

  ThreadPool pool;
  std::shared_ptr<const format::ModelFile> file;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::shared_ptr<const model::Model> model;
};

}  // namespace

TEST_CASE("every matrix that a text passes through gets a weight for each column") {
  for (const char* name :
       {"stories260K/stories260K.gguf", "tiny/phi3.gguf", "tiny/llama-moe.gguf", "tiny/qwen2moe.gguf"}) {
    const auto path = test::test_data(name);
    if (!path) return;
    CAPTURE(std::string(name));
    Loaded loaded(*path);
    const format::ImatrixFile importance =
        loaded.collect("Once upon a time there was a little girl. She liked to play.", 16);
    CHECK(importance.n_chunks >= 2);
    std::set<std::string> missing;
    for (const format::Tensor& tensor : loaded.file->tensors) {
      if (tensor.dimensions.size() < 2 || tensor.name.find("norm") != std::string::npos ||
          tensor.name.starts_with("token_embd") || tensor.name.find("gate_inp") != std::string::npos)
        continue;
      const auto entry = importance.entries.find(tensor.name);
      if (entry == importance.entries.end()) {
        missing.insert(tensor.name);
        continue;
      }
      CHECK(entry->second.n_columns() == tensor.n_columns());
      for (const float mean : entry->second.means()) CHECK(std::isfinite(mean));
    }
    CHECK(missing.empty());
  }
}

TEST_CASE("normed inputs have the mean square that their norm gives them") {
  const auto path = test::test_data("stories260K/stories260K.gguf");
  if (!path) return;
  Loaded loaded(*path);
  const auto importance = loaded.collect("Once upon a time", 64);
  // The input of the first query is x / rms(x) * norm weight: over all columns, mean of (value / weight)^2
  // is 1.
  const format::Tensor& norm = *loaded.file->find("blk.0.attn_norm.weight");
  std::vector<float> weights(norm.n_values());
  std::memcpy(weights.data(), norm.bytes.data(), norm.bytes.size());
  const std::vector<float> means = importance.entries.at("blk.0.attn_q.weight").means();
  double sum = 0;
  for (size_t i = 0; i < means.size(); ++i) sum += static_cast<double>(means[i] / (weights[i] * weights[i]));
  CHECK(sum / static_cast<double>(means.size()) == doctest::Approx(1.0).epsilon(0.01));
}

TEST_CASE("what is gathered doesn't depend on the number of threads") {
  const auto path = test::test_data("stories260K/stories260K.gguf");
  if (!path) return;
  const std::string text = "One day, Tim and his dog went to the park.";
  const auto one = Loaded(*path, 1).collect(text, 8), three = Loaded(*path, 3).collect(text, 8);
  for (const auto& [name, entry] : one.entries) CHECK(three.entries.at(name).sums == entry.sums);
}

TEST_CASE("the diagonal of X^T X is the sums of squares") {
  const auto path = test::test_data("stories260K/stories260K.gguf");
  if (!path) return;
  Loaded loaded(*path);
  const std::string text = "One day, Tim and his dog went to the park.";
  CalibrationOptions options;
  options.context = 16;
  const auto sums = loaded.collect(text, 16);
  const auto hessians = collect_hessians(loaded.model, *loaded.file, *loaded.tokenizer, loaded.pool, text,
                                         options, {"blk.2.attn_q.weight", "blk.3.ffn_down.weight", "absent"});
  REQUIRE(hessians.size() == 2);
  for (const auto& [name, hessian] : hessians) {
    const std::vector<float>& squares = sums.entries.at(name).sums;
    REQUIRE(squares.size() == hessian.n_columns);
    for (size_t i = 0; i < squares.size(); ++i) {
      CHECK(hessian.sums[i * hessian.n_columns + i] == doctest::Approx(squares[i]).epsilon(1e-4));
      CHECK(hessian.sums[i] == doctest::Approx(hessian.sums[i * hessian.n_columns]).epsilon(1e-4));
    }
  }
}

TEST_CASE("a text without tokens is a usage error") {
  const auto path = test::test_data("stories260K/stories260K.gguf");
  if (!path) return;
  Loaded loaded(*path);
  CHECK_THROWS_AS(loaded.collect("", 16), Error);
}

}  // namespace ruvllm::engine
