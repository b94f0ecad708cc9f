// AdamW (Loshchilov and Hutter 2019): Adam with bias correction and decoupled weight decay, after clipping
// the global norm of the gradients. Tested by tests/train/adamw_test.cpp.
#pragma once

#include "train/tape.h"

#include <cstdint>
#include <span>
#include <vector>

namespace ruvllm::train {

struct AdamWOptions {
  float beta1 = 0.9f;
  float beta2 = 0.95f;
  float epsilon = 1e-8f;
  float weight_decay = 0.01f;  ///< of matrices; vectors (norms, biases) are not decayed
  float gradient_clip = 1.0f;  ///< global norm; 0: none
};

class AdamW {
 public:
  AdamW(std::vector<Parameter<float>*> parameters, const AdamWOptions& options);

  /// One step with gradients as they lie in the parameters, then clears them. Returns the global norm before
  /// clipping. Throws Errc::failed naming the tensor where a gradient is not finite.
  double step(float learning_rate, ThreadPool& pool);

  uint64_t n_steps() const { return n_steps_; }

  /// The two moments of every parameter, in order, for checkpoints.
  std::span<std::vector<float>> first_moments() { return first_; }
  std::span<std::vector<float>> second_moments() { return second_; }
  void restore_steps(uint64_t n_steps) { n_steps_ = n_steps; }

 private:
  double gradient_norm(ThreadPool& pool);

  std::vector<Parameter<float>*> parameters_;
  AdamWOptions options_;
  std::vector<std::vector<float>> first_, second_;
  std::vector<double> sums_;  ///< of the squares in each tile of a gradient
  uint64_t n_steps_ = 0;
};

/// Linear warm-up over `warmup_steps`, then a cosine from `peak` down to `peak * final_fraction` at
/// `total_steps`.
float cosine_learning_rate(uint64_t step, uint64_t warmup_steps, uint64_t total_steps, float peak,
                           float final_fraction = 0.1f);

}  // namespace ruvllm::train
