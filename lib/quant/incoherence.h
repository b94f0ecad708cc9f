// What tensors in the suite's own formats are stored through: a rotation of their rows where that lowers the
// error that a sample really shows (incoherence processing: Chee et al. 2023; Tseng et al. 2024), and learned
// levels.
//
// Rotated, a row's outliers are spread over its block, and all of its values look Gaussian; the error that
// comes back is the same size in other directions. On weights that are Gaussian already nothing is gained,
// and for small blocks much is lost: so every tensor is measured. Tested by tests/quant/incoherence_test.cpp.
#pragma once

#include "base/thread_pool.h"
#include "format/model_file.h"
#include "format/own_formats.h"
#include "quant/folding.h"
#include "quant/gptq.h"
#include "quant/importance.h"
#include "quant/recipe.h"

#include <functional>
#include <span>

namespace ruvllm::quant {

struct OwnOptions {
  bool rotate = false;        ///< where it lowers the error
  bool learn_levels = false;  ///< where they lower the error
};

/// For tensors that become PIQ. What the source says of tensors that are copied as they are is kept.
/// `progress` may throw to stop.
format::OwnFormats choose_own_formats(const format::ModelFile& model, std::span<const Choice> choices,
                                      const Folding& folding, const Importance& importance,
                                      const OwnOptions& options, ThreadPool& pool,
                                      const std::function<void(uint64_t done, uint64_t total)>& progress);

/// The importance of rotated values: the diagonal of R diag(w) R^T, which is the mean of w over each block.
/// In place, for rows (or parts of one) as Rotation::apply() takes them.
void rotate_importance(const tensor::Rotation& rotation, std::span<float> weights);

/// R H R^T: of rotated inputs.
Hessian rotate_hessian(const Hessian& hessian, const tensor::Rotation& rotation);

}  // namespace ruvllm::quant
