#include "train/calibrate.h"

#include "engine/calibrate.h"
#include "format/model_file.h"
#include "test_support.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace ruvllm;
using namespace ruvllm::train;

namespace {

BatchMaker batches_of(const std::vector<int32_t>& tokens) {
  Document document;
  document.tokens = tokens;
  document.is_target.assign(tokens.size(), 1);
  return BatchMaker({document}, 64, 64, 1);
}

}  // namespace

TEST_CASE("training sees the importance that inference sees") {
  for (const char* model_name : {"stories260K/stories260K.gguf", "tiny/llama-moe.gguf"}) {
    CAPTURE(model_name);
    const auto path = test::test_data(model_name);
    if (!path) return;
    const auto file = format::open_model_file(*path);
    const auto tokenizer = text::make_tokenizer(*file);
    ThreadPool pool(2);
    const std::string text = "Once upon a time there was a little girl. She liked to play.";
    std::vector<int32_t> tokens = {*tokenizer->bos()};
    for (const int32_t token : tokenizer->encode(text, {.add_special = false})) tokens.push_back(token);
    tokens.push_back(tokens.back());  // a target for the last, which is no input

    Network network(*file);
    BatchMaker batches = batches_of(tokens);
    const Calibration ours = calibrate(network, batches, 1000, pool);
    CHECK(ours.record.n_tokens == tokens.size() - 1);
    CHECK(ours.record.n_documents == 1);
    CHECK(ours.record.data_sha256.size() == 64);

    const auto model = model::Model::load(file, pool);
    engine::CalibrationOptions options;
    options.context = 64;
    const format::ImatrixFile theirs = engine::calibrate(model, *file, *tokenizer, pool, text, options).whole;
    CHECK(ours.importance.n_tensors() == theirs.entries.size() + 1);  // and the head, tied to the embedding
    for (const auto& [name, entry] : theirs.entries) {
      CAPTURE(name);
      const auto found = ours.importance.tensors().find(name);
      REQUIRE(found != ours.importance.tensors().end());
      quant::Importance without_unit;
      without_unit.set(name, entry.means());
      const std::span<const float> means = without_unit.tensors().at(name);
      double difference = 0, size = 0;
      for (size_t i = 0; i < means.size(); ++i) {
        difference += std::abs(static_cast<double>(means[i] - found->second[i]));
        size += static_cast<double>(means[i]);
      }
      CHECK(difference < 0.02 * size);  // inference rounds activations
    }
  }
}

TEST_CASE("the record tells data apart") {
  const std::vector<int32_t> tokens = {1, 2, 3, 4, 5};
  CHECK(batches_of(tokens).sha256() == batches_of(tokens).sha256());
  CHECK(batches_of(tokens).sha256() != batches_of({1, 2, 3, 4, 6}).sha256());
}
