#include "train/trainer.h"
#include "format/model_file.h"
#include "train/fresh_model.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace ruvllm;
using namespace ruvllm::train;

namespace {

std::unique_ptr<Network> network(uint64_t seed) {
  const Json json = {{"architecture", "llama"},   {"block_count", 2},
                     {"embedding_length", 32},    {"feed_forward_length", 64},
                     {"attention.head_count", 4}, {"attention.head_count_kv", 2},
                     {"context_length", 64},      {"attention.layer_norm_rms_epsilon", 1e-5},
                     {"vocab_size", 300}};
  ModelShape shape = read_model_shape(json, "shape");
  add_trained_tokenizer(shape, "The cat sat on the mat. The dog ran to the cat, and the cat to the mat.");
  format::ModelFile file;
  file.metadata = shape.metadata;
  return std::make_unique<Network>(file, shape.tied_head, seed);
}

// Tokens of which all but the first `n_prompt` are learned.
Document document(size_t n_tokens, size_t n_prompt, int32_t first_token) {
  Document made;
  for (size_t i = 0; i < n_tokens; ++i) {
    made.tokens.push_back(first_token + static_cast<int32_t>(i * 7 % 50));
    made.is_target.push_back(i >= n_prompt);
  }
  return made;
}

// Three documents that differ in everything that a loss is a mean of: 2, 28 and 9 targets; no steps, four
// with an answer, two without.
std::vector<Document> unequal_documents() {
  std::vector<Document> documents = {document(30, 28, 20), document(30, 2, 90), document(16, 7, 150)};
  documents[1].steps = {{5, 1.0f}, {12, 1.5f}, {20, 1.0f}, {29, 2.0f}};
  documents[1].answer_begin = 21, documents[1].answer_end = 30;
  documents[2].steps = {{9, 1.0f}, {15, 2.0f}};
  return documents;
}

StepReport first_step(size_t batch_tokens, uint64_t accumulate) {
  constexpr size_t kSequence = 30;
  ThreadPool pool(1);
  const auto student = network(7), teacher = network(8);
  student->set_trainable(true);
  BatchMaker batches(unequal_documents(), kSequence, batch_tokens, 1);
  TrainerOptions options;
  options.accumulate = accumulate;
  options.losses = {.task = 1.0f, .distillation = 0.5f, .reasoning = 0.7f, .temperature = 2.0f};
  Trainer trainer(*student, teacher.get(), batches, options, pool);
  REQUIRE(batches.n_batches() == accumulate);
  REQUIRE(trainer.n_steps() == options.n_epochs);
  return trainer.step();
}

bool is_close(double a, double b) { return std::abs(a - b) < 2e-6 * std::max(1.0, std::abs(a)); }

}  // namespace

TEST_CASE(
    "a step of several batches is the step of one batch that holds them all, in every part of the loss") {
  const StepReport whole = first_step(256, 1);
  const StepReport parts = first_step(30, 3);
  CHECK(whole.task_loss > 1);
  CHECK(whole.distillation_loss > 0);
  CHECK(whole.step_loss > 0.1f);
  CHECK(whole.trajectory_loss > 0.1f);
  CHECK(is_close(whole.loss, parts.loss));
  CHECK(is_close(whole.task_loss, parts.task_loss));
  CHECK(is_close(whole.distillation_loss, parts.distillation_loss));
  CHECK(is_close(whole.step_loss, parts.step_loss));
  CHECK(is_close(whole.trajectory_loss, parts.trajectory_loss));
  CHECK(is_close(whole.gradient_norm, parts.gradient_norm));
  CHECK(whole.n_tokens == parts.n_tokens);
}
