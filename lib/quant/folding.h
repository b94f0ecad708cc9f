// Scales that make matrices easier to round, folded into the norm before them (AWQ: Lin et al. 2024).
//
// Where a norm's output goes into matrices and nowhere else, dividing the norm's weight j by s_j and
// multiplying the matrices' column j by it changes nothing that is computed, but columns that matter get
// finer steps. The s_j are powers of the columns' importance; which power is decided for each norm by the
// error that a sample of rows really shows: of their outputs on the inputs that were held back, or, where
// there are none, of the weights times importance. Tested by tests/quant/folding_test.cpp.
#pragma once

#include "base/thread_pool.h"
#include "format/model_file.h"
#include "quant/held_back.h"
#include "quant/importance.h"
#include "quant/recipe.h"

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace ruvllm::quant {

/// What each tensor's values are multiplied by, column by column.
class Folding {
 public:
  Folding() = default;
  explicit Folding(size_t n_tensors) : scales_(n_tensors) {}

  bool empty() const;
  /// n_columns factors, or an empty span: left as it is. `tensor` is an index of the model's tensors.
  std::span<const float> of_tensor(size_t tensor) const {
    return tensor < scales_.size() ? std::span<const float>(scales_[tensor]) : std::span<const float>();
  }
  void set(size_t tensor, std::vector<float> scales) { scales_[tensor] = std::move(scales); }

 private:
  std::vector<std::vector<float>> scales_;
};

/// What is known of the inputs.
struct FoldingGuide {
  const Importance& activity;    ///< what scales are made of
  const Importance& importance;  ///< what tensors will be rounded with
  const HeldBack& held_back;
  kernels::Search effort = kernels::Search::fast;
};

/// `choices`: what each tensor will become. `progress` may throw to stop.
Folding choose_folding(const format::ModelFile& model, std::span<const Choice> choices,
                       const FoldingGuide& guide, ThreadPool& pool,
                       const std::function<void(uint64_t done, uint64_t total)>& progress);

}  // namespace ruvllm::quant
