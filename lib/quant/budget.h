// The best formats for a size: how many bits each tensor gets when the whole file has a limit.
//
// For every matrix and every format of a ladder the error is measured on a sample of its rows, by what the
// caller knows of its inputs and with the solver that will round it; then one format a matrix is chosen so
// that the sum of errors is least and the sum of bytes within the limit (a multiple-choice knapsack, by
// dynamic programming). Tested by tests/quant/budget_test.cpp.
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

/// What share of a tensor is error, squared, once it is rounded to a format. Any thread calls it; an infinity
/// where the format cannot hold the values.
using ErrorMeter = std::function<double(Format format)>;

/// By plain rounding of a sample of rows, weighted by importance. Throws Errc::corrupt_file naming the tensor
/// where a value is a NaN or an infinity.
double weight_error(const format::Tensor& tensor, Format format, const Importance& importance);

/// Chooses the formats of a model for `limit_bytes` of tensor data. Tensors that the recipe's rules name, and
/// those that keep floats, stay as the recipe says. `meter_of` is asked for one tensor after the other, by
/// its index; `progress` may throw to stop.
std::vector<Choice> choose_formats_for_size(
    const format::ModelFile& model, const Recipe& recipe, uint64_t limit_bytes,
    const std::function<ErrorMeter(size_t tensor)>& meter_of, ThreadPool& pool,
    const std::function<void(uint64_t done, uint64_t total)>& progress);

}  // namespace ruvllm::quant
