// A model as trainable parameters: the same architecture description that inference reads, on a tape instead
// of on kernels. Parameters carry GGUF names and shapes, so that export is writing them out; the matrices of
// all experts are one parameter, one above the other, as they are one tensor. network.cpp knows which
// parameters there are, network_forward.cpp what is done with them, network_experts.cpp the mixtures of
// experts. Tested by tests/train/network_test.cpp: the same logits as the inference pass, gradients against
// finite differences.
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

  /// What a weight matrix is about to be multiplied with: (rows, features).
  struct MatrixInput {
    const std::string& weight;
    uint32_t member, n_members;  ///< which matrix of those that the parameter stacks: 0 of 1 where it is one
    const Shape& shape;
    std::span<const float> x;
  };
  using InputObserver = std::function<void(const MatrixInput&)>;

  /// Values that the file has beside its parameters, which are not trained: factors of rotation frequencies.
  struct Constant {
    std::string name;
    std::vector<float> values;
  };

  /// Parameters from a file, expanded to f32. Throws Errc::corrupt_file naming a tensor that is missing or of
  /// the wrong shape, Errc::usage for an architecture that is no language model (encoders).
  explicit Network(const format::ModelFile& file);
  /// Random parameters for the shape that `metadata` describes: normal(0, 0.02), residual outputs divided by
  /// sqrt(2 * layers) (Radford et al. 2019), norms one.
  Network(const format::ModelFile& metadata, bool tied_head, uint64_t seed);

  const model::HyperParameters& hparams() const { return hparams_; }
  /// In the order that files list them.
  const std::vector<std::unique_ptr<Parameter<float>>>& parameters() const { return parameters_; }
  /// Of the tensor that parameter i is in a file, in GGUF's order: three where it stacks matrices.
  const std::vector<uint64_t>& dimensions(size_t i) const { return dimensions_[i]; }
  Parameter<float>* find(std::string_view name);
  const std::vector<Constant>& constants() const { return constants_; }
  uint64_t n_values() const;
  /// Gives every parameter a gradient, or takes it away.
  void set_trainable(bool trainable);

  /// Calls `observer` before every matrix product of the passes that follow; an empty one ends that.
  void observe(InputObserver observer) { observer_ = std::move(observer); }

  /// One pass over a batch. `checkpoint_layers`: blocks are run again on the way back instead of being kept.
  NetworkOutput forward(Tape<float>& tape, const Batch& batch, const WeightHook& hook = {},
                        bool checkpoint_layers = false);

 private:
  class Lister;
  struct Pass;

  std::span<const float> constant(std::string_view name) const;
  Var block(const Pass& pass, uint32_t layer, Var x);
  Var attention_branch(const Pass& pass, uint32_t layer, Var x);
  Var feed_forward_branch(const Pass& pass, uint32_t layer, Var x);
  Var experts_branch(const Pass& pass, uint32_t layer, Var x);

  model::HyperParameters hparams_;
  std::vector<Constant> constants_;
  InputObserver observer_;
  std::vector<std::unique_ptr<Parameter<float>>> parameters_;
  std::vector<std::vector<uint64_t>> dimensions_;
  std::unordered_map<std::string, Parameter<float>*> index_;
};

}  // namespace ruvllm::train
