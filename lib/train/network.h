// A model as trainable parameters: the same architecture description that inference reads, on a tape instead
// of on kernels. Parameters carry GGUF names and shapes, so that export is writing them out. Tested by
// tests/train/network_test.cpp: the same logits as the inference pass, gradients against finite differences.
#pragma once

#include "format/model_file.h"
#include "model/hparams.h"
#include "tensor/rope.h"
#include "train/ops/ops.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ruvllm::train {

/// The end of a reasoning step: the row (or token of a document) whose hidden state stands for it.
struct StepMark {
  uint32_t row = 0;
  float weight = 1;  ///< in the loss on steps
};

/// Consecutive steps of one document, and the rows that predict its answer; none where they are equal.
struct Chain {
  uint32_t first_step = 0, end_step = 0;  ///< of Batch::steps
  uint32_t answer_begin = 0, answer_end = 0;
};

/// Token sequences packed one after another; document i is tokens [starts[i], starts[i + 1]). Positions count
/// from 0 in each document and attention does not cross.
struct Batch {
  std::vector<int32_t> tokens;
  std::vector<int32_t> targets;  ///< what follows each token; -1: carries no loss
  std::vector<uint32_t> starts;
  std::vector<uint32_t> pieces = {};  ///< which piece of the data each document is (dataset.h)
  std::vector<StepMark> steps = {};   ///< of documents that are chains of reasoning steps
  std::vector<Chain> chains = {};
};

/// What a forward pass leaves on the tape.
struct NetworkOutput {
  Var hidden;  ///< after the last norm: (tokens, width)
  Var logits;  ///< (tokens, vocabulary)
};

class Network {
 public:
  /// Stands between a weight matrix and its use: fake quantisation, adapters. Gets the name of the parameter.
  using WeightHook = std::function<Var(Tape<float>&, const std::string& name, Var weight)>;

  /// Sees what a weight matrix is about to be multiplied with: (tokens, features).
  using InputObserver =
      std::function<void(const std::string& weight, const Shape& shape, std::span<const float> x)>;

  /// Parameters from a file, expanded to f32. Throws Errc::corrupt_file naming a tensor that is missing or of
  /// the wrong shape, Errc::usage for an architecture with parts that can't be trained yet (experts,
  /// encoders).
  explicit Network(const format::ModelFile& file);
  /// Random parameters for the shape that `metadata` describes: normal(0, 0.02), residual outputs divided by
  /// sqrt(2 * layers) (Radford et al. 2019), norms one.
  Network(const format::ModelFile& metadata, bool tied_head, uint64_t seed);

  const model::HyperParameters& hparams() const { return hparams_; }
  /// In the order that files list them.
  const std::vector<std::unique_ptr<Parameter<float>>>& parameters() const { return parameters_; }
  Parameter<float>* find(std::string_view name);
  /// The file's divisors of rotation frequencies; empty where it has none.
  const std::vector<float>& rope_factors() const { return rope_factors_; }
  uint64_t n_values() const;
  /// Gives every parameter a gradient, or takes it away.
  void set_trainable(bool trainable);

  /// Calls `observer` before every matrix product of the passes that follow; an empty one ends that.
  void observe(InputObserver observer) { observer_ = std::move(observer); }

  /// One pass over a batch. `checkpoint_layers`: blocks are run again on the way back instead of being kept.
  NetworkOutput forward(Tape<float>& tape, const Batch& batch, const WeightHook& hook = {},
                        bool checkpoint_layers = false);

 private:
  struct Pass;

  void add_parameter(const std::string& name, Shape shape);
  void list_parameters(const std::function<bool(const std::string&)>& has);
  Var block(Pass& pass, uint32_t layer, Var x);
  Var attention_branch(Pass& pass, uint32_t layer, Var x);
  Var feed_forward_branch(Pass& pass, uint32_t layer, Var x);

  model::HyperParameters hparams_;
  std::vector<float> rope_factors_;
  InputObserver observer_;
  std::vector<std::unique_ptr<Parameter<float>>> parameters_;
  std::unordered_map<std::string, Parameter<float>*> index_;
};

}  // namespace ruvllm::train
