#include "train/network.h"
#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "format/gguf.h"
#include "test_support.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>

using namespace ruvllm;
using namespace ruvllm::train;

namespace {

Batch batch_of(std::vector<int32_t> tokens) {
  Batch batch{std::move(tokens), {}, {}};
  batch.starts = {0, static_cast<uint32_t>(batch.tokens.size())};
  for (size_t i = 0; i < batch.tokens.size(); ++i)
    batch.targets.push_back(i + 1 < batch.tokens.size() ? batch.tokens[i + 1] : -1);
  return batch;
}

double loss_of(Network& network, const Batch& batch, bool with_gradient, bool checkpoint = false) {
  ThreadPool pool(2);
  Tape<float> tape(pool);
  const NetworkOutput output = network.forward(tape, batch, {}, checkpoint);
  const Var loss = cross_entropy<float>(tape, output.logits, batch.targets);
  if (with_gradient) tape.backward(loss);
  return static_cast<double>(tape.value(loss)[0]);
}

}  // namespace

TEST_CASE("the training pass gives the reference logits of a real model and of small ones") {
  struct Case {
    const char *reference, *model, *folder;
    double tolerance;
  };
  for (const Case& c : {Case{"stories260K/ref/logits.json", "", "stories260K/", 1e-4},
                        {"tiny/ref/llama.json", "", "tiny/", 1e-3},
                        {"tiny/ref/llama-moe.json", "", "tiny/", 1e-3},
                        {"tiny/ref/qwen2.json", "", "tiny/", 1e-3},
                        {"tiny/ref/gemma2.json", "", "tiny/", 1e-3}}) {
    const auto path = test::test_data(c.reference);
    if (!path) return;
    const Json reference = parse_json(read_file(*path, 64 << 20), c.reference);
    const auto model = test::test_data(c.folder + reference["model"].get<std::string>());
    if (!model) return;
    Network network(*format::read_gguf(*model));
    for (const Json& example : reference["cases"]) {
      ThreadPool pool(2);
      Tape<float> tape(pool);
      const NetworkOutput output =
          network.forward(tape, batch_of(example["tokens"].get<std::vector<int32_t>>()));
      const size_t n = tape.shape(output.logits).n_columns;
      double worst = 0;
      for (size_t i = 0; i < example["positions"].size(); ++i)
        for (size_t j = 0; j < n; ++j)
          worst = std::max(
              worst, std::abs(example["logits"][i][j].get<double>() -
                              tape.value(output.logits)[example["positions"][i].get<size_t>() * n + j]));
      CHECK_MESSAGE(worst <= c.tolerance, c.reference << ": " << worst);
    }
  }
}

TEST_CASE(
    "gradients of a whole model agree with differences of its loss, and checkpointing changes no bit of "
    "them") {
  for (const char* name : {"llama", "llama-moe", "qwen2moe", "phi2"}) {
    const auto path = test::test_data(fmt::format("tiny/{}.gguf", name));
    if (!path) return;
    CAPTURE(name);
    Network network(*format::read_gguf(*path));
    network.set_trainable(true);
    const Batch batch = batch_of({1, 30, 200, 77, 4, 300, 21, 9});
    loss_of(network, batch, true);
    Random random(test::test_seed());
    for (const auto& parameter : network.parameters()) {
      // Along the gradient itself, so that the difference stands out of float's noise.
      double square = 0;
      for (const float g : parameter->gradient) square += static_cast<double>(g) * g;
      const double step = 2e-3 / std::sqrt(square + 1e-12);
      const std::vector<float> start = parameter->value;
      const auto moved_loss = [&](double by) {
        for (size_t i = 0; i < start.size(); ++i)
          parameter->value[i] = start[i] + static_cast<float>(by * parameter->gradient[i]);
        return loss_of(network, batch, false);
      };
      const double slope = (moved_loss(step) - moved_loss(-step)) / (2 * step);
      parameter->value = start;
      CHECK_MESSAGE(std::abs(slope - square) <= 0.02 * square + 1e-5,
                    parameter->name << ": " << slope << " against " << square);
    }
    std::vector<std::vector<float>> plain;
    for (const auto& parameter : network.parameters()) plain.push_back(parameter->gradient);
    network.set_trainable(true);
    loss_of(network, batch, true, true);
    for (size_t i = 0; i < plain.size(); ++i) CHECK(network.parameters()[i]->gradient == plain[i]);
  }
}

TEST_CASE("checkpointing keeps what lies between layers and what one layer needs, in either precision") {
  const auto path = test::test_data("stories260K/stories260K.gguf");
  if (!path) return;
  Network network(*format::read_gguf(*path));  // five layers
  std::vector<int32_t> tokens(512);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(3 + i * 7 % 500);
  const Batch batch = batch_of(tokens);
  for (const tensor::Precision precision : {tensor::Precision::f32, tensor::Precision::bf16}) {
    std::vector<std::vector<float>> gradients[2];
    size_t n_bytes[2];
    for (const bool checkpoint : {false, true}) {
      network.set_trainable(true);
      ThreadPool pool(2);
      Tape<float> tape(pool);
      tape.set_precision(precision);
      const NetworkOutput output = network.forward(tape, batch, {}, checkpoint);
      tape.backward(cross_entropy<float>(tape, output.logits, batch.targets));
      for (const auto& parameter : network.parameters()) gradients[checkpoint].push_back(parameter->gradient);
      n_bytes[checkpoint] = tape.arena_bytes();
    }
    CHECK(gradients[0] == gradients[1]);
    CHECK(2 * n_bytes[1] < n_bytes[0]);
  }
}

// tests/check_gradients.py compares them with PyTorch's.
TEST_CASE("gradients are written for comparison where RUVLLM_GRADIENTS names a folder") {
  const char* folder = std::getenv("RUVLLM_GRADIENTS");
  const auto path = test::test_data("stories260K/stories260K.gguf");
  if (!folder || !path) return;
  Network network(*format::read_gguf(*path));
  network.set_trainable(true);
  const Batch batch = batch_of({1, 403, 407, 261, 378, 432, 383, 291, 305, 426, 262, 334});
  loss_of(network, batch, true);
  const auto write = [&](const std::string& name, std::span<const std::byte> bytes) {
    AtomicFile file(std::filesystem::path(folder) / name);
    file.write(bytes);
    file.commit();
  };
  write("tokens", std::as_bytes(std::span(batch.tokens)));
  for (const auto& parameter : network.parameters())
    write(parameter->name, std::as_bytes(std::span(parameter->gradient)));
}
