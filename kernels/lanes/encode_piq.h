// PIQ2 and PIQ3 encoded: a lane is a trial of alpha, and every value is rounded with sixteen of them at once.
//
// Three passes over a block: trials spread over all that makes sense, trials around the best of them, and the
// f16 numbers around the scale that fits the best one's quants in least squares; of these the one that really
// errs least is stored.
#pragma once

#include "kernels/formats/piq.h"
#include "kernels/lanes/search.h"

namespace ruvllm::kernels {
namespace {

/// Rounds numbers of units to levels of a grid.
struct LevelsOf {
  const Grid& grid;
  int n_levels;
  bool is_uniform;  ///< levels are consecutive integers

  LevelsOf(const Grid& of, int n) : grid(of), n_levels(n), is_uniform(true) {
    for (int i = 1; i < n; ++i) is_uniform &= of.levels[i] == of.levels[i - 1] + 1;
  }
  float low() const { return static_cast<float>(grid.levels[0]); }
  float high() const { return static_cast<float>(grid.levels[n_levels - 1]); }
  float largest() const { return -low() > high() ? -low() : high(); }

  Wide level(Wide t) const {
    if (is_uniform) return clamp(round(t), low(), high());
    Wide found = low();
    for (int i = 1; i < n_levels; ++i)
      found = if_less(t, middle(i), found, Wide(static_cast<float>(grid.levels[i])));
    return found;
  }
  Wide code(Wide t) const {
    if (is_uniform) return clamp(round(t), low(), high()) - low();
    Wide found = 0.0f;
    for (int i = 1; i < n_levels; ++i) found = if_less(t, middle(i), found, Wide(static_cast<float>(i)));
    return found;
  }

 private:
  /// Where code i begins.
  float middle(int i) const { return 0.5f * static_cast<float>(grid.levels[i - 1] + grid.levels[i]); }
};

/// What sixteen inverse scales make of n values.
inline Moments try_scales(const float* x, const float* w, size_t n, Wide inverse, const LevelsOf& levels) {
  Moments sums{0.0f, 0.0f};
  for (size_t i = 0; i < n; ++i) {
    const Wide value = x[i], q = levels.level(value * inverse);
    const Wide wq = q * w[i];
    sums.qq += wq * q;
    sums.qx += wq * value;
  }
  return sums;
}

/// The trial that takes most off the error: its number.
inline int best_lane(const Sixteen& gains) {
  int best = 0;
  for (int l = 1; l < 16; ++l)
    if (gains[l] > gains[best]) best = l;
  return best;
}

/// Gains of scales that are positive; others gain nothing.
inline Sixteen positive_gains(const Moments& sums) { return if_less(0.0f, sums.qx, sums.gain(), Wide(0.0f)); }

/// Where a trial puts the largest value, in parts of the largest level: 0.6 to 6, each 16.6 % on.
constexpr float kPiqPeaks[16] = {0.6f,    0.6996f, 0.8157f, 0.951f,  1.1088f, 1.2927f, 1.5072f, 1.7573f,
                                 2.0489f, 2.3889f, 2.7852f, 3.2474f, 3.7862f, 4.4145f, 5.147f,  6.0f};
/// Around the best trial.
constexpr float kPiqFactors[16] = {0.87f, 0.886f, 0.902f, 0.918f, 0.934f, 0.95f,  0.966f, 0.982f,
                                   1.0f,  1.018f, 1.036f, 1.054f, 1.072f, 1.092f, 1.112f, 1.132f};

/// The alpha for n values that causes the least error, a positive f16 number or 0.
inline float fit_alpha(const float* x, const float* w, size_t n, const LevelsOf& levels, Search effort) {
  float most = 0.0f;
  for (size_t i = 0; i < n; ++i) most = __builtin_fabsf(x[i]) > most ? __builtin_fabsf(x[i]) : most;
  if (!(most > 0.0f)) return 0.0f;
  float inverse = levels.largest() / most;
  if (!(inverse < 1e37f)) return 0.0f;
  const auto narrow_down = [&](const float* factors, float* scale) {
    const Sixteen inverses = Wide(inverse) * load(factors);
    const Moments sums = try_scales(x, w, n, inverses, levels);
    const int lane = best_lane(positive_gains(sums));
    inverse = inverses[lane];
    *scale = Sixteen(sums.scale())[lane];
  };
  float scale = 0.0f;
  narrow_down(kPiqPeaks, &scale);
  for (int pass = effort == Search::best ? 3 : 1; pass > 0 && scale > 0.0f; --pass) {
    narrow_down(kPiqFactors, &scale);
    if (pass > 1 && scale > 0.0f) inverse = 1.0f / scale;
  }
  if (!(scale > 0.0f)) return 0.0f;

  const float alpha = scale / levels.grid.unit;
  const uint16_t middle = f32_to_f16(alpha < 65000.0f ? alpha : 65000.0f);
  Sixteen alphas, steps;
  for (int l = 0; l < 16; ++l) {
    const int half = middle + 2 * (l - 8);
    alphas[l] = half > 0 && half < 0x7C00 ? f16_to_f32(static_cast<uint16_t>(half)) : f16_to_f32(middle);
    steps[l] = alphas[l] * levels.grid.unit;
  }
  const Wide step = steps;
  const Moments sums = try_scales(x, w, n, ratio(1.0f, step), levels);
  return alphas[best_lane(Wide(0.0f) - sums.change(step))];
}

/// One block of n values.
template <class Block>
void encode_block(const float* x, const float* w, size_t n, const LevelsOf& levels, Search effort,
                  uint8_t* block) {
  const float alpha = fit_alpha(x, w, n, levels, effort);
  const uint16_t half = f32_to_f16(alpha);
  memcpy(block, &half, sizeof half);
  const float step = alpha * levels.grid.unit;
  const Wide inverse = step > 0.0f ? 1.0f / step : 0.0f;
  uint8_t codes[Block::kValues];
  for (size_t first = 0; first < n; first += 16) {
    float values[16] = {};
    memcpy(values, x + first, (n - first < 16 ? n - first : 16) * sizeof(float));
    int8_t found[16];
    store_bytes(found, round_to_ints(levels.code(Wide(load(values)) * inverse).lanes));
    memcpy(codes + first, found, n - first < 16 ? n - first : 16);
  }
  pack_codes<Block::kBits>(codes, n, block + sizeof half);
}

template <class Block>
void encode_on_grid(const float* values, const float* importance, size_t n_values, void* blocks,
                    const Grid& grid, Search effort) {
  const LevelsOf levels(grid, 1 << Block::kBits);
  float ones[Block::kValues];
  for (float& one : ones) one = 1.0f;
  uint8_t* block = static_cast<uint8_t*>(blocks);
  for (size_t first = 0; first < n_values; first += Block::kValues, block += sizeof(Block)) {
    const size_t n = n_values - first < Block::kValues ? n_values - first : Block::kValues;
    const float* w = importance != nullptr ? importance + first : ones;
    float total = 0.0f;
    for (size_t i = 0; i < n; ++i) total += w[i];
    encode_block<Block>(values + first, total > 0.0f ? w : ones, n, levels, effort, block);
  }
}

template <class Block, Format format>
void encode_uniform(const float* values, const float* importance, size_t n_values, void* blocks,
                    Search effort) {
  encode_on_grid<Block>(values, importance, n_values, blocks, uniform_grid(format), effort);
}

}  // namespace
}  // namespace ruvllm::kernels
