#include "quant/held_back.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/random.h"
#include "test_support.h"

#include <cmath>
#include <limits>

namespace ruvllm::quant {
namespace {

constexpr uint64_t kWidth = 256, kRows = 32;

/// A matrix in memory, and inputs of which every 32nd is large.
struct Memory {
  format::ModelFile model;
  std::vector<float> values;
  HeldBack held_back;
  std::vector<Choice> choices = {{Format::Q4_0, std::nullopt, true, false}};

  explicit Memory(Random& random) : values(kWidth * kRows) {
    for (float& value : values) value = static_cast<float>(random.normal());
    format::Tensor tensor;
    tensor.name = "blk.0.attn_q.weight";
    tensor.format = Format::F32;
    tensor.dimensions = {kWidth, kRows};
    tensor.bytes = std::as_bytes(std::span(values));
    model.tensors.push_back(tensor);
    model.index_tensors();
    HeldInputs inputs{kWidth, {}};
    for (size_t row = 0; row < 64; ++row)
      for (size_t i = 0; i < kWidth; ++i)
        inputs.rows.push_back(static_cast<float>(random.normal()) * (i % 32 == 0 ? 10.0f : 1.0f));
    held_back[tensor.name] = std::make_shared<const std::vector<HeldInputs>>(1, inputs);
  }
  const format::Tensor& tensor() const { return model.tensors[0]; }
  std::span<const HeldInputs> inputs() const { return *held_back.at(tensor().name); }
};

/// Importance of one tensor, columns 0, 32, 64 ... weighing `large`, others `small`.
Importance make_importance(const Memory& memory, float large, float small) {
  std::vector<float> weights(kWidth, small);
  for (size_t i = 0; i < kWidth; i += 32) weights[i] = large;
  Importance importance;
  importance.set(memory.tensor().name, weights);
  return importance;
}

}  // namespace

TEST_CASE("the error of outputs falls with the bits, and is nought where nothing is lost") {
  Random random(test::test_seed());
  const Memory memory(random);
  CHECK(output_error(memory.tensor(), memory.inputs(), {Format::F32}) == 0);
  double last = 0;
  for (const Format format : {Format::Q8_0, Format::Q5_0, Format::Q4_0, Format::Q2_K, Format::IQ1_S}) {
    const double error = output_error(memory.tensor(), memory.inputs(), {format});
    CHECK(error > last);
    CHECK(error < 1);
    last = error;
  }
}

TEST_CASE("what a format cannot hold is without bound, and what is no number is refused by name") {
  Random random(test::test_seed());
  Memory memory(random);
  memory.values[7] = 1e6f;
  CHECK(std::isinf(output_error(memory.tensor(), memory.inputs(), {Format::Q4_0})));
  memory.values[7] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH_AS(output_error(memory.tensor(), memory.inputs(), {Format::Q4_0}),
                       doctest::Contains("blk.0.attn_q.weight"), Error);
}

TEST_CASE("importance is kept where it lowers the error of outputs, and dropped where it raises it") {
  Random random(test::test_seed());
  const Memory memory(random);
  ThreadPool pool(2);
  const auto choose = [&](const Importance& importance) {
    return choose_importance(memory.model, memory.choices, importance, importance, memory.held_back,
                             kernels::Search::fast, pool, {});
  };
  CHECK_FALSE(choose(make_importance(memory, 100, 1)).of_row(memory.tensor(), 0).empty());
  CHECK(choose(make_importance(memory, 1, 100)).of_row(memory.tensor(), 0).empty());
  const Importance known = make_importance(memory, 1, 100);
  CHECK_FALSE(
      choose_importance(memory.model, memory.choices, known, known, {}, kernels::Search::fast, pool, {})
          .of_row(memory.tensor(), 0)
          .empty());
}

}  // namespace ruvllm::quant
