#include "quant/folding.h"

#include <doctest/doctest.h>

#include "base/random.h"
#include "test_support.h"

#include <cmath>
#include <string>
#include <vector>

namespace ruvllm::quant {
namespace {

constexpr uint64_t kWidth = 256;

/// A one-layer model in memory.
struct Memory {
  format::ModelFile model;
  std::vector<std::vector<float>> values;
  std::vector<Choice> choices;
  Importance importance;

  explicit Memory(Random& random, const std::vector<std::string>& more = {}) {
    model.metadata.set("general.architecture", std::string_view("llama"));
    model.metadata.set("llama.block_count", uint32_t{1});
    std::vector<std::string> names = {"attn_norm.weight", "ffn_norm.weight", "attn_q.weight",
                                      "attn_v.weight",    "ffn_gate.weight", "ffn_down.weight"};
    names.insert(names.end(), more.begin(), more.end());
    values.reserve(names.size());
    for (const std::string& name : names) {
      const bool is_vector = name.find("norm") != std::string::npos;
      values.emplace_back(is_vector ? kWidth : kWidth * 64);
      for (float& value : values.back()) value = static_cast<float>(random.normal());
      format::Tensor tensor;
      tensor.name = "blk.0." + name;
      tensor.format = Format::F32;
      tensor.dimensions = is_vector ? std::vector<uint64_t>{kWidth} : std::vector<uint64_t>{kWidth, 64};
      tensor.bytes = std::as_bytes(std::span(values.back()));
      model.tensors.push_back(tensor);
      choices.push_back({is_vector ? Format::F32 : Format::Q4_0, std::nullopt, !is_vector, false});
    }
    model.index_tensors();
    std::vector<float> weights(kWidth, 1.0f);
    for (size_t i = 0; i < kWidth; i += 32) weights[i] = 1000.0f;  // a few columns matter most
    for (const char* name : {"attn_q", "attn_v", "ffn_gate", "ffn_down"})
      importance.set("blk.0." + std::string(name) + ".weight", weights);
  }

  Folding fold(ThreadPool& pool) const {
    return choose_folding(model, choices, {importance, importance, {}}, pool, {});
  }
  std::span<const float> scales(const Folding& folding, const std::string& name) const {
    return folding.of_tensor(static_cast<size_t>(model.find("blk.0." + name) - model.tensors.data()));
  }
};

}  // namespace

TEST_CASE("a norm is divided by what its matrices are multiplied by, and nothing else is touched") {
  Random random(test::test_seed());
  const Memory memory(random);
  ThreadPool pool(2);
  const Folding folding = memory.fold(pool);
  REQUIRE_FALSE(folding.empty());
  const auto norm = memory.scales(folding, "attn_norm.weight"),
             query = memory.scales(folding, "attn_q.weight");
  REQUIRE(norm.size() == kWidth);
  REQUIRE(query.size() == kWidth);
  for (size_t i = 0; i < kWidth; ++i) {
    CHECK(norm[i] * query[i] == doctest::Approx(1.0));
    CHECK(memory.scales(folding, "attn_v.weight")[i] == query[i]);
  }
  CHECK(query[0] > query[1]);  // columns that matter are made larger
  CHECK(memory.scales(folding, "ffn_gate.weight").size() == kWidth);
  CHECK(memory.scales(folding, "ffn_down.weight").empty());
}

TEST_CASE("what is folded is rounded with less error where it matters") {
  Random random(test::test_seed());
  const Memory memory(random);
  ThreadPool pool(2);
  const Folding folding = memory.fold(pool);
  const auto error_with = [&](std::span<const float> scales) {
    const format::Tensor& tensor = *memory.model.find("blk.0.attn_q.weight");
    const std::vector<float>& values = memory.values[2];
    double error = 0;
    for (size_t row = 0; row < tensor.n_rows(); ++row) {
      const std::span<const float> importance = memory.importance.of_row(tensor, row);
      std::vector<float> scaled(kWidth), decoded(kWidth), weights(kWidth);
      std::vector<std::byte> blocks(tensor::row_bytes(Format::Q4_0, kWidth));
      for (size_t i = 0; i < kWidth; ++i) {
        const float scale = scales.empty() ? 1.0f : scales[i];
        scaled[i] = values[row * kWidth + i] * scale;
        weights[i] = importance[i] / (scale * scale);
      }
      kernels::active().encode[2](scaled.data(), weights.data(), kWidth, blocks.data(),
                                  kernels::Search::fast);
      kernels::active()[Format::Q4_0].decode(blocks.data(), decoded.data(), kWidth);
      for (size_t i = 0; i < kWidth; ++i)
        error += static_cast<double>(weights[i]) * std::pow(static_cast<double>(decoded[i] - scaled[i]), 2);
    }
    return error;
  };
  CHECK(error_with(memory.scales(folding, "attn_q.weight")) < 0.95 * error_with({}));
}

TEST_CASE("models whose norms feed something else, or have a bias, are left alone") {
  Random random(test::test_seed());
  ThreadPool pool(1);
  const Memory with_bias(random, {"attn_norm.bias"});
  CHECK(with_bias.scales(with_bias.fold(pool), "attn_q.weight").empty());
  const Memory experts(random, {"ffn_gate_inp.weight"});
  CHECK(experts.scales(experts.fold(pool), "ffn_gate.weight").empty());
  CHECK_FALSE(experts.scales(experts.fold(pool), "attn_q.weight").empty());
  const Memory two_norms(random, {"attn_norm_2.weight"});
  CHECK(two_norms.fold(pool).empty());
  Memory unknown(random);
  unknown.importance = Importance();
  CHECK(unknown.fold(pool).empty());
}

}  // namespace ruvllm::quant
