// The training loop: batches to losses to gradients to AdamW steps, with checkpoints from which a run goes on
// to the same bits. What is trained (plain weights, or weights behind a fake quantiser) is the weight hook's
// business; what it is trained towards is the loss weights': task, distillation from a teacher, or both.
// Tested by tests/train/trainer_test.cpp.
#pragma once

#include "train/adamw.h"
#include "train/dataset.h"
#include "train/network.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace ruvllm::train {

struct LossWeights {
  float task = 1.0f;          ///< cross-entropy with the text
  float distillation = 0.0f;  ///< T^2 KL(teacher || student)
  float temperature = 3.0f;
};

struct TrainerOptions {
  uint64_t n_epochs = 3;
  float learning_rate = 1e-4f;
  float warmup_epochs = 1.0f;  ///< of linear warm-up; capped at a tenth of the run
  AdamWOptions optimiser;
  LossWeights losses;
  bool checkpoint_activations = false;
  tensor::Precision precision = tensor::Precision::f32;  ///< of products with weights; evaluation is in f32
  uint64_t accumulate = 1;                               ///< batches whose gradients make one step
};

/// One step, as the log tells it.
struct StepReport {
  uint64_t step = 0, n_steps = 0, epoch = 0;
  float loss = 0, task_loss = 0, distillation_loss = 0;
  float learning_rate = 0;
  double gradient_norm = 0;
  uint64_t n_tokens = 0;
  double seconds = 0;
};

struct Evaluation {
  double nll = 0;  ///< mean, natural log
  double perplexity = 0;
  uint64_t n_tokens = 0;
};

class Trainer {
 public:
  /// `network` is trained (its extra parameters, such as learned steps, included by `extra`); `teacher` may
  /// be null where losses.distillation is 0. All outlive the trainer.
  Trainer(Network& network, Network* teacher, BatchMaker& batches, const TrainerOptions& options,
          ThreadPool& pool, Network::WeightHook hook = {}, std::vector<Parameter<float>*> extra = {});

  uint64_t n_steps() const { return n_steps_; }
  uint64_t step_number() const { return step_; }
  bool is_done() const { return step_ >= n_steps_; }

  /// Throws Errc::failed naming step and tensor where a loss or gradient is not finite.
  StepReport step();

  /// Mean loss over documents with the hook in place.
  Evaluation evaluate(BatchMaker& held_out);

  /// Everything that decides the rest of the run. `identity` (options, data) must match on loading.
  void save_checkpoint(const std::filesystem::path& path, const std::string& identity);
  /// Throws Errc::corrupt_file where the checkpoint is of another run.
  void load_checkpoint(const std::filesystem::path& path, const std::string& identity);

  uint64_t arena_bytes() const { return tape_.arena_bytes(); }

 private:
  struct Losses {
    Var total, task, distillation;
    bool has_distillation = false;
  };
  Losses losses_of(const Batch& batch);
  std::vector<Parameter<float>*> trained() const;

  Network& network_;
  Network* teacher_;
  BatchMaker& batches_;
  TrainerOptions options_;
  ThreadPool& pool_;
  Network::WeightHook hook_;
  std::vector<Parameter<float>*> parameters_;
  AdamW optimiser_;
  Tape<float> tape_, teacher_tape_;
  uint64_t steps_in_epoch_ = 0;
  uint64_t n_steps_ = 0;
  uint64_t step_ = 0;
};

}  // namespace ruvllm::train
