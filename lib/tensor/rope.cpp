#include "tensor/rope.h"

#include "base/error.h"
#include "kernels/kernels.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numbers>
#include <utility>

namespace ruvllm::tensor {
namespace {

constexpr std::array<std::pair<std::string_view, RopeScaling>, 8> kScalingNames = {{
    {"none", RopeScaling::none},
    {"linear", RopeScaling::linear},
    {"ntk", RopeScaling::ntk},
    {"dynamic", RopeScaling::dynamic},
    {"yarn", RopeScaling::yarn},
    {"longrope", RopeScaling::longrope},
    {"su", RopeScaling::longrope},  // phi-3's first name for it
    {"llama3", RopeScaling::none},  // its factors come as a tensor
}};

/// The base with which the slowest pair turns `factor` times slower and the fastest as before.
double ntk_base(double base, double factor, double n_dimensions) {
  return base * std::pow(factor, n_dimensions / (n_dimensions - 2.0));
}

double effective_base(const RopeParameters& p, uint32_t context) {
  if (p.n_dimensions <= 2) return p.base;  // one pair turns by 1 whatever the base
  if (p.scaling == RopeScaling::ntk) return ntk_base(p.base, p.factor, p.n_dimensions);
  if (p.scaling == RopeScaling::dynamic && p.original_context != 0 && context > p.original_context) {
    const double needed = p.factor * context / p.original_context - (p.factor - 1.0);
    return ntk_base(p.base, needed, p.n_dimensions);
  }
  return p.base;
}

/// The (fractional) pair that makes `turns` turns within the original context: solves
/// original_context * base^(-2 i / n) = 2 pi turns for i.
double pair_with_turns(const RopeParameters& p, double turns) {
  return p.n_dimensions * std::log(p.original_context / (turns * 2.0 * std::numbers::pi)) /
         (2.0 * std::log(p.base));
}

/// YaRN's share of the unscaled frequency for each pair: 1 for fast pairs, 0 for slow ones, a ramp between.
struct YarnRamp {
  explicit YarnRamp(const RopeParameters& p)
      : first(std::max(0.0, std::floor(pair_with_turns(p, p.beta_fast)))),
        last(std::min(p.n_dimensions - 1.0, std::ceil(pair_with_turns(p, p.beta_slow)))) {}
  double kept_share(double pair) const {
    const double ramp = (pair - first) / std::max(0.001, last - first);
    return 1.0 - std::clamp(ramp, 0.0, 1.0);
  }
  double first, last;
};

}  // namespace

bool find_rope_scaling(std::string_view name, RopeScaling& scaling) {
  const auto row = std::find_if(kScalingNames.begin(), kScalingNames.end(),
                                [&](const auto& r) { return r.first == name; });
  if (row == kScalingNames.end()) return false;
  scaling = row->second;
  return true;
}

Rope::Rope(const RopeParameters& p, uint32_t context) : magnitude_(p.attention_factor) {
  RUVLLM_ASSERT(p.n_dimensions % 2 == 0);
  const bool is_long = !p.long_factors.empty() && context > p.original_context;
  const std::span<const float> factors = is_long ? p.long_factors : p.factors;
  const double base = effective_base(p, context);
  const YarnRamp ramp(p);
  frequencies_.resize(p.n_dimensions / 2);
  RUVLLM_ASSERT(factors.empty() || factors.size() == frequencies_.size());
  for (size_t pair = 0; pair < frequencies_.size(); ++pair) {
    double frequency = std::pow(base, -2.0 * static_cast<double>(pair) / p.n_dimensions);
    if (!factors.empty()) frequency /= factors[pair];
    if (p.scaling == RopeScaling::linear || p.scaling == RopeScaling::longrope) frequency /= p.factor;
    if (p.scaling == RopeScaling::yarn) {
      const double kept = ramp.kept_share(static_cast<double>(pair)) * p.extrapolation_mix;
      frequency *= kept + (1.0 - kept) / p.factor;
    }
    frequencies_[pair] = frequency;
  }
  if (p.scaling == RopeScaling::yarn && p.extrapolation_mix != 0.0 && p.factor > 1.0)
    magnitude_ *= (1.0 + 0.1 * std::log(p.factor)) / (1.0 + 0.1 * p.yarn_log_multiplier * std::log(p.factor));
}

void Rope::angles(uint32_t position, std::span<float> cosines, std::span<float> sines) const {
  RUVLLM_ASSERT(cosines.size() == n_pairs() && sines.size() == n_pairs());
  for (size_t pair = 0; pair < n_pairs(); ++pair) {
    const double angle = position * frequencies_[pair];
    cosines[pair] = static_cast<float>(std::cos(angle) * magnitude_);
    sines[pair] = static_cast<float>(std::sin(angle) * magnitude_);
  }
}

void rotate(ThreadPool& pool, std::span<float> x, uint32_t n_heads, uint32_t head_dimension,
            std::span<const float> cosines, std::span<const float> sines, uint32_t n_pairs, bool half_split) {
  const size_t width = size_t{n_heads} * head_dimension;
  const size_t n_rows = x.size() / width;
  RUVLLM_ASSERT(x.size() == n_rows * width && 2 * n_pairs <= head_dimension);
  RUVLLM_ASSERT(cosines.size() == n_rows * n_pairs && sines.size() == n_rows * n_pairs);
  if (n_pairs == 0) return;
  constexpr size_t kTileRows = 16;
  pool.for_each_tile((n_rows + kTileRows - 1) / kTileRows, [&](size_t tile, int) {
    const size_t end = std::min(n_rows, (tile + 1) * kTileRows);
    for (size_t row = tile * kTileRows; row < end; ++row)
      for (size_t head = 0; head < n_heads; ++head)
        kernels::active().rope(&x[row * width + head * head_dimension], &cosines[row * n_pairs],
                               &sines[row * n_pairs], 2 * n_pairs, half_split);
  });
}

std::vector<float> alibi_slopes(uint32_t n_heads, float max_bias) {
  // The paper's geometric series for the largest power of two; heads beyond it take every second slope of the
  // series for twice as many.
  const uint32_t power = std::bit_floor(n_heads);
  const double ratio = std::exp2(-static_cast<double>(max_bias) / power);
  const double finer = std::exp2(-static_cast<double>(max_bias) / (2.0 * power));
  std::vector<float> slopes(n_heads);
  for (uint32_t head = 0; head < n_heads; ++head)
    slopes[head] = static_cast<float>(head < power ? std::pow(ratio, head + 1)
                                                   : std::pow(finer, 2 * (head - power) + 1));
  return slopes;
}

}  // namespace ruvllm::tensor
