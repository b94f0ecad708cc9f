#include "train/lora.h"

#include "base/error.h"
#include "format/model_file.h"
#include "test_support.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace ruvllm;
using namespace ruvllm::train;

namespace {

Batch some_batch() {
  Batch batch;
  batch.tokens = {1, 403, 407, 261, 378};
  batch.targets = {403, 407, 261, 378, 31};
  batch.starts = {0, 5};
  return batch;
}

std::vector<float> logits_of(Network& network, const Network::WeightHook& hook, ThreadPool& pool) {
  Tape<float> tape(pool);
  const NetworkOutput output = network.forward(tape, some_batch(), hook);
  return {tape.value(output.logits).begin(), tape.value(output.logits).end()};
}

void scramble(Adapter& adapter) {
  for (Parameter<float>* parameter : adapter.trained())
    for (size_t i = 0; i < parameter->value.size(); ++i)
      parameter->value[i] =
          0.02f * std::sin(static_cast<float>(i) + static_cast<float>(parameter->name.size()));
}

}  // namespace

TEST_CASE(
    "adapters begin as nothing, add alpha / r B A, and are the same merged, separate and read from a file") {
  const auto path = test::test_data("stories260K/stories260K.gguf");
  if (!path) return;
  const auto file = format::open_model_file(*path);
  ThreadPool pool(2);
  Network plain(*file), merged(*file), separate(*file);
  const std::vector<float> before = logits_of(plain, {}, pool);
  Adapter one(merged, 3, AdapterUse::merged, 7), other(separate, 3, AdapterUse::separate, 7);
  CHECK(logits_of(merged, one.hook({}), pool) == before);
  CHECK(logits_of(separate, other.hook({}), pool) == before);
  for (const auto& parameter : merged.parameters()) CHECK(parameter->is_frozen());

  scramble(one);
  scramble(other);
  const std::vector<float> changed = logits_of(separate, other.hook({}), pool);
  CHECK(changed != before);
  CHECK(logits_of(separate, {}, pool) == before);
  CHECK(logits_of(merged, one.hook({}), pool) == changed);
  one.merge(pool);
  CHECK(logits_of(merged, {}, pool) == changed);

  // By hand, one value of one matrix.
  const Parameter<float>& weight = *merged.find("blk.1.ffn_up.weight");
  const float was = plain.find("blk.1.ffn_up.weight")->value[5 * weight.shape.n_columns + 2];
  double sum = 0;
  for (Parameter<float>* a : one.trained())
    for (Parameter<float>* b : one.trained())
      if (a->name == "blk.1.ffn_up.weight.lora_a" && b->name == "blk.1.ffn_up.weight.lora_b")
        for (size_t i = 0; i < 3; ++i)
          sum += static_cast<double>(b->value[5 * 3 + i]) * static_cast<double>(a->value[2 * 3 + i]);
  CHECK(weight.value[5 * weight.shape.n_columns + 2] == doctest::Approx(static_cast<double>(was) + 2 * sum));

  const test::TemporaryFolder folder;
  other.write(file->metadata, folder / "adapter.gguf");
  const auto written = format::open_model_file(folder / "adapter.gguf");
  CHECK(written->metadata.string("general.type") == "adapter");
  CHECK(written->metadata.number("adapter.lora.alpha") == 6.0);
  const format::Tensor* a = written->find("blk.0.attn_q.weight.lora_a");
  REQUIRE(a);
  CHECK(a->dimensions == std::vector<uint64_t>{64, 3});
  Adapter read(plain, *written);
  CHECK(logits_of(plain, read.hook({}), pool) == changed);
  CHECK_THROWS_AS(Adapter(plain, *file), Error);
}
