// Grids: which format holds them, how steps are shared, and that what is evaluated is what is stored.
#include "train/qat.h"

#include "base/error.h"
#include "base/random.h"
#include "quant/recipe.h"
#include "tensor/ops.h"
#include "test_support.h"
#include "train/fresh_model.h"

#include <doctest/doctest.h>

#include <cmath>
#include <optional>

using namespace ruvllm;
using namespace ruvllm::train;
using tensor::Format;

namespace {

std::vector<float> random_weights(size_t n, uint64_t seed) {
  Random random(seed);
  std::vector<float> weights(n);
  for (float& w : weights) w = static_cast<float>(0.05 * random.normal());
  return weights;
}

std::vector<float> decode(Format format, const std::vector<std::byte>& blocks, const Shape& shape) {
  std::vector<float> values(shape.n_values());
  tensor::decode_rows(format, tensor::default_grid(format), shape.n_columns, blocks, values);
  return values;
}

QatOptions qat_options(bool learned, std::optional<GranularityOption> granularity) {
  QatOptions options;
  options.enabled = true;
  options.learned_steps = learned;
  options.granularity = granularity;
  return options;
}

// A network of two layers whose rows divide into every format's blocks, and its metadata.
struct Model {
  ModelShape shape;
  std::unique_ptr<Network> network;

  explicit Model(size_t width) {
    const Json json = {{"architecture", "llama"},   {"block_count", 2},
                       {"embedding_length", width}, {"feed_forward_length", 2 * width},
                       {"attention.head_count", 4}, {"attention.head_count_kv", 2},
                       {"context_length", 64},      {"attention.layer_norm_rms_epsilon", 1e-5},
                       {"vocab_size", 300}};
    shape = read_model_shape(json, "shape");
    format::ModelFile file;
    file.metadata = shape.metadata;
    file.metadata.set("llama.vocab_size", uint32_t{300});
    shape.metadata = file.metadata;
    network = std::make_unique<Network>(file, shape.tied_head, test::test_seed());
  }

  TypePlan plan(std::string_view target, bool pure = false) const {
    quant::Recipe recipe;
    recipe.mix = &quant::find_mix(target);
    recipe.pure = pure;
    return plan_types(*network, shape.metadata, recipe);
  }
  Format type_of(const TypePlan& types, std::string_view name) const {
    for (size_t i = 0; i < types.size(); ++i)
      if (network->parameters()[i]->name == name) return types[i];
    return Format::F32;
  }
};

constexpr Format kUniformFormats[] = {Format::PIQ2_32, Format::PIQ3_64, Format::PIQ3_32,
                                      Format::Q4_0,    Format::Q5_0,    Format::Q8_0};

}  // namespace

TEST_CASE("mixes are those of quantize: same types, same fall-backs, norms in F32") {
  const Model large(256), small(64);
  const TypePlan mix = large.plan("Q3_K_M");
  CHECK(large.type_of(mix, "blk.0.attn_v.weight") == Format::Q5_K);
  CHECK(large.type_of(mix, "blk.0.ffn_up.weight") == Format::Q3_K);
  CHECK(large.type_of(mix, "token_embd.weight") == Format::Q6_K);  // it makes the logits, too
  CHECK(large.type_of(mix, "blk.1.ffn_norm.weight") == Format::F32);
  CHECK(large.type_of(large.plan("Q3_K_M", true), "token_embd.weight") == Format::Q3_K);
  CHECK(small.type_of(small.plan("Q3_K_S"), "blk.0.ffn_up.weight") == Format::IQ4_NL);
  CHECK(small.type_of(small.plan("Q3_K_S"), "token_embd.weight") == Format::Q8_0);
}

TEST_CASE("it is told which matrices get another type than the one that was asked for") {
  const auto told = [](const Model& model, const char* target) {
    quant::Recipe recipe;
    recipe.mix = &quant::find_mix(target);
    recipe.pure = true;
    return fall_backs(*model.network, model.shape.metadata, recipe);
  };
  const std::vector<std::string> small = told(Model(64), "Q2_K");
  REQUIRE(small.size() == 2);  // the embedding, which makes the logits, keeps more
  CHECK(small[0] == "14 matrices have rows that blocks of Q2_K don't divide: they become IQ4_NL");
  CHECK(told(Model(256), "Q2_K").empty());
}

TEST_CASE("a uniform grid is packed to step * integer, with the step that each block's group has") {
  const Shape shape{6, 128};
  const std::vector<float> weights = random_weights(shape.n_values(), test::test_seed());
  ThreadPool pool(2);
  for (const Format format : kUniformFormats) {
    const UniformFormat& uniform = *find_uniform(format);
    for (const char* name : {"tensor", "channel", "block", "block:64"}) {
      CAPTURE(std::string(name));
      const StepLayout layout = step_layout("blk.0.ffn_up.weight", shape, uniform, parse_granularity(name));
      const std::vector<float> steps = search_steps(weights, layout, uniform, {}, pool);
      std::vector<std::byte> blocks(tensor::row_bytes(format, shape.n_columns) * shape.n_rows);
      pack_uniform(weights, layout, uniform, tensor::default_grid(format), steps, blocks, pool);
      const std::vector<float> values = decode(format, blocks, shape);
      for (size_t i = 0; i < values.size(); ++i) {
        const float step = steps[layout.step_of(i / shape.n_columns, i % shape.n_columns)];
        const float integer = std::nearbyint(values[i] / step);
        CHECK(integer >= static_cast<float>(uniform.least()));
        CHECK(integer <= static_cast<float>(uniform.most()));
        CHECK(std::abs(values[i] - step * integer) <= 1e-3f * std::abs(values[i]));
        const float wanted = std::clamp(weights[i] / step, static_cast<float>(uniform.least()),
                                        static_cast<float>(uniform.most()));
        CHECK(std::abs(integer - wanted) <= 0.501f + 1e-3f * std::abs(wanted));
      }
    }
  }
}

TEST_CASE("searched steps err less than the widest, and important columns less than others") {
  const Shape shape{4, 256};
  const std::vector<float> weights = random_weights(shape.n_values(), test::test_seed());
  ThreadPool pool(1);
  const UniformFormat& uniform = *find_uniform(Format::Q4_0);
  const StepLayout layout = step_layout("x", shape, uniform, {Granularity::channel});
  std::vector<float> importance(shape.n_columns, 1e-3f);
  importance[7] = 1e3f;
  const auto error = [&](const std::vector<float>& steps, size_t column) {
    std::vector<std::byte> blocks(tensor::row_bytes(Format::Q4_0, shape.n_columns) * shape.n_rows);
    pack_uniform(weights, layout, uniform, {}, steps, blocks, pool);
    const std::vector<float> values = decode(Format::Q4_0, blocks, shape);
    double sum = 0;
    for (size_t i = 0; i < values.size(); ++i)
      if (column == SIZE_MAX || i % shape.n_columns == column)
        sum += static_cast<double>((values[i] - weights[i]) * (values[i] - weights[i]));
    return sum;
  };
  const std::vector<float> searched = search_steps(weights, layout, uniform, {}, pool);
  std::vector<float> widest(shape.n_rows);
  for (size_t row = 0; row < shape.n_rows; ++row)
    for (size_t i = 0; i < shape.n_columns; ++i)
      widest[row] = std::max(widest[row], std::abs(weights[row * shape.n_columns + i]) / 7.5f);
  CHECK(error(searched, SIZE_MAX) < error(widest, SIZE_MAX));
  CHECK(error(search_steps(weights, layout, uniform, importance, pool), 7) <= error(searched, 7));
}

TEST_CASE("granularity decides how many steps there are") {
  Model model(64);
  ThreadPool pool(2);
  const auto n_steps = [&](const char* granularity) {
    const QatOptions options = qat_options(true, parse_granularity(granularity));
    FakeQuantiser quantiser(*model.network, model.plan("Q4_0", true), {}, {}, options, pool);
    size_t n = 0;
    for (const Parameter<float>* learned : quantiser.learned()) n += learned->value.size();
    return n;
  };
  size_t n_matrices = 0, n_rows = 0, n_blocks = 0;
  for (const auto& parameter : model.network->parameters()) {
    if (parameter->shape.n_rows == 1) continue;
    ++n_matrices;
    n_rows += parameter->shape.n_rows;
    n_blocks += parameter->shape.n_values() / 32;
  }
  CHECK(n_steps("tensor") == n_matrices);
  CHECK(n_steps("channel") == n_rows);
  CHECK(n_steps("token") == n_matrices - 1 + 300);
  CHECK(n_steps("block:32") == n_blocks);
  CHECK(n_steps("block") == n_blocks);
  for (const char* wrong : {"", "row", "block:0", "block:33", "block:x", "channel:2"})
    CHECK_THROWS_AS(parse_granularity(wrong), Error);
  CHECK_THROWS_AS(FakeQuantiser(*model.network, model.plan("IQ4_NL", true), {}, {},
                                qat_options(true, std::nullopt), pool),
                  Error);
}

TEST_CASE("what a forward pass sees is what the file will hold") {
  Model model(64);
  ThreadPool pool(2);
  const TypePlan types = model.plan("Q4_0", true);
  for (const bool learned : {false, true}) {
    const QatOptions options = qat_options(learned, parse_granularity("channel"));
    FakeQuantiser quantiser(*model.network, types, {}, {}, options, pool);
    quantiser.refresh();
    Tape<float> tape(pool);
    for (size_t i = 0; i < types.size(); ++i) {
      Parameter<float>& parameter = *model.network->parameters()[i];
      const Var seen = quantiser.hook()(tape, parameter.name, tape.parameter(parameter));
      if (types[i] == Format::F32) {
        CHECK(tape.value(seen).data() == parameter.value.data());
        continue;
      }
      std::vector<std::byte> blocks(tensor::row_bytes(types[i], parameter.shape.n_columns) *
                                    parameter.shape.n_rows);
      REQUIRE(quantiser.encode(i, blocks));
      const std::vector<float> stored = decode(types[i], blocks, parameter.shape);
      CHECK(std::equal(stored.begin(), stored.end(), tape.value(seen).begin()));
      quantiser.set_active(false);  // in full precision while it warms up
      CHECK(tape.value(quantiser.hook()(tape, parameter.name, tape.parameter(parameter))).data() ==
            parameter.value.data());
      quantiser.set_active(true);
    }
    for (const auto& error : quantiser.errors()) CHECK((error.relative > 0 && error.relative < 0.3));
  }
}

TEST_CASE("learned levels rise, go into the file as they were evaluated, and come back from a snapshot") {
  Model model(64);
  ThreadPool pool(2);
  const TypePlan types = model.plan("PIQ3", true);
  format::OwnFormats own;
  const std::string name = "blk.0.ffn_up.weight";
  own.codebooks[name] = {-127, -80, -45, -14, 14, 45, 80, 127};
  FakeQuantiser quantiser(*model.network, types, {}, own, qat_options(false, std::nullopt), pool);
  const auto learned = quantiser.learned();
  REQUIRE(learned.size() == 1);
  REQUIRE(learned[0]->value.size() == 8);
  CHECK(std::abs(learned[0]->value[7] - 1.0f) < 1e-6f);
  quantiser.refresh();
  const FakeQuantiser::Snapshot before = quantiser.snapshot();

  learned[0]->value = {-2.0f, -0.5f, -0.5f, -0.1f, 0.2f, 0.1f, 0.9f, 3.0f};  // too far, equal, crossed
  quantiser.refresh();
  format::OwnFormats told = own;
  quantiser.describe(told);
  CHECK(told.codebooks[name] == format::OwnFormats::Levels{-127, -64, -63, -13, 25, 26, 114, 127});
  const size_t i = static_cast<size_t>(
      std::ranges::find(model.network->parameters(), name, [](const auto& p) { return p->name; }) -
      model.network->parameters().begin());
  Parameter<float>& parameter = *model.network->parameters()[i];
  const auto blocks = [&] {
    std::vector<std::byte> bytes(tensor::row_bytes(types[i], parameter.shape.n_columns) *
                                 parameter.shape.n_rows);
    REQUIRE(quantiser.encode(i, bytes));
    return bytes;
  };
  std::vector<float> stored(parameter.value.size());
  tensor::decode_rows(types[i], told.grid_of(types[i], name), parameter.shape.n_columns, blocks(), stored);
  Tape<float> tape(pool);
  const Var seen = quantiser.hook()(tape, name, tape.parameter(parameter));
  CHECK(std::ranges::equal(stored, tape.value(seen)));
  CHECK(blocks() != before.blocks[0]);

  quantiser.restore(before);
  quantiser.describe(told);
  CHECK(told.codebooks[name] == own.codebooks[name]);
}
