// The solvers that GPTQ rounds with, made as they are asked for: what they are made of (a square matrix for
// each input) is too much to hold for a whole model, so that the text is read again for every few layers.
// Tested by tests/engine/quantize_job_test.cpp.
#pragma once

#include "base/thread_pool.h"
#include "engine/calibrate.h"
#include "format/model_file.h"
#include "model/model.h"
#include "quant/gptq.h"
#include "tensor/rotation.h"
#include "text/tokenizer.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace ruvllm::engine {

/// What solvers are made from; all of it outlives them.
struct SolverSource {
  const format::ModelFile& file;
  std::shared_ptr<const model::Model> model;  ///< loaded from it
  const text::Tokenizer& tokenizer;
  std::string_view text;
  CalibrationOptions how;
  uint64_t max_memory;  ///< for matrices; one is held at least
};

class GptqSolvers {
 public:
  /// `is_wanted`: which of the file's tensors will be asked for.
  GptqSolvers(SolverSource source, std::vector<bool> is_wanted, ThreadPool& pool);

  /// Is it a matrix that meets every token, so that one square matrix describes its inputs?
  static bool is_solvable(const format::Tensor& tensor);

  /// For tensor `index` of the file, its rows stored through `rotation` or as they are, in formats that
  /// choose at_once quants at once; valid until the next call. nullptr where the model has no such matrix.
  const quant::GptqSolver* find(size_t index, size_t at_once, const tensor::Rotation* rotation);

 private:
  void gather(size_t first_index);

  SolverSource source_;
  std::vector<bool> is_wanted_;
  ThreadPool& pool_;
  std::map<std::string, quant::Hessian> hessians_;  // by the first tensor with the input
  std::string current_input_;
  const tensor::Rotation* current_rotation_ = nullptr;
  size_t current_at_once_ = 0;
  std::unique_ptr<quant::GptqSolver> current_;
};

}  // namespace ruvllm::engine
