#include "quant/incoherence.h"

#include "base/error.h"
#include "quant/encode_tensor.h"
#include "quant/piq.h"
#include "tensor/ops.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <vector>

namespace ruvllm::quant {
namespace {

using format::OwnFormats;

/// Values of each matrix that are measured, in rows spread evenly.
constexpr uint64_t kSampleValues = 128 * 1024;
/// Transforming activations costs time: a rotation has to take at least this part off the error.
constexpr double kLeastGain = 0.02;
constexpr uint64_t kSeed = 0x5275766C6C6D;

/// Rows of a tensor as they will be encoded, with their importance (or none).
struct Sample {
  uint64_t n_columns = 0;
  std::vector<float> values, weights;
};

Sample take_sample(const format::Tensor& tensor, std::span<const float> scales,
                   const Importance& importance) {
  Sample sample;
  const uint64_t n_columns = sample.n_columns = tensor.n_columns(), n_rows = tensor.n_rows();
  const uint64_t n_sampled = std::clamp<uint64_t>(kSampleValues / n_columns, 1, n_rows);
  sample.values.resize(n_sampled * n_columns);
  for (uint64_t i = 0; i < n_sampled; ++i) {
    const uint64_t row = i * n_rows / n_sampled;
    const std::span<float> values = std::span(sample.values).subspan(i * n_columns, n_columns);
    tensor.decode(row * n_columns, values);
    require_finite_piece(tensor, {row * n_columns, n_columns}, values);
    const std::span<const float> weights = importance.of_row(tensor, row);
    sample.weights.insert(sample.weights.end(), weights.begin(), weights.end());
  }
  if (scales.empty()) return sample;
  for (size_t i = 0; i < sample.values.size(); ++i) {
    const float scale = scales[i % n_columns];
    sample.values[i] *= scale;
    if (!sample.weights.empty()) sample.weights[i] /= scale * scale;
  }
  return sample;
}

Sample rotate(const Sample& sample, const tensor::Rotation& rotation) {
  Sample rotated = sample;
  rotation.apply(rotated.values);
  rotate_importance(rotation, rotated.weights);
  return rotated;
}

/// sum w (decoded - value)^2 of the sample, `encoded` being the sample as it is stored.
double error_of(const Sample& sample, const Sample& encoded, const tensor::Rotation* rotation, Format format,
                const tensor::Grid& grid) {
  const uint64_t n_columns = sample.n_columns, n_rows = sample.values.size() / n_columns;
  std::vector<std::byte> bytes(n_rows * tensor::row_bytes(format, n_columns));
  tensor::encode_rows(format, grid, n_columns, encoded.values, encoded.weights, kernels::Search::fast, bytes);
  std::vector<float> decoded(sample.values.size());
  tensor::decode_rows(format, grid, n_columns, bytes, decoded);
  if (rotation != nullptr) rotation->undo(decoded);
  double error = 0;
  for (size_t i = 0; i < decoded.size(); ++i) {
    const double miss = static_cast<double>(decoded[i]) - static_cast<double>(sample.values[i]);
    error += (sample.weights.empty() ? 1.0 : static_cast<double>(sample.weights[i])) * miss * miss;
  }
  return error;
}

/// What was found for one tensor.
struct Found {
  bool is_rotated = false;
  std::optional<OwnFormats::Levels> levels;
};

Found measure(const format::Tensor& tensor, Format format, std::span<const float> scales,
              const Importance& importance, const OwnOptions& options, uint64_t seed, int k) {
  const Sample sample = take_sample(tensor, scales, importance);
  const tensor::Rotation rotation(seed, sample.n_columns);
  Found found;
  Sample stored = sample;
  if (options.rotate) {
    const tensor::Grid grid = kernels::uniform_grid(format, k);
    Sample rotated = rotate(sample, rotation);
    found.is_rotated = error_of(sample, rotated, &rotation, format, grid) <
                       (1 - kLeastGain) * error_of(sample, sample, nullptr, format, grid);
    if (found.is_rotated) stored = std::move(rotated);
  }
  if (options.learn_levels)
    found.levels = learn_levels(format, k, sample.n_columns, stored.values, stored.weights);
  return found;
}

}  // namespace

OwnFormats choose_own_formats(const format::ModelFile& model, std::span<const Choice> choices,
                              const Folding& folding, const Importance& importance, const OwnOptions& options,
                              ThreadPool& pool,
                              const std::function<void(uint64_t done, uint64_t total)>& progress) {
  RUVLLM_ASSERT(choices.size() == model.tensors.size());
  OwnFormats own = format::read_own_formats(model.metadata);
  if (own.rotated.empty()) own.rotation_seed = kSeed;
  std::vector<size_t> encoded;  // tensors that are encoded anew
  for (size_t i = 0; i < choices.size(); ++i) {
    const format::Tensor& tensor = model.tensors[i];
    if (choices[i].format == tensor.format && folding.of_tensor(i).empty()) continue;
    own.codebooks.erase(tensor.name);
    own.rotated.erase(tensor.name);
    if (tensor::traits(choices[i].format).has_grid) encoded.push_back(i);
  }
  if (!options.rotate && !options.learn_levels) return own;
  std::vector<Found> found(encoded.size());
  uint64_t n_done = 0;
  const uint64_t at_once = static_cast<uint64_t>(pool.n_threads());
  for (size_t first = 0; first < encoded.size(); first += at_once) {
    const size_t n = std::min<size_t>(at_once, encoded.size() - first);
    pool.for_each_tile(n, [&](size_t j, int) {
      const size_t i = encoded[first + j];
      found[first + j] = measure(model.tensors[i], choices[i].format, folding.of_tensor(i), importance,
                                 options, own.rotation_seed, own.k);
    });
    n_done += n;
    if (progress) progress(n_done, encoded.size());
  }
  for (size_t j = 0; j < encoded.size(); ++j) {
    const std::string& name = model.tensors[encoded[j]].name;
    if (found[j].is_rotated) own.rotated.insert(name);
    if (found[j].levels) own.codebooks[name] = *found[j].levels;
  }
  return own;
}

void rotate_importance(const tensor::Rotation& rotation, std::span<float> weights) {
  const uint64_t block = rotation.block();
  RUVLLM_ASSERT(weights.size() % block == 0);
  for (size_t first = 0; first < weights.size(); first += block) {
    const std::span<float> of_block = weights.subspan(first, block);
    const double sum = std::accumulate(of_block.begin(), of_block.end(), 0.0);
    std::ranges::fill(of_block, static_cast<float>(sum / static_cast<double>(block)));
  }
}

Hessian rotate_hessian(const Hessian& hessian, const tensor::Rotation& rotation) {
  RUVLLM_ASSERT(hessian.n_columns == rotation.n_columns());
  Hessian rotated = hessian;
  const size_t n = hessian.n_columns;
  // H is symmetric: rotating its rows, transposing and rotating again is both sides.
  for (int side = 0; side < 2; ++side) {
    rotation.apply(rotated.sums);
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < i; ++j) std::swap(rotated.sums[i * n + j], rotated.sums[j * n + i]);
  }
  return rotated;
}

}  // namespace ruvllm::quant
