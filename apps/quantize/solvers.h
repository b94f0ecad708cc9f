// The solvers that --method gptq rounds with, made as they are asked for: what they are made of (a square
// matrix for each input) is too much to hold for a whole model, so that the text is read again for every few
// layers.
#pragma once

#include "cli/app.h"
#include "cli/load_model.h"
#include "quant/quantize_model.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace ruvllm::quantize {

class Solvers {
 public:
  /// `model` is loaded from the plan's source. Matrices are held up to `max_memory` bytes, one at least.
  Solvers(const quant::Plan& plan, const cli::LoadedModel& model, std::string text, uint64_t max_memory,
          const cli::CommonOptions& common);

  /// Of tensor `index` of the plan, or nullptr where it is not rounded this way.
  const quant::GptqSolver* find(size_t index);

 private:
  bool is_solved(size_t index) const;
  std::string input_of(size_t index) const;
  void gather(size_t first_index);

  const quant::Plan& plan_;
  const cli::LoadedModel& model_;
  std::string text_;
  uint64_t max_memory_;
  const cli::CommonOptions& common_;
  std::map<std::string, quant::Hessian> hessians_;  // by the first tensor with the input
  std::string current_input_;
  const tensor::Rotation* current_rotation_ = nullptr;
  size_t current_at_once_ = 0;
  std::unique_ptr<quant::GptqSolver> current_;
};

}  // namespace ruvllm::quantize
