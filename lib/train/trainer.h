// The training loop: batches to losses to gradients to AdamW steps, with checkpoints from which a run goes on
// to the same bits. What is trained (plain weights, or weights behind a fake quantiser) is the weight hook's
// business; what it is trained towards is the loss weights': task, distillation from a teacher, or both. A
// step of several batches is the step of one batch that holds them all. Tested by
// tests/train/trainer_test.cpp.
#pragma once

#include "train/adamw.h"
#include "train/dataset.h"
#include "train/identity.h"
#include "train/network.h"
#include "train/reasoning.h"
#include "train/teacher_cache.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace ruvllm::train {

struct LossWeights {
  float task = 1.0f;          ///< cross-entropy with the text
  float distillation = 0.0f;  ///< T^2 KL(teacher || student)
  float reasoning = 0.0f;     ///< of chains of steps (reasoning.h), in batches that have any
  float temperature = 3.0f;

  /// The weights as shares of their sum.
  LossWeights normalised() const;
};

struct TrainerOptions {
  uint64_t n_epochs = 3;
  float learning_rate = 1e-4f;
  float warmup_epochs = 1.0f;  ///< of linear warm-up, in full precision
  AdamWOptions optimiser;
  LossWeights losses;
  ReasoningOptions reasoning;
  bool checkpoint_activations = false;
  tensor::Precision precision = tensor::Precision::f32;  ///< of products with weights; evaluation is in f32
  uint64_t accumulate = 1;                               ///< batches whose gradients make one step
};

/// One step, as the log tells it.
struct StepReport {
  uint64_t step = 0, n_steps = 0, epoch = 0;
  float loss = 0, task_loss = 0, distillation_loss = 0;
  float step_loss = 0, trajectory_loss = 0;  ///< of reasoning chains
  float learning_rate = 0;
  double gradient_norm = 0;
  uint64_t n_tokens = 0;
  double seconds = 0;  ///< with the quantisation before it; set by run_training()
};

struct Evaluation {
  double nll = 0;  ///< mean, natural log
  double perplexity = 0;
  uint64_t n_tokens = 0;
  ReasoningMetrics reasoning;  ///< where the text has chains and there is a teacher
};

class Trainer {
 public:
  /// `network` is trained (its extra parameters, such as learned steps, included by `extra`); `teacher` may
  /// be null where losses.distillation and
  /// losses.reasoning are 0. All outlive the trainer.
  Trainer(Network& network, Network* teacher, BatchMaker& batches, const TrainerOptions& options,
          ThreadPool& pool, Network::WeightHook hook = {}, std::vector<Parameter<float>*> extra = {});

  uint64_t n_steps() const { return n_steps_; }
  uint64_t step_number() const { return step_; }
  bool is_done() const { return step_ >= n_steps_; }
  /// Of the last step that was taken, also by the run that a checkpoint was loaded from; 0 before the first.
  float last_loss() const { return last_loss_; }
  /// Whether the next step is one of the linear warm-up.
  bool is_warming_up() const { return step_ < n_warmup_steps_; }
  /// Whether the next step is the first after a warm-up.
  bool ends_warm_up() const { return n_warmup_steps_ > 0 && step_ == n_warmup_steps_; }

  /// Throws Errc::failed naming step, batch and tensor where a loss, a gradient or a weight is not finite.
  StepReport step();

  /// Distils from what a cache knows instead of asking the teacher, who may then be null unless there are
  /// reasoning chains. Of the training batches; outlives the trainer.
  void distil_from(TeacherCache& cache) { cache_ = &cache; }

  /// How answers become text, for the metric of their agreement; without, tokens are compared.
  void decode_with(std::function<std::string(std::span<const int32_t>)> decode) {
    decode_ = std::move(decode);
  }

  /// Mean loss over documents with the hook in place.
  Evaluation evaluate(BatchMaker& held_out);

  /// Everything that decides the rest of the run. `identity` (options, data) must match on loading.
  void save_checkpoint(const std::filesystem::path& path, const std::string& identity);
  /// Throws Errc::usage, naming what differs, where the checkpoint is of another run.
  void load_checkpoint(const std::filesystem::path& path, const Identity& identity);

  uint64_t arena_bytes() const { return tape_.arena_bytes(); }

 private:
  struct Losses {
    Var total, task, distillation, step, trajectory;
    bool has_distillation = false, has_reasoning = false;
  };
  struct Terms;
  struct Shares;
  Losses losses_of(const Batch& batch, const Shares& shares);
  void add_reasoning(const Batch& batch, Var hidden, Var logits, const NetworkOutput& wanted,
                     const Shares& shares, Losses& losses, Terms& terms);
  /// What is behind a loss that is not finite: the first weight, or input of a matrix, that isn't.
  std::string culprit(const Batch& batch);
  void count_reasoning(const Batch& batch, const NetworkOutput& output, ReasoningMetrics& metrics);
  std::vector<Parameter<float>*> trained() const;

  Network& network_;
  Network* teacher_;
  TeacherCache* cache_ = nullptr;
  BatchMaker& batches_;
  TrainerOptions options_;
  ThreadPool& pool_;
  Network::WeightHook hook_;
  std::vector<Parameter<float>*> parameters_;
  AdamW optimiser_;
  Tape<float> tape_, teacher_tape_;
  std::function<std::string(std::span<const int32_t>)> decode_;
  uint64_t steps_in_epoch_ = 0;
  uint64_t n_steps_ = 0;
  uint64_t n_warmup_steps_ = 0;
  uint64_t step_ = 0;
  float last_loss_ = 0;
};

}  // namespace ruvllm::train
