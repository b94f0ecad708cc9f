#include "quant/folding.h"

#include "base/error.h"
#include "quant/encode_tensor.h"
#include "tensor/ops.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>

namespace ruvllm::quant {
namespace {

/// Powers of importance that are tried; 0 leaves everything as it is.
constexpr double kPowers[] = {0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5};
/// Values of each matrix that are measured, in rows spread evenly.
constexpr uint64_t kSampleValues = 128 * 1024;
/// Scales have to take this part off the error: less is chance.
constexpr double kLeastGain = 0.02;
/// Scales stay within this factor of each other's middle.
constexpr double kMostScale = 64.0;

/// A norm and the matrices that its output goes into.
struct Fold {
  size_t norm;
  std::vector<size_t> matrices;
};

class Finder {
 public:
  explicit Finder(const format::ModelFile& model) : model_(model) {}

  std::vector<Fold> find() {
    const std::string architecture(model_.metadata.string("general.architecture").value_or(""));
    const int64_t n_layers = model_.metadata.integer(architecture + ".block_count").value_or(0);
    std::vector<Fold> folds;
    for (int64_t layer = 0; layer < n_layers; ++layer) {
      prefix_ = fmt::format("blk.{}.", layer);
      // One norm for attention and feed-forward, or a second one beside it: not the plain arrangement.
      if (!index_of("ffn_norm.weight") || index_of("attn_norm_2.weight")) continue;
      add(folds, "attn_norm", {"attn_q.weight", "attn_k.weight", "attn_v.weight", "attn_qkv.weight"});
      if (!index_of("ffn_gate_inp.weight")) add(folds, "ffn_norm", {"ffn_gate.weight", "ffn_up.weight"});
    }
    return folds;
  }

 private:
  void add(std::vector<Fold>& folds, const std::string& norm, std::initializer_list<const char*> consumers) {
    const std::optional<size_t> weight = index_of(norm + ".weight");
    if (!weight || index_of(norm + ".bias") || model_.tensors[*weight].format != Format::F32) return;
    Fold fold{*weight, {}};
    for (const char* consumer : consumers)
      if (const auto index = index_of(consumer)) fold.matrices.push_back(*index);
    if (!fold.matrices.empty()) folds.push_back(std::move(fold));
  }

  std::optional<size_t> index_of(const std::string& part) const {
    const format::Tensor* tensor = model_.find(prefix_ + part);
    if (tensor == nullptr) return std::nullopt;
    return static_cast<size_t>(tensor - model_.tensors.data());
  }

  const format::ModelFile& model_;
  std::string prefix_;
};

/// importance^power, the largest and the smallest equally far from 1.
std::vector<float> make_scales(std::span<const float> importance, double power) {
  std::vector<double> logs;
  for (const float weight : importance) logs.push_back(power * std::log(static_cast<double>(weight)));
  const auto [low, high] = std::ranges::minmax(logs);
  std::vector<float> scales;
  for (const double log : logs)
    scales.push_back(
        static_cast<float>(std::clamp(std::exp(log - 0.5 * (low + high)), 1 / kMostScale, kMostScale)));
  return scales;
}

/// sum importance (Q(w s) / s - w)^2 over a sample of rows, as a share of the sum of importance w^2.
double weight_error_with(const format::Tensor& tensor, Format format, std::span<const float> importance,
                         std::span<const float> scales) {
  const uint64_t n_columns = tensor.n_columns(), n_rows = tensor.n_rows();
  const uint64_t n_sampled = std::clamp<uint64_t>(kSampleValues / n_columns, 1, n_rows);
  const tensor::Grid grid = tensor::default_grid(format);
  std::vector<float> values(n_columns), scaled(n_columns), decoded(n_columns), weights(n_columns);
  std::vector<std::byte> blocks(tensor::row_bytes(format, n_columns));
  for (uint64_t j = 0; j < n_columns; ++j) weights[j] = importance[j] / (scales[j] * scales[j]);
  double error = 0, size = 0;
  for (uint64_t i = 0; i < n_sampled; ++i) {
    const uint64_t row = i * n_rows / n_sampled;
    tensor.decode(row * n_columns, values);
    require_finite_piece(tensor, {row * n_columns, n_columns}, values);
    for (uint64_t j = 0; j < n_columns; ++j) scaled[j] = values[j] * scales[j];
    tensor::encode_rows(format, grid, n_columns, scaled, weights, kernels::Search::fast, blocks);
    tensor::decode_rows(format, grid, n_columns, blocks, decoded);
    for (uint64_t j = 0; j < n_columns; ++j) {
      const double miss = static_cast<double>(decoded[j] - scaled[j]);
      error += static_cast<double>(weights[j]) * miss * miss;
      size += static_cast<double>(importance[j]) * static_cast<double>(values[j]) *
              static_cast<double>(values[j]);
    }
  }
  if (!std::isfinite(error)) return std::numeric_limits<double>::infinity();
  return size > 0 ? error / size : 0;
}

double error_of(const format::Tensor& tensor, Format format, const FoldingGuide& guide,
                std::span<const float> activity, std::span<const float> scales) {
  const auto held = guide.held_back.find(tensor.name);
  if (held == guide.held_back.end()) return weight_error_with(tensor, format, activity, scales);
  return output_error(tensor, *held->second,
                      {format, guide.effort, guide.importance.of_tensor(tensor), scales, nullptr});
}

}  // namespace

bool Folding::empty() const {
  return std::ranges::all_of(scales_, [](const std::vector<float>& scales) { return scales.empty(); });
}

Folding choose_folding(const format::ModelFile& model, std::span<const Choice> choices,
                       const FoldingGuide& guide, ThreadPool& pool,
                       const std::function<void(uint64_t done, uint64_t total)>& progress) {
  RUVLLM_ASSERT(choices.size() == model.tensors.size());
  Folding folding(model.tensors.size());
  const std::vector<Fold> folds = Finder(model).find();
  uint64_t n_done = 0;
  for (const Fold& fold : folds) {
    // All matrices meet the same input, and so have the same activity.
    const std::span<const float> activity = guide.activity.of_row(model.tensors[fold.matrices.front()], 0);
    if (!activity.empty()) {
      double errors[std::size(kPowers)] = {};
      pool.for_each_tile(std::size(kPowers), [&](size_t k, int) {
        const std::vector<float> scales = make_scales(activity, kPowers[k]);
        for (const size_t matrix : fold.matrices)
          if (tensor::traits(choices[matrix].format).is_quantised)
            errors[k] += error_of(model.tensors[matrix], choices[matrix].format, guide, activity, scales);
      });
      const size_t best = static_cast<size_t>(std::ranges::min_element(errors) - errors);
      if (errors[best] < (1 - kLeastGain) * errors[0]) {
        const std::vector<float> scales = make_scales(activity, kPowers[best]);
        for (const size_t matrix : fold.matrices) folding.set(matrix, scales);
        std::vector<float> inverses;
        for (const float scale : scales) inverses.push_back(1.0f / scale);
        folding.set(fold.norm, std::move(inverses));
      }
    }
    if (progress) progress(++n_done, folds.size());
  }
  return folding;
}

}  // namespace ruvllm::quant
