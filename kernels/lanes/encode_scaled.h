// Two levels of scale for formats without minimums (Q3_K, Q6_K, IQ4_XS): a lane is a sub-block.
//
// First every sub-block gets the real scale that suits it best; then the block gets the step d in which
// scales are counted, and they are re-chosen as integers by the error that they really cause, in turns with a
// least-squares fit of d.
#pragma once

#include "kernels/formats/floats.h"
#include "kernels/lanes/search.h"

namespace ruvllm::kernels {
namespace {

inline float round_to_f16(float value) { return f16_to_f32(f32_to_f16(value)); }
inline float inverse_or_zero(float value) { return value != 0.0f ? 1.0f / value : 0.0f; }
inline Wide inverse_or_zero(Wide value) { return if_less(0.0f, magnitude(value), Wide(1.0f) / value, 0.0f); }
inline float sum_from(const Sixteen& values, int first, int n) {
  float sum = 0.0f;
  for (int l = first; l < first + n; ++l) sum += values[l];
  return sum;
}

/// How much is searched.
struct ScaledEffort {
  int n_peaks, n_refinements;  ///< for the real scales
  int n_starts, n_rounds;      ///< steps d to begin with, and fits of each
  int reach;                   ///< integers on either side of the nearest
  float start_step = 0.03f;    ///< by how much of itself the lowest integer moves from start to start
};

/// How a format without minimums counts.
struct ScaledShape {
  float scale_low, scale_high;  ///< of the integer scales
  int lanes;                    ///< sub-blocks of a block: 16, or 8 (then a tile holds two blocks)
};

/// One or two blocks as they will be stored; d is the same in all lanes of a block.
struct ScaledBlocks {
  Sixteen d;
  Sixteen scales;  // integers
};

/// Integer scales near `target` (real) that cause the least error in steps of d: the change of error by
/// lanes.
template <int n, class Quantise>
Wide choose_scales(const Tile<n>& tile, const ScaledShape& shape, Wide d, Wide target, int reach,
                   Quantise quantise, Wide& scales, Moments& chosen) {
  const Wide nearest = clamp(round(target * inverse_or_zero(d)), shape.scale_low, shape.scale_high);
  Wide least = 0.0f;
  scales = 0.0f;
  chosen = {0.0f, 0.0f};
  for (int offset = -reach; offset <= reach; ++offset) {
    const Wide trial = clamp(nearest + static_cast<float>(offset), shape.scale_low, shape.scale_high);
    const Wide step = trial * d;
    const Moments sums = moments(tile, inverse_or_zero(step), quantise);
    const Wide change = sums.change(step);
    scales = if_less(change, least, trial, scales);
    chosen.qq = if_less(change, least, sums.qq, chosen.qq);
    chosen.qx = if_less(change, least, sums.qx, chosen.qx);
    least = min(least, change);
  }
  return least;
}

/// The value of largest magnitude among `values[first ... first + n)`.
inline float extreme_from(const Sixteen& values, int first, int n) {
  float extreme = 0.0f;
  for (int l = first; l < first + n; ++l)
    if (__builtin_fabsf(values[l]) > __builtin_fabsf(extreme)) extreme = values[l];
  return extreme;
}

/// Chooses d and the integer scales of sub-blocks, quantised by `quantise(x / scale)`, and leaves those
/// quants in q.
template <int n, class Quantise>
ScaledBlocks fit_scaled(const Tile<n>& tile, const ScaledShape& shape, const float* peaks,
                        const ScaledEffort& effort, Quantise quantise, Wide* q) {
  const Wide real_scales =
      fit_scale(tile, extreme_value(tile), peaks, effort.n_peaks, effort.n_refinements, quantise);
  ScaledBlocks best;
  best.d = best.scales = Wide(0.0f);
  float least[2] = {0.0f, 0.0f};
  for (int start = 0; start < effort.n_starts; ++start) {
    // The extreme scale becomes the lowest integer, or one of the next ones.
    const float lowest = shape.scale_low * (1.0f - effort.start_step * static_cast<float>(start));
    Sixteen d;
    for (int l = 0; l < 16; ++l)
      d[l] = round_to_f16(extreme_from(real_scales, l / shape.lanes * shape.lanes, shape.lanes) / lowest);
    Wide target = real_scales;
    for (int round = 0; round < effort.n_rounds; ++round) {
      Wide scales;
      Moments sums;
      const Sixteen changes = choose_scales(tile, shape, d, target, effort.reach, quantise, scales, sums);
      const Sixteen integers = scales, qx = scales * sums.qx, qq = scales * scales * sums.qq;
      for (int first = 0; first < 16; first += shape.lanes) {
        const float change = sum_from(changes, first, shape.lanes);
        const bool is_better = change < least[first != 0];
        if (is_better) least[first != 0] = change;
        const float refit = round_to_f16(sum_from(qx, first, shape.lanes) *
                                         inverse_or_zero(sum_from(qq, first, shape.lanes)));
        for (int l = first; l < first + shape.lanes; ++l) {
          if (is_better) best.d[l] = d[l];
          if (is_better) best.scales[l] = integers[l];
          d[l] = refit;
        }
      }
      target = sums.scale();
    }
  }
  const Wide inverse = inverse_or_zero(Wide(best.scales) * Wide(best.d));
  for (int i = 0; i < n; ++i) q[i] = quantise(tile.x[i] * inverse);
  return best;
}

}  // namespace
}  // namespace ruvllm::kernels
