// The best formats for a size: how many bits each tensor gets when the whole file has a limit.
//
// For every matrix and every format of a ladder the error is measured on a sample of its rows, weighted by
// importance where that is known; then one format a matrix is chosen so that the sum of errors is least and
// the sum of bytes within the limit (a multiple-choice knapsack, by dynamic programming). Tested by
// tests/quant/budget_test.cpp.
#pragma once

#include "base/thread_pool.h"
#include "format/model_file.h"
#include "quant/importance.h"
#include "quant/recipe.h"

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace ruvllm::quant {

/// What one choice costs.
struct BudgetOption {
  uint64_t n_bytes;
  double cost;  ///< of any unit, the same for all
};

/// Picks one option of each list: the least sum of costs whose bytes are within `limit_bytes`. Bytes are
/// counted in steps of 1/8192 of the limit, rounded up, so that the limit always holds. Throws Errc::usage
/// naming the least possible size where nothing fits.
std::vector<size_t> fit_budget(std::span<const std::vector<BudgetOption>> lists, uint64_t limit_bytes);

/// Chooses the formats of a model for `limit_bytes` of tensor data. Tensors that the recipe's rules name, and
/// those that keep floats, stay as the recipe says. `progress` may throw to stop.
std::vector<Choice> choose_formats_for_size(
    const format::ModelFile& model, const Recipe& recipe, const Importance& importance, uint64_t limit_bytes,
    ThreadPool& pool, const std::function<void(uint64_t done, uint64_t total)>& progress);

}  // namespace ruvllm::quant
