// Inputs that matrices met in a part of the calibration text that nothing was fitted to, and what rounding a
// matrix does to its outputs on them: what decides whether a way of rounding is an improvement.
//
// Means of squares, which importance and scales are made of, leave out what columns do together; a way that
// lowers the errors they predict may raise the ones that the next layer sees. Tested by
// tests/quant/held_back_test.cpp.
#pragma once

#include "base/thread_pool.h"
#include "format/model_file.h"
#include "quant/gptq.h"
#include "quant/importance.h"
#include "quant/recipe.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ruvllm::quant {

/// Some inputs of one matrix: (n_rows, n_columns).
struct HeldInputs {
  uint64_t n_columns = 0;
  std::vector<float> rows;
  uint64_t n_rows() const { return n_columns > 0 ? rows.size() / n_columns : 0; }
};

/// By tensor: one, or one for each expert whose matrix is stacked in it. Tensors with one input share it.
using HeldBack = std::map<std::string, std::shared_ptr<const std::vector<HeldInputs>>, std::less<>>;

/// How the rows of a tensor are rounded.
struct Rounding {
  Format format;
  kernels::Search effort = kernels::Search::fast;
  std::span<const float> importance = {};  ///< as Importance::of_tensor() gives it
  std::span<const float> scales = {};      ///< of columns, folded in before
  const GptqSolver* solver = nullptr;      ///< or plain rounding
};

/// What share of a tensor's output on the inputs is error, squared, over a sample of its rows: 0 is exact.
/// Throws Errc::corrupt_file naming the tensor where it has a NaN or an infinity; an infinity is returned
/// where the format cannot hold its values. Any thread.
double output_error(const format::Tensor& tensor, std::span<const HeldInputs> inputs,
                    const Rounding& rounding);

/// Importance for rounding each tensor to its format: the weights raised to the power (1, 1/2, or 0: none)
/// that is best on the inputs held back, 0 unless another is clearly better. `fitted` is what was gathered
/// without those inputs, `whole` what the weights returned are made of. Tensors without inputs keep `whole`.
Importance choose_importance(const format::ModelFile& model, std::span<const Choice> choices,
                             const Importance& fitted, const Importance& whole, const HeldBack& held_back,
                             kernels::Search effort, ThreadPool& pool,
                             const std::function<void(uint64_t done, uint64_t total)>& progress);

}  // namespace ruvllm::quant
