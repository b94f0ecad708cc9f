#include "quant/piq.h"

#include "base/error.h"
#include "kernels/formats/floats.h"
#include "kernels/piq.h"
#include "tensor/ops.h"

#include <algorithm>
#include <cmath>

namespace ruvllm::quant {
namespace {

using format::OwnFormats;
using tensor::Format;
using tensor::Grid;

constexpr int kLloydRounds = 12;
/// Levels are worth a table only where they take at least this part off the error.
constexpr double kLeastGain = 0.01;
constexpr float kSmallestAlpha = 0x1p-14f;

double weighted_error(std::span<const float> a, std::span<const float> b, std::span<const float> w) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double miss = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += (w.empty() ? 1.0 : static_cast<double>(w[i])) * miss * miss;
  }
  return sum;
}

/// Rows encoded on a grid, with what that costs and what the best levels for these alphas and codes would be,
/// in units of the grid.
class Trial {
 public:
  Trial(Format format, const Grid& grid, uint64_t n_columns, std::span<const float> rows,
        std::span<const float> importance)
      : format_(format), n_columns_(n_columns), row_bytes_(tensor::row_bytes(format, n_columns)) {
    bytes_.resize(rows.size() / n_columns * row_bytes_);
    tensor::encode_rows(format, grid, n_columns, rows, importance, kernels::Search::fast, bytes_);
    std::vector<float> decoded(rows.size());
    tensor::decode_rows(format, grid, n_columns, bytes_, decoded);
    error_ = weighted_error(decoded, rows, importance);
    fit(grid, rows, importance);
  }
  double error() const { return error_; }
  /// The best levels; where no value has a code, the grid's own.
  std::span<const double> levels() const { return levels_; }

 private:
  void fit(const Grid& grid, std::span<const float> rows, std::span<const float> importance) {
    const int n_levels = kernels::grid_levels(format_);
    std::vector<double> step_x(8, 0.0), step_step(8, 0.0);
    std::vector<uint8_t> codes(n_columns_);
    std::vector<float> alphas(n_alphas(format_, n_columns_));
    for (size_t row = 0; row * n_columns_ < rows.size(); ++row) {
      kernels::unpack_piq_row(format_, &bytes_[row * row_bytes_], n_columns_, alphas.data(), codes.data());
      for (size_t i = 0; i < n_columns_; ++i) {
        const size_t place = row * n_columns_ + i;
        const double step = static_cast<double>(alphas[i / tensor::traits(format_).block_values]) *
                            static_cast<double>(grid.unit);
        const double weight = importance.empty() ? 1.0 : static_cast<double>(importance[place]);
        step_x[codes[i]] += weight * step * static_cast<double>(rows[place]);
        step_step[codes[i]] += weight * step * step;
      }
    }
    for (int code = 0; code < n_levels; ++code)
      levels_.push_back(step_step[code] > 0 ? step_x[code] / step_step[code] : grid.levels[code]);
  }

  Format format_;
  uint64_t n_columns_, row_bytes_;
  std::vector<std::byte> bytes_;
  std::vector<double> levels_;
  double error_ = 0;
};

/// Levels as bytes: the largest becomes 127.
OwnFormats::Levels round_levels(std::span<const double> levels) {
  double most = 0;
  for (const double level : levels) most = std::max(most, std::fabs(level));
  OwnFormats::Levels rounded = {};
  for (size_t i = 0; i < levels.size(); ++i)
    rounded[i] = static_cast<int8_t>(std::lround(most > 0 ? 127 * levels[i] / most : 0));
  std::ranges::sort(std::span(rounded).first(levels.size()));
  return rounded;
}

}  // namespace

uint64_t n_alphas(Format format, uint64_t n_columns) {
  const uint64_t block = tensor::traits(format).block_values;
  return (n_columns + block - 1) / block;
}

float stored_alpha(float alpha) {
  return kernels::f16_to_f32(kernels::f32_to_f16(std::clamp(alpha, kSmallestAlpha, 65504.0f)));
}

void encode_with_alphas(Format format, const Grid& grid, std::span<const float> values,
                        std::span<const float> alphas, std::span<std::byte> bytes) {
  RUVLLM_ASSERT(alphas.size() == n_alphas(format, values.size()));
  RUVLLM_ASSERT(bytes.size() == tensor::row_bytes(format, values.size()));
  const uint64_t block = tensor::traits(format).block_values;
  std::vector<float> stored(alphas.size());
  std::ranges::transform(alphas, stored.begin(), stored_alpha);
  std::vector<uint8_t> codes(values.size());
  for (size_t i = 0; i < values.size(); ++i)
    codes[i] = static_cast<uint8_t>(kernels::nearest_code(grid, kernels::grid_levels(format),
                                                          values[i] / (stored[i / block] * grid.unit)));
  kernels::pack_piq_row(format, stored.data(), codes.data(), values.size(), bytes.data());
}

std::vector<float> read_alphas(Format format, uint64_t n_columns, std::span<const std::byte> bytes) {
  RUVLLM_ASSERT(bytes.size() == tensor::row_bytes(format, n_columns));
  std::vector<float> alphas(n_alphas(format, n_columns));
  kernels::unpack_piq_row(format, bytes.data(), n_columns, alphas.data(), nullptr);
  return alphas;
}

std::optional<OwnFormats::Levels> learn_levels(Format format, int k, uint64_t n_columns,
                                               std::span<const float> rows,
                                               std::span<const float> importance) {
  OwnFormats own;
  own.k = k;
  const Trial uniform(format, own.grid_of(format, ""), n_columns, rows, importance);
  OwnFormats::Levels best = {};
  double least = (1 - kLeastGain) * uniform.error();
  bool is_found = false;
  OwnFormats::Levels levels = round_levels(uniform.levels());
  for (int round = 0; round < kLloydRounds; ++round) {
    own.codebooks[""] = levels;
    const Trial trial(format, own.grid_of(format, ""), n_columns, rows, importance);
    if (trial.error() < least) {
      least = trial.error();
      best = levels;
      is_found = true;
    }
    const OwnFormats::Levels next = round_levels(trial.levels());
    if (next == levels) break;
    levels = next;
  }
  return is_found ? std::optional(best) : std::nullopt;
}

}  // namespace ruvllm::quant
