// IQ1 .. IQ4 encoded.
//
// IQ4 is a K format with uneven levels: a lane is a (sub-)block. For the grids a lane is a candidate point: a
// trial scale puts every group of eight (four) values into a cell, and the cell's sixteen nearest points are
// compared with the group at once. Scales are searched as in the K formats: real ones first, then the block's
// d, and integers re-chosen by the error that they cause.
#pragma once

#include "kernels/formats/iquants.h"
#include "kernels/lanes/encode_scaled.h"
#include "kernels/lanes/search.h"
#include "kernels/neighbours.h"

namespace ruvllm::kernels {
namespace {

// --------------------------------------------------------------------------------------------- IQ4_NL,
// IQ4_XS

/// The nearest level of kIq4Values.
struct RoundToLevels {
  Wide operator()(Wide value) const {
    Wide level = static_cast<float>(kIq4Values[0]);
    for (int k = 1; k < 16; ++k) {
      const float middle = 0.5f * static_cast<float>(kIq4Values[k - 1] + kIq4Values[k]);
      level = if_less(middle, value, static_cast<float>(kIq4Values[k]), level);
    }
    return level;
  }
};

/// The number of a level.
inline uint8_t level_number(int8_t level) {
  int number = 0;
  for (int k = 1; k < 16; ++k) number += level >= kIq4Values[k];
  return static_cast<uint8_t>(number);
}

inline void pack_levels(const int8_t* levels, uint8_t* nibbles) {
  for (int j = 0; j < 16; ++j)
    nibbles[j] = static_cast<uint8_t>(level_number(levels[j]) | level_number(levels[j + 16]) << 4);
}

constexpr float kIq4Peaks[] = {-127.0f, -119.0f, -134.0f, -111.0f, 113.0f, 105.0f, -142.0f, -104.0f,
                               120.0f,  -123.0f, -115.0f, -130.0f, 99.0f,  109.0f, -138.0f, 116.0f};

void encode_iq4_nl_tile(const float* values, const float* importance, BlockIQ4_NL* blocks) {
  Tile<32> tile;
  tile.load_lanes(values, importance);
  Sixteen d = fit_scale(tile, extreme_value(tile), kIq4Peaks, 16, 3, RoundToLevels());
  for (int l = 0; l < 16; ++l) d[l] = round_to_f16(d[l]);
  const Wide inverse = inverse_or_zero(Wide(d));
  Wide q[32];
  for (int i = 0; i < 32; ++i) q[i] = RoundToLevels()(tile.x[i] * inverse);
  int8_t levels[512];
  store_quants<32>(q, levels);
  for (int l = 0; l < 16; ++l) {
    blocks[l].d = f32_to_f16(d[l]);
    pack_levels(levels + 32 * l, blocks[l].qs);
  }
}

void encode_IQ4_NL(const float* values, const float* importance, size_t n_values, void* blocks, Search) {
  for_each_512<BlockIQ4_NL>(values, importance, n_values, blocks, encode_iq4_nl_tile);
}

void encode_iq4_xs_tile(const float* values, const float* importance, BlockIQ4_XS* blocks, Search effort) {
  Tile<32> tile;
  tile.load_lanes(values, importance);
  Wide q[32];
  const ScaledEffort how_much =
      effort == Search::best ? ScaledEffort{16, 3, 8, 2, 6} : ScaledEffort{8, 1, 1, 2, 2};
  const ScaledBlocks found = fit_scaled(tile, {-32.0f, 31.0f, 8}, kIq4Peaks, how_much, RoundToLevels(), q);
  int8_t levels[512];
  store_quants<32>(q, levels);
  for (int b = 0; b < 2; ++b) {
    blocks[b] = {};
    blocks[b].d = f32_to_f16(found.d[8 * b]);
    for (int s = 0; s < 8; ++s) {
      const int scale = static_cast<int>(found.scales[8 * b + s]) + 32;
      blocks[b].scales_l[s / 2] =
          static_cast<uint8_t>(blocks[b].scales_l[s / 2] | (scale & 15) << (s % 2 * 4));
      blocks[b].scales_h = static_cast<uint16_t>(blocks[b].scales_h | (scale >> 4) << (2 * s));
      pack_levels(levels + 256 * b + 32 * s, blocks[b].qs + 16 * s);
    }
  }
}

void encode_IQ4_XS(const float* values, const float* importance, size_t n_values, void* blocks,
                   Search effort) {
  for_each_512<BlockIQ4_XS>(
      values, importance, n_values, blocks,
      [&](const float* x, const float* w, BlockIQ4_XS* pair) { encode_iq4_xs_tile(x, w, pair, effort); });
}

// ----------------------------------------------------------------------------------------------- grids: one
// group

/// A format whose quants are grid points. A value is d * unit * (2 sc + 1) * (coordinate + shift) * sign.
struct GridShape {
  GridName grid;
  int sub_block;   ///< values under one integer scale
  int scale_peak;  ///< the highest integer scale
  float unit;
  bool has_signs;      ///< signs are stored beside the points (IQ2, IQ3)
  bool even_signs;     ///< ... and of eight values an even number are minuses
  int shifted_groups;  ///< groups that share one shift of +-1/8 (IQ1), or 0: no shifts
  const float* peaks;  ///< trials: what the largest magnitude of a sub-block is in units of the highest level
  int n_peaks;
};

/// What was chosen for 256 values.
struct GridChoice {
  uint16_t numbers[64];  // a point for each group
  bool down[64];         // its shift is -1/8
};

/// The point that fits target (in units of the scale) best, and sum w q x / scale and sum w q^2 of it.
struct PointFit {
  uint16_t number;
  float error;  // sum w (q - target)^2
  float qt, qq;
};

inline PointFit nearest_point(const Neighbours& near, const float* target, const float* w, float shift) {
  const int dimensions = near.dimensions;
  size_t cell = 0;
  for (int j = dimensions - 1; j >= 0; --j) {
    const float level = (target[j] - shift) * near.per_level + near.offset;
    const float highest = static_cast<float>(near.n_levels - 1);
    const float clamped = level < highest ? (level > 0.0f ? level : 0.0f) : highest;
    cell = cell * static_cast<size_t>(near.n_levels) + static_cast<size_t>(clamped);
  }
  const int8_t* points = near.points + cell * static_cast<size_t>(dimensions) * Neighbours::kListed;
  Wide errors = 0.0f;
  for (int j = 0; j < dimensions; ++j) {
    const Wide miss = Wide(load_bytes(points + j * Neighbours::kListed)) - (target[j] - shift);
    errors += miss * miss * w[j];
  }
  const Sixteen listed = errors;
  int best = 0;
  for (int k = 1; k < Neighbours::kListed; ++k) best = listed[k] < listed[best] ? k : best;
  PointFit fit = {near.numbers[cell * Neighbours::kListed + static_cast<size_t>(best)], listed[best], 0.0f,
                  0.0f};
  for (int j = 0; j < dimensions; ++j) {
    const float q = static_cast<float>(points[j * Neighbours::kListed + best]) + shift;
    fit.qt += w[j] * q * target[j];
    fit.qq += w[j] * q * q;
  }
  return fit;
}

// ------------------------------------------------------------------------------------------- grids: one
// sub-block

/// sum w q x and sum w q^2 of a sub-block at one scale: what a fit of the scale needs.
struct GridMoments {
  float qx = 0.0f, qq = 0.0f;

  float scale() const { return qq > 0.0f ? qx / qq : 0.0f; }
  float gain() const { return qq > 0.0f && qx > 0.0f ? qx * qx / qq : 0.0f; }
  float change(float scale) const { return scale * (scale * qq - 2.0f * qx); }
};

/// Picks points for n_groups groups of `magnitudes` at a scale; with shifts, the better one for each run of
/// groups.
GridMoments pick_points(const GridShape& shape, const Neighbours& near, const float* magnitudes,
                        const float* w, float scale, int n_groups, uint16_t* numbers, bool* down) {
  const int dimensions = near.dimensions;
  const float inverse = inverse_or_zero(scale);
  GridMoments sums;
  float target[8];
  const int run = shape.shifted_groups > 0 ? shape.shifted_groups : n_groups;
  for (int first = 0; first < n_groups; first += run) {
    float least = __builtin_inff();
    GridMoments best;
    for (int side = 0; side < (shape.shifted_groups > 0 ? 2 : 1); ++side) {
      const float shift = shape.shifted_groups == 0 ? 0.0f : side == 0 ? 0.125f : -0.125f;
      float error = 0.0f;
      GridMoments moments;
      uint16_t found[8];
      for (int g = 0; g < run; ++g) {
        const int start = (first + g) * dimensions;
        for (int j = 0; j < dimensions; ++j) target[j] = magnitudes[start + j] * inverse;
        const PointFit fit = nearest_point(near, target, w + start, shift);
        found[g] = fit.number;
        error += fit.error;
        moments.qx += fit.qt * scale;
        moments.qq += fit.qq;
      }
      if (side == 1 && !(error < least)) continue;
      least = error;
      best = moments;
      for (int g = 0; g < run; ++g) {
        numbers[first + g] = found[g];
        down[first + g] = side == 1;
      }
    }
    sums.qx += best.qx;
    sums.qq += best.qq;
  }
  return sums;
}

/// Splits eight values into signs (a bit each) and magnitudes. Where the number of minuses must be even, the
/// value that loses least by it takes the wrong sign: its magnitude is negative.
inline uint8_t split_signs(const float* x, const float* w, bool even, float* magnitudes) {
  uint32_t signs = 0;
  int cheapest = 0;
  for (int j = 0; j < 8; ++j) {
    magnitudes[j] = __builtin_fabsf(x[j]);
    signs |= static_cast<uint32_t>(x[j] < 0.0f) << j;
    if (w[j] * x[j] * x[j] < w[cheapest] * x[cheapest] * x[cheapest]) cheapest = j;
  }
  if (even && __builtin_popcount(signs) % 2 == 1) {
    signs ^= 1u << cheapest;
    magnitudes[cheapest] = -magnitudes[cheapest];
  }
  return static_cast<uint8_t>(signs);
}

// ----------------------------------------------------------------------------------------------- grids: one
// block

/// A block as it will be stored.
struct GridBlock {
  float d;
  int scales[16];
  uint8_t signs[32];
  GridChoice points;
};

void encode_grid(const GridShape& shape, const float* x, const float* importance, Search effort,
                 GridBlock& block) {
  const Neighbours& near = neighbours_of(shape.grid);
  const int n_sub_blocks = 256 / shape.sub_block, n_groups = shape.sub_block / near.dimensions;
  const bool best_effort = effort == Search::best;
  float w[256], magnitudes[256];
  for (int i = 0; i < 256; ++i) w[i] = importance != nullptr ? importance[i] : 1.0f;
  if (shape.has_signs) {
    for (int k = 0; k < 32; ++k)
      block.signs[k] = split_signs(x + 8 * k, w + 8 * k, shape.even_signs, magnitudes + 8 * k);
  } else {
    memcpy(magnitudes, x, sizeof(magnitudes));
  }

  // Real scales.
  float real[16], largest_scale = 0.0f;
  for (int s = 0; s < n_sub_blocks; ++s) {
    const float* sub = magnitudes + s * shape.sub_block;
    const float* sub_w = w + s * shape.sub_block;
    uint16_t numbers[8];
    bool down[8];
    float largest = 0.0f, best_gain = 0.0f;
    real[s] = 0.0f;
    for (int j = 0; j < shape.sub_block; ++j)
      largest = __builtin_fabsf(sub[j]) > largest ? __builtin_fabsf(sub[j]) : largest;
    if (!(largest > 0.0f)) continue;
    const int n_trials = best_effort ? shape.n_peaks : (shape.n_peaks + 1) / 2;
    const int n_refinements = best_effort ? 2 : 1;
    for (int k = 0; k < n_trials + n_refinements; ++k) {
      const int peak = best_effort ? k : 2 * k;
      const float trial = k < n_trials ? largest / (shape.peaks[peak] * near.largest) : real[s];
      const GridMoments sums = pick_points(shape, near, sub, sub_w, trial, n_groups, numbers, down);
      if (sums.gain() > best_gain) {
        best_gain = sums.gain();
        real[s] = sums.scale();
      }
    }
    largest_scale = real[s] > largest_scale ? real[s] : largest_scale;
  }

  // d, and integer scales by the error that they cause.
  block.d = 0.0f;
  memset(block.scales, 0, sizeof(block.scales));
  float least = 0.0f;
  const int n_starts = best_effort ? 3 : 1, reach = best_effort ? 2 : 1;
  for (int start = 0; start < n_starts; ++start) {
    const float highest =
        static_cast<float>(2 * shape.scale_peak + 1) * (1.0f - 0.06f * static_cast<float>(start));
    float d = round_to_f16(largest_scale / (highest * shape.unit));
    for (int round = 0; round < 2 && d > 0.0f; ++round) {
      int scales[16] = {};
      float qx = 0.0f, qq = 0.0f, total = 0.0f;
      for (int s = 0; s < n_sub_blocks; ++s) {
        const float ideal = 0.5f * real[s] / (d * shape.unit);
        const int nearest = static_cast<int>(ideal < 100.0f ? ideal : 100.0f);
        float least_change = __builtin_inff();
        GridMoments chosen;
        for (int offset = -reach; offset <= reach; ++offset) {
          const int scale = (nearest < shape.scale_peak ? nearest : shape.scale_peak) + offset;
          if (scale < 0 || scale > shape.scale_peak) continue;
          const float step = d * shape.unit * static_cast<float>(2 * scale + 1);
          uint16_t numbers[8];
          bool down[8];
          const GridMoments sums = pick_points(shape, near, magnitudes + s * shape.sub_block,
                                               w + s * shape.sub_block, step, n_groups, numbers, down);
          if (!(sums.change(step) < least_change)) continue;
          least_change = sums.change(step);
          chosen = sums;
          scales[s] = scale;
        }
        const float count = static_cast<float>(2 * scales[s] + 1);
        total += least_change;
        qx += count * chosen.qx;
        qq += count * count * chosen.qq;
      }
      if (total < least) {
        least = total;
        block.d = d;
        memcpy(block.scales, scales, sizeof(scales));
      }
      d = round_to_f16(qq > 0.0f && qx > 0.0f ? qx / (qq * shape.unit) : 0.0f);
    }
  }

  // The points at the scales chosen.
  for (int s = 0; s < n_sub_blocks; ++s) {
    const float step = block.d * shape.unit * static_cast<float>(2 * block.scales[s] + 1);
    pick_points(shape, near, magnitudes + s * shape.sub_block, w + s * shape.sub_block, step, n_groups,
                block.points.numbers + s * n_groups, block.points.down + s * n_groups);
  }
}

// ------------------------------------------------------------------------------------------------ grids: the
// formats

constexpr float kIq2Peaks[] = {1.0f,  0.9f,  1.15f, 0.82f, 1.3f, 1.07f, 1.5f,
                               0.95f, 0.74f, 1.22f, 1.8f,  1.4f, 2.2f};
constexpr float kIq3Peaks[] = {1.0f,  0.95f, 1.05f, 0.9f,  1.1f,  0.97f, 1.16f,
                               1.02f, 1.24f, 0.86f, 1.35f, 1.08f, 1.5f};
constexpr float kIq1Peaks[] = {1.1f, 1.3f, 1.55f, 1.4f, 1.85f, 1.7f, 2.2f,
                               2.0f, 2.6f, 2.4f,  3.1f, 0.95f, 3.7f};

constexpr GridShape kIq2xxsShape = {GridName::iq2_xxs, 32, 15, 0.125f, true, true, 0, kIq2Peaks, 13};
constexpr GridShape kIq2xsShape = {GridName::iq2_xs, 16, 15, 0.125f, true, true, 0, kIq2Peaks, 13};
constexpr GridShape kIq2sShape = {GridName::iq2_s, 16, 15, 0.125f, true, false, 0, kIq2Peaks, 13};
constexpr GridShape kIq3xxsShape = {GridName::iq3_xxs, 32, 15, 0.25f, true, true, 0, kIq3Peaks, 13};
constexpr GridShape kIq3sShape = {GridName::iq3_s, 32, 15, 1.0f, true, false, 0, kIq3Peaks, 13};
constexpr GridShape kIq1sShape = {GridName::iq1, 32, 7, 1.0f, false, false, 4, kIq1Peaks, 13};
constexpr GridShape kIq1mShape = {GridName::iq1, 16, 7, 1.0f, false, false, 1, kIq1Peaks, 13};

void store_block(const GridBlock& found, BlockIQ2_XXS& block) {
  block.d = f32_to_f16(found.d);
  for (int s = 0; s < 8; ++s) {
    uint32_t signs_and_scale = static_cast<uint32_t>(found.scales[s]) << 28;
    for (int k = 0; k < 4; ++k) {
      block.qs[8 * s + k] = static_cast<uint8_t>(found.points.numbers[4 * s + k]);
      signs_and_scale |= (found.signs[4 * s + k] & 127u) << (7 * k);
    }
    memcpy(block.qs + 8 * s + 4, &signs_and_scale, sizeof(signs_and_scale));
  }
}

/// The nibbles of IQ2_XS, IQ2_S and IQ3_S.
inline void store_nibbles(const int* scales, int n, uint8_t* nibbles) {
  for (int s = 0; s < n; s += 2) nibbles[s / 2] = static_cast<uint8_t>(scales[s] | scales[s + 1] << 4);
}

void store_block(const GridBlock& found, BlockIQ2_XS& block) {
  block.d = f32_to_f16(found.d);
  store_nibbles(found.scales, 16, block.scales);
  for (int k = 0; k < 32; ++k)
    block.qs[k] = static_cast<uint16_t>(found.points.numbers[k] | (found.signs[k] & 127) << 9);
}

void store_block(const GridBlock& found, BlockIQ2_S& block) {
  block.d = f32_to_f16(found.d);
  store_nibbles(found.scales, 16, block.scales);
  memcpy(block.signs, found.signs, sizeof(block.signs));
  for (int k = 0; k < 32; ++k) {
    block.qs[k] = static_cast<uint8_t>(found.points.numbers[k]);
    block.qh[k / 4] = static_cast<uint8_t>(block.qh[k / 4] | (found.points.numbers[k] >> 8) << (k % 4 * 2));
  }
}

void store_block(const GridBlock& found, BlockIQ3_XXS& block) {
  block.d = f32_to_f16(found.d);
  for (int k = 0; k < 64; ++k) block.qs[k] = static_cast<uint8_t>(found.points.numbers[k]);
  for (int s = 0; s < 8; ++s) {
    uint32_t signs_and_scale = static_cast<uint32_t>(found.scales[s]) << 28;
    for (int k = 0; k < 4; ++k) signs_and_scale |= (found.signs[4 * s + k] & 127u) << (7 * k);
    memcpy(block.signs + 4 * s, &signs_and_scale, sizeof(signs_and_scale));
  }
}

void store_block(const GridBlock& found, BlockIQ3_S& block) {
  block.d = f32_to_f16(found.d);
  store_nibbles(found.scales, 8, block.scales);
  memcpy(block.signs, found.signs, sizeof(block.signs));
  for (int k = 0; k < 64; ++k) {
    block.qs[k] = static_cast<uint8_t>(found.points.numbers[k]);
    block.qh[k / 8] = static_cast<uint8_t>(block.qh[k / 8] | (found.points.numbers[k] >> 8) << (k % 8));
  }
}

void store_block(const GridBlock& found, BlockIQ1_S& block) {
  block.d = f32_to_f16(found.d);
  for (int s = 0; s < 8; ++s) {
    int qh = found.scales[s] << 12 | (found.points.down[4 * s] ? 0x8000 : 0);
    for (int k = 0; k < 4; ++k) {
      block.qs[4 * s + k] = static_cast<uint8_t>(found.points.numbers[4 * s + k]);
      qh |= (found.points.numbers[4 * s + k] >> 8) << (3 * k);
    }
    block.qh[s] = static_cast<uint16_t>(qh);
  }
}

void store_block(const GridBlock& found, BlockIQ1_M& block) {
  const int d = f32_to_f16(found.d);
  for (int i = 0; i < 4; ++i) {
    int word = ((d >> (4 * i)) & 15) << 12;
    for (int s = 0; s < 4; ++s) word |= found.scales[4 * i + s] << (3 * s);
    block.scales[i] = static_cast<uint16_t>(word);
  }
  for (int k = 0; k < 32; ++k) {
    const int nibble = found.points.numbers[k] >> 8 | (found.points.down[k] ? 8 : 0);
    block.qs[k] = static_cast<uint8_t>(found.points.numbers[k]);
    block.qh[k / 2] = static_cast<uint8_t>(block.qh[k / 2] | nibble << (k % 2 * 4));
  }
}

template <class Block, const GridShape& shape>
void encode_grid_blocks(const float* values, const float* importance, size_t n_values, void* blocks,
                        Search effort) {
  for (size_t i = 0; i < n_values / 256; ++i) {
    GridBlock found;
    encode_grid(shape, values + 256 * i, importance ? importance + 256 * i : nullptr, effort, found);
    Block block = {};
    store_block(found, block);
    memcpy(static_cast<char*>(blocks) + i * sizeof(block), &block, sizeof(block));
  }
}

}  // namespace
}  // namespace ruvllm::kernels
