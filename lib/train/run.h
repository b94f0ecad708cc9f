// A whole training run, phase by phase: read the data, calibrate, warm up, train, evaluate, export, verify;
// with checkpoints on the way. What a terminal, a log or a plot makes of it is the observer's business.
// Tested by tests/train/run_test.cpp.
#pragma once

#include "train/calibrate.h"
#include "train/lora.h"
#include "train/qat.h"
#include "train/trainer.h"

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ruvllm::train {

struct RunOptions {
  std::vector<std::filesystem::path> data;
  std::filesystem::path output;
  std::optional<std::filesystem::path> evaluation;  ///< text that is not trained on
  std::string target = "F32";                       ///< what recipe.mix is called
  quant::Recipe recipe;                             ///< types of weight matrices in the output
  quant::OwnOptions own;                            ///< of tensors that become PIQ
  int pi_k = 0;                                     ///< of their uniform grids; 0: the formats' own
  bool lines_are_steps = false;                     ///< of plain text: reasoning chains
  /// Where training on a grid has not helped, judged by text held back from the data, the output is what
  /// quantising without training makes of the weights.
  bool keeps_better_start = true;
  uint64_t calibration_tokens = 16384;  ///< of the training data; 0: no importance
  TrainerOptions trainer;
  QatOptions qat;
  size_t sequence_tokens = 256;
  size_t batch_tokens = 2048;
  uint64_t seed = 1;
  TeacherCacheOptions teacher_cache;     ///< k 0: the teacher is asked at every step
  size_t lora_rank = 0;                  ///< 0: the weights themselves are trained
  std::filesystem::path adapter_output;  ///< of adapters; empty: they are merged into the output
  std::optional<std::filesystem::path> checkpoint_folder;
  uint64_t checkpoint_every = 200;  ///< steps
  bool resume = false;
  /// What decides the output, by the names that a user knows, as text: what a checkpoint is a checkpoint of.
  std::vector<std::pair<std::string, std::string>> settings;
  bool asked_for_reasoning = false;  ///< the user is told where the data has no steps to reason over
};

struct RunObserver {
  std::function<void(std::string_view phase)> on_phase;
  std::function<void(const StepReport&)> on_step;
  std::function<void(std::string_view what, const Evaluation&)> on_evaluation;
  std::function<void(const CalibrationRecord&)> on_calibration;
  /// How far quantised matrices are from their weights, before the first step and after the last.
  std::function<void(std::string_view what, const std::vector<FakeQuantiser::MatrixError>&)> on_errors;
  std::function<void(std::string_view text)> on_note;
};

struct RunResult {
  uint64_t n_steps = 0;
  float last_loss = 0;
  bool kept_start = false;  ///< the file holds the weights as they were before training, quantised
  /// On the held-out text: without quantisation (where there is any), quantised before and after training,
  /// and of the file that was written.
  std::optional<Evaluation> full, before, after, exported;
  uint64_t file_bytes = 0;
  double bits_per_weight = 0;
};

/// What is trained: a network, the metadata its file gets, its tokenizer, and a teacher where there is one.
struct Subject {
  std::unique_ptr<Network> network;
  std::unique_ptr<Network> teacher;
  format::Metadata metadata;
  std::vector<Document> written;  ///< text that a model wrote, trained on beside RunOptions::data
  std::shared_ptr<const format::ModelFile> file;  ///< what metadata points into; may be null
  std::shared_ptr<const text::Tokenizer> tokenizer;
  ChatRenderer render_chat;  ///< empty where the model has no chat template
};

/// Throws Errc::usage where `options.resume` and the checkpoint is of another run, naming what differs;
/// Errc::resumable, with a checkpoint written, where `cancel` becomes true and there is a checkpoint
/// folder (Errc::interrupted without one).
RunResult run_training(Subject& subject, const RunOptions& options, ThreadPool& pool,
                       const RunObserver& observer, const std::atomic<bool>& cancel);

}  // namespace ruvllm::train
