// Quantisation-aware training on a format's own grid: the weight hook replaces every matrix that the export
// will quantise by what the format's quantise -> dequantise makes of it, so that the exported file holds
// exactly the weights that were evaluated. Gradients pass the rounding by a straight-through rule
// (ops/ops.h). Tested by tests/train/qat_test.cpp.
#pragma once

#include "train/export.h"
#include "train/network.h"

#include <string>
#include <unordered_map>
#include <vector>

namespace ruvllm::train {

struct QatOptions {
  bool enabled = false;
  StraightThroughArguments rule;
};

class FakeQuantiser {
 public:
  FakeQuantiser(Network& network, const TypePlan& types, const StraightThroughArguments& rule,
                ThreadPool& pool);

  /// Quantises all weights as they are now; to be called before each step and before an evaluation.
  void refresh();
  /// The hook for Network::forward(). Lives as long as this object.
  Network::WeightHook hook();
  /// Root mean square of (quantised - weight) over all quantised weights.
  double error() const;

 private:
  struct Matrix {
    const Parameter<float>* parameter;
    tensor::Format format;
    std::vector<float> quantised;
  };
  std::vector<Matrix> matrices_;
  std::unordered_map<std::string, size_t> index_;
  StraightThroughArguments rule_;
  ThreadPool& pool_;
};

}  // namespace ruvllm::train
