#include "quant/held_back.h"

#include "base/error.h"
#include "base/finite.h"
#include "quant/encode_tensor.h"
#include "tensor/gemm.h"
#include "tensor/ops.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

namespace ruvllm::quant {
namespace {

/// Values of each matrix that are measured, in rows spread evenly.
constexpr uint64_t kSampleValues = 64 * 1024;
/// Powers of importance that are tried; the first is what another has to beat ...
constexpr double kPowers[] = {0.0, 0.5, 1.0};
/// ... by this part of the error: less is chance.
constexpr double kLeastGain = 0.01;

std::span<const float> weights_of(std::span<const float> importance, const format::Tensor& tensor,
                                  uint64_t row) {
  return importance_of_row(importance, tensor.n_rows(), tensor.n_columns(), row);
}

/// Rows of a tensor, and what rounding leaves of them.
struct Sample {
  std::vector<float> values, errors;  // (n_rows, n_columns)
};

/// The n_sampled rows, evenly among n_rows from first_row on.
void take_rows(const format::Tensor& tensor, uint64_t first_row, uint64_t n_rows, uint64_t n_sampled,
               Sample& sample) {
  const uint64_t n = tensor.n_columns();
  sample.values.resize(n_sampled * n);
  for (uint64_t i = 0; i < n_sampled; ++i) {
    const Piece piece = {(first_row + i * n_rows / n_sampled) * n, n};
    const std::span<float> row = std::span(sample.values).subspan(i * n, n);
    tensor.decode(piece.first_value, row);
    require_finite_piece(tensor, piece, row);
  }
}

/// Fills sample.errors; false where the format cannot hold the values.
bool round_rows(const Rounding& rounding, std::span<const float> weights, uint64_t n_columns,
                Sample& sample) {
  const tensor::Grid grid = tensor::default_grid(rounding.format);
  std::vector<float> scaled = sample.values, importance;
  for (size_t i = 0; i < scaled.size(); ++i) {
    const float scale = rounding.scales.empty() ? 1.0f : rounding.scales[i % n_columns];
    scaled[i] *= scale;
    if (!weights.empty()) importance.push_back(weights[i % n_columns] / (scale * scale));
  }
  const uint64_t n_rows = scaled.size() / n_columns;
  std::vector<std::byte> blocks(n_rows * tensor::row_bytes(rounding.format, n_columns));
  if (rounding.solver != nullptr && GptqSolver::supports(rounding.format))
    rounding.solver->quantise_rows(rounding.format, grid, scaled, rounding.effort, blocks);
  else
    tensor::encode_rows(rounding.format, grid, n_columns, scaled, importance, rounding.effort, blocks);
  sample.errors.resize(scaled.size());
  tensor::decode_rows(rounding.format, grid, n_columns, blocks, sample.errors);
  if (find_non_finite(sample.errors)) return false;
  for (size_t i = 0; i < scaled.size(); ++i) {
    const float scale = rounding.scales.empty() ? 1.0f : rounding.scales[i % n_columns];
    sample.errors[i] = (sample.errors[i] - scaled[i]) / scale;
  }
  return true;
}

/// sum |X m^T|^2 for the rows m.
double output_energy(const HeldInputs& inputs, std::span<const float> rows, tensor::GemmScratch& scratch) {
  const size_t n = inputs.n_columns, n_inputs = inputs.n_rows(), n_rows = rows.size() / n;
  std::vector<float> outputs(n_inputs * n_rows);
  tensor::gemm({n_inputs, n_rows, n}, {inputs.rows.data(), n, 1}, {rows.data(), 1, n}, outputs.data(), n_rows,
               false, scratch);
  double sum = 0;
  for (const float output : outputs) sum += static_cast<double>(output) * static_cast<double>(output);
  return sum;
}

std::vector<float> to_power(std::span<const float> weights, double power) {
  std::vector<float> raised;
  if (power > 0)
    for (const float weight : weights)
      raised.push_back(static_cast<float>(std::pow(static_cast<double>(weight), power)));
  return raised;
}

}  // namespace

double output_error(const format::Tensor& tensor, std::span<const HeldInputs> inputs,
                    const Rounding& rounding) {
  const uint64_t rows_each = tensor.n_rows() / inputs.size();
  const auto n_seen = static_cast<uint64_t>(
      std::ranges::count_if(inputs, [](const HeldInputs& of) { return of.n_rows() > 0; }));
  if (n_seen == 0) return 0;
  const uint64_t n_sampled = std::clamp<uint64_t>(kSampleValues / tensor.n_columns() / n_seen, 1, rows_each);
  tensor::GemmScratch scratch;
  Sample sample;
  double miss = 0, size = 0;
  for (size_t expert = 0; expert < inputs.size(); ++expert) {
    if (inputs[expert].n_rows() == 0) continue;
    take_rows(tensor, expert * rows_each, rows_each, n_sampled, sample);
    const std::span<const float> weights = weights_of(rounding.importance, tensor, expert * rows_each);
    if (!round_rows(rounding, weights, tensor.n_columns(), sample))
      return std::numeric_limits<double>::infinity();
    miss += output_energy(inputs[expert], sample.errors, scratch);
    size += output_energy(inputs[expert], sample.values, scratch);
  }
  return size > 0 ? finite_figure(miss / size, "the error of " + tensor.name + " on the calibration text")
                  : 0;
}

Importance choose_importance(const format::ModelFile& model, std::span<const Choice> choices,
                             const Importance& fitted, const Importance& whole, const HeldBack& held_back,
                             kernels::Search effort, ThreadPool& pool,
                             const std::function<void(uint64_t done, uint64_t total)>& progress) {
  RUVLLM_ASSERT(choices.size() == model.tensors.size());
  Importance chosen = whole;
  for (size_t i = 0; i < choices.size(); ++i) {
    const format::Tensor& tensor = model.tensors[i];
    const auto held = held_back.find(tensor.name);
    const std::span<const float> weights = fitted.of_tensor(tensor);
    if (weights.empty() || held == held_back.end() || !tensor::traits(choices[i].format).is_quantised)
      continue;
    double errors[std::size(kPowers)];
    pool.for_each_tile(std::size(kPowers), [&](size_t k, int) {
      const std::vector<float> raised = to_power(weights, kPowers[k]);
      errors[k] = output_error(tensor, *held->second, {choices[i].format, effort, raised, {}, nullptr});
    });
    const auto best = static_cast<size_t>(std::ranges::min_element(errors) - errors);
    const double power = errors[best] < (1 - kLeastGain) * errors[0] ? kPowers[best] : 0.0;
    chosen.replace(tensor.name, to_power(whole.of_tensor(tensor), power));
    if (!model.files.empty()) model.files[tensor.file_index].give_back(tensor.bytes);
    if (progress) progress(i + 1, choices.size());
  }
  return chosen;
}

}  // namespace ruvllm::quant
