#include "quant/budget.h"

#include "base/error.h"
#include "base/finite.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "quant/encode_tensor.h"
#include "tensor/ops.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace ruvllm::quant {
namespace {

constexpr uint64_t kSteps = 8192;

/// What a matrix may become, from small to large.
constexpr Format kLadder[] = {Format::IQ2_XXS, Format::IQ2_XS, Format::IQ2_S,  Format::Q2_K, Format::IQ3_XXS,
                              Format::IQ3_S,   Format::Q3_K,   Format::IQ4_XS, Format::Q4_K, Format::Q5_K,
                              Format::Q6_K,    Format::Q8_0,   Format::IQ4_NL, Format::Q5_0, Format::F16};

/// Rows of a matrix that are measured: spread evenly, as many as hold this many values.
constexpr uint64_t kSampleValues = 64 * 1024;

/// Errors in the output matrix go straight into the logits, and no later layer makes up for them.
constexpr double kOutputWeight = 4.0;

/// What `formats`, from which those are dropped that can't hold the tensor's values, cost.
std::vector<BudgetOption> make_options(const format::Tensor& tensor, std::vector<Format>& formats,
                                       std::span<const double> errors, double weight) {
  std::vector<BudgetOption> options;
  std::vector<Format> kept;
  for (size_t k = 0; k < formats.size(); ++k) {
    if (!std::isfinite(errors[k])) continue;
    kept.push_back(formats[k]);
    options.push_back(
        {tensor::row_bytes(formats[k], tensor.n_columns()) * tensor.n_rows(), weight * errors[k]});
  }
  if (kept.empty())
    throw Error(Errc::usage,
                "tensor {} has values beyond every smaller type; give it BF16 or F32 by --tensor",
                printable(tensor.name));
  formats = std::move(kept);
  return options;
}

}  // namespace

std::vector<size_t> fit_budget(std::span<const std::vector<BudgetOption>> lists, uint64_t limit_bytes) {
  uint64_t least_bytes = 0;
  for (const std::vector<BudgetOption>& list : lists) {
    RUVLLM_ASSERT(!list.empty());
    least_bytes += std::ranges::min(list, {}, &BudgetOption::n_bytes).n_bytes;
  }
  if (least_bytes > limit_bytes)
    throw Error(Errc::usage, "{} are too few: the smallest formats take {}", format_bytes(limit_bytes),
                format_bytes(least_bytes));

  // Bytes beyond the smallest option are what there is to spend.
  const uint64_t spare = limit_bytes - least_bytes;
  const uint64_t step = std::max<uint64_t>(1, (spare + kSteps - 1) / kSteps);
  const size_t n_steps = static_cast<size_t>(spare / step);
  constexpr double kNever = std::numeric_limits<double>::infinity();
  std::vector<double> cost(n_steps + 1, 0.0);  // least cost with at most so many steps spent
  std::vector<std::vector<uint8_t>> chosen;
  for (const std::vector<BudgetOption>& list : lists) {
    RUVLLM_ASSERT(list.size() <= 255);
    const uint64_t smallest = std::ranges::min(list, {}, &BudgetOption::n_bytes).n_bytes;
    std::vector<double> next(n_steps + 1, kNever);
    std::vector<uint8_t> picks(n_steps + 1, 0);
    for (size_t option = 0; option < list.size(); ++option) {
      const size_t price = static_cast<size_t>((list[option].n_bytes - smallest + step - 1) / step);
      for (size_t spent = price; spent <= n_steps; ++spent) {
        const double total = cost[spent - price] + list[option].cost;
        if (total < next[spent]) {
          next[spent] = total;
          picks[spent] = static_cast<uint8_t>(option);
        }
      }
    }
    cost = std::move(next);
    chosen.push_back(std::move(picks));
  }

  std::vector<size_t> result(lists.size());
  size_t left = n_steps;
  for (size_t i = lists.size(); i-- > 0;) {
    const uint64_t smallest = std::ranges::min(lists[i], {}, &BudgetOption::n_bytes).n_bytes;
    result[i] = chosen[i][left];
    left -= static_cast<size_t>((lists[i][result[i]].n_bytes - smallest + step - 1) / step);
  }
  return result;
}

double weight_error(const format::Tensor& tensor, Format format, const Importance& importance) {
  const uint64_t n_columns = tensor.n_columns(), n_rows = tensor.n_rows();
  const uint64_t n_sampled = std::clamp<uint64_t>(kSampleValues / n_columns, 1, n_rows);
  const tensor::Grid grid = tensor::default_grid(format);
  std::vector<float> values(n_columns), decoded(n_columns);
  std::vector<std::byte> blocks(tensor::row_bytes(format, n_columns));
  double miss = 0, size = 0;
  for (uint64_t i = 0; i < n_sampled; ++i) {
    const uint64_t row = i * n_rows / n_sampled;
    tensor.decode(row * n_columns, values);
    require_finite_piece(tensor, {row * n_columns, n_columns}, values);
    const std::span<const float> weights = importance.of_row(tensor, row);
    tensor::encode_rows(format, grid, n_columns, values, weights, kernels::Search::fast, blocks);
    tensor::decode_rows(format, grid, n_columns, blocks, decoded);
    if (find_non_finite(decoded)) return std::numeric_limits<double>::infinity();
    for (uint64_t j = 0; j < n_columns; ++j) {
      const double weight = weights.empty() ? 1.0 : static_cast<double>(weights[j]);
      const double value = static_cast<double>(values[j]),
                   difference = static_cast<double>(decoded[j]) - value;
      miss += weight * difference * difference;
      size += weight * value * value;
    }
  }
  return size > 0 ? miss / size : 0;
}

std::vector<Choice> choose_formats_for_size(
    const format::ModelFile& model, const Recipe& recipe, uint64_t limit_bytes,
    const std::function<ErrorMeter(size_t tensor)>& meter_of, ThreadPool& pool,
    const std::function<void(uint64_t done, uint64_t total)>& progress) {
  std::vector<Choice> choices = choose_formats(model, recipe);
  std::vector<size_t> free;  // tensors whose format is to be chosen
  uint64_t fixed_bytes = 0;
  for (size_t i = 0; i < choices.size(); ++i) {
    if (choices[i].is_free) {
      free.push_back(i);
    } else {
      fixed_bytes +=
          tensor::row_bytes(choices[i].format, model.tensors[i].n_columns()) * model.tensors[i].n_rows();
    }
  }
  if (fixed_bytes > limit_bytes)
    throw Error(Errc::usage, "{} are too few: tensors that are not free take {}", format_bytes(limit_bytes),
                format_bytes(fixed_bytes));

  std::vector<std::vector<Format>> formats(free.size());
  std::vector<std::vector<BudgetOption>> lists(free.size());
  uint64_t n_done = 0;
  for (size_t f = 0; f < free.size(); ++f) {
    const format::Tensor& tensor = model.tensors[free[f]];
    for (const Format format : kLadder)
      if (tensor::divides(format, tensor.n_columns())) formats[f].push_back(format);
    const ErrorMeter meter = meter_of(free[f]);
    std::vector<double> errors(formats[f].size());
    pool.for_each_tile(errors.size(), [&](size_t k, int) { errors[k] = meter(formats[f][k]); });
    const double weight = choices[free[f]].is_output ? kOutputWeight : 1.0;
    lists[f] = make_options(tensor, formats[f], errors, weight);
    model.files[tensor.file_index].give_back(tensor.bytes);
    if (progress) progress(++n_done, free.size());
  }
  const std::vector<size_t> picks = fit_budget(lists, limit_bytes - fixed_bytes);
  for (size_t f = 0; f < free.size(); ++f) {
    choices[free[f]].format = formats[f][picks[f]];
    choices[free[f]].wanted.reset();
  }
  return choices;
}

}  // namespace ruvllm::quant
