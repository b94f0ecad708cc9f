// Q2_K .. Q6_K encoded: a lane is a sub-block.
//
// Q3_K and Q6_K have scales only: encode_scaled.h. The others are searched likewise with a minimum beside
// every scale: real ones first, then d and dmin, and integers re-chosen by the error that they cause.
#pragma once

#include "kernels/formats/kquants.h"
#include "kernels/lanes/encode_scaled.h"
#include "kernels/lanes/search.h"

namespace ruvllm::kernels {
namespace {

// -------------------------------------------------------------------------------- scales only: Q3_K and Q6_K

struct RoundTo {
  float low, high;
  Wide operator()(Wide value) const { return clamp(round(value), low, high); }
};

/// Trial peaks: where the largest value of a sub-block may land, on either side of the asymmetric range.
constexpr float kQ3Peaks[] = {-4.0f, -4.4f, -3.7f, -4.9f, 3.0f, 3.4f, -3.3f, -5.4f,
                              -4.2f, -3.5f, -4.6f, -5.1f, 2.8f, 3.2f, -3.1f, -3.85f};
constexpr float kQ6Peaks[] = {-32.0f, -31.3f, -32.6f, -30.6f, -33.3f, 31.2f,  -29.9f, -31.7f,
                              -32.3f, -31.0f, -30.3f, 30.5f,  -29.5f, -28.9f, 31.6f,  -33.0f};

constexpr ScaledEffort kFastScaled = {7, 1, 1, 2, 2};
// Errors jump about as d changes, so that only many of them come near the best there is (encode_test.cpp says
// how near).
constexpr ScaledEffort kBestScaled = {16, 3, 80, 2, 10, 0.006f};

/// One block of 256 values: its d and scales, and its quants less quant_low.
ScaledBlocks encode_scaled(const float* values, const float* importance, RoundTo quantise,
                           const ScaledShape& shape, const float* peaks, Search effort, int8_t* quants) {
  Tile<16> tile;
  tile.load_lanes(values, importance);
  Wide q[16];
  const ScaledBlocks found =
      fit_scaled(tile, shape, peaks, effort == Search::best ? kBestScaled : kFastScaled, quantise, q);
  for (Wide& quant : q) quant = quant - quantise.low;
  store_quants<16>(q, quants);
  return found;
}

/// 256 quants of two bits as crumbs.
inline void pack_crumbs(const int8_t* quants, uint8_t* bytes) {
  for (int half = 0; half < 2; ++half)
    for (int j = 0; j < 32; ++j) {
      const int8_t* q = quants + 128 * half + j;
      bytes[32 * half + j] =
          static_cast<uint8_t>((q[0] & 3) | (q[32] & 3) << 2 | (q[64] & 3) << 4 | (q[96] & 3) << 6);
    }
}

void encode_Q3_K(const float* values, const float* importance, size_t n_values, void* blocks, Search effort) {
  for (size_t i = 0; i < n_values / 256; ++i) {
    int8_t quants[256];
    const ScaledBlocks found = encode_scaled(values + 256 * i, importance ? importance + 256 * i : nullptr,
                                             {-4.0f, 3.0f}, {-32.0f, 31.0f, 16}, kQ3Peaks, effort, quants);
    BlockQ3_K block = {};
    block.d = f32_to_f16(found.d[0]);
    for (int s = 0; s < 16; ++s) {
      const int scale = static_cast<int>(found.scales[s]) + 32;
      block.scales[s % 8] = static_cast<uint8_t>(block.scales[s % 8] | (scale & 15) << (s / 8 * 4));
      block.scales[8 + s % 4] = static_cast<uint8_t>(block.scales[8 + s % 4] | (scale >> 4) << (s / 4 * 2));
    }
    pack_crumbs(quants, block.qs);
    for (int g = 0; g < 8; ++g)
      for (int j = 0; j < 32; ++j)
        block.hmask[j] = static_cast<uint8_t>(block.hmask[j] | ((quants[32 * g + j] >> 2) & 1) << g);
    memcpy(static_cast<char*>(blocks) + i * sizeof(block), &block, sizeof(block));
  }
}

void encode_Q6_K(const float* values, const float* importance, size_t n_values, void* blocks, Search effort) {
  for (size_t i = 0; i < n_values / 256; ++i) {
    int8_t quants[256], high[256];
    const ScaledBlocks found =
        encode_scaled(values + 256 * i, importance ? importance + 256 * i : nullptr, {-32.0f, 31.0f},
                      {-128.0f, 127.0f, 16}, kQ6Peaks, effort, quants);
    BlockQ6_K block;
    block.d = f32_to_f16(found.d[0]);
    for (int s = 0; s < 16; ++s) block.scales[s] = static_cast<int8_t>(found.scales[s]);
    for (int half = 0; half < 2; ++half)
      for (int j = 0; j < 64; ++j) {
        const int8_t* q = quants + 128 * half + j;
        block.ql[64 * half + j] = static_cast<uint8_t>((q[0] & 15) | (q[64] & 15) << 4);
      }
    for (int j = 0; j < 256; ++j) high[j] = static_cast<int8_t>(quants[j] >> 4);
    pack_crumbs(high, block.qh);
    memcpy(static_cast<char*>(blocks) + i * sizeof(block), &block, sizeof(block));
  }
}

// ------------------------------------------------------------------------ scales and minimums: Q2_K, Q4_K,
// Q5_K

/// How a format with minimums counts.
struct AffineShape {
  float quant_peak;  ///< quants are 0 .. this
  float scale_peak;  ///< integer scales and minimums are 0 .. this
  int lanes;         ///< sub-blocks of a block: 16, or 8 (then a tile holds two blocks)
};

/// One or two blocks as they will be stored; d and dmin are the same in all lanes of a block.
template <int n>
struct AffineBlocks {
  Sixteen d, dmin;
  Sixteen scales, mins;  // integers
  Wide quants[n];
};

/// The offsets from the nearest integers that are tried for scale and minimum.
struct Reach {
  int scale, min;
};

/// Integer scales and minimums near real ones that cause the least error in steps of d and dmin.
template <int n>
Wide choose_affine(const Tile<n>& tile, const AffineShape& shape, Wide d, Wide dmin, const AffineFit& target,
                   const Reach& reach, AffineFit& chosen, AffineMoments& chosen_sums) {
  const Wide nearest_scale = round(ratio(target.scale, d));
  const Wide nearest_min = round(ratio(target.min, dmin));
  chosen = {0.0f, 0.0f};
  chosen_sums = {0.0f, 0.0f, 0.0f};
  Wide least = 0.0f;
  for (int i = -reach.scale; i <= reach.scale; ++i) {
    const Wide scale = clamp(nearest_scale + static_cast<float>(i), 0.0f, shape.scale_peak);
    const Wide step = scale * d;
    const Wide inverse = ratio(1.0f, step);
    for (int j = -reach.min; j <= reach.min; ++j) {
      const Wide min_count = clamp(nearest_min + static_cast<float>(j), 0.0f, shape.scale_peak);
      const Wide shift = min_count * dmin;
      const AffineMoments sums = affine_moments(tile, inverse, shift, shape.quant_peak);
      const Wide change = affine_change(tile, sums, step, shift);
      chosen.scale = if_less(change, least, scale, chosen.scale);
      chosen.min = if_less(change, least, min_count, chosen.min);
      chosen_sums.q = if_less(change, least, sums.q, chosen_sums.q);
      chosen_sums.qq = if_less(change, least, sums.qq, chosen_sums.qq);
      chosen_sums.qx = if_less(change, least, sums.qx, chosen_sums.qx);
      least = min(least, change);
    }
  }
  return least;
}

/// d and dmin of one block from its lanes' moments: least squares of sum w (d sc q - dmin m - x)^2.
template <int n>
void refit_steps(const Tile<n>& tile, const AffineFit& chosen, const AffineMoments& sums, int first,
                 int n_lanes, float* d, float* dmin) {
  const float aa = sum_from(chosen.scale * chosen.scale * sums.qq, first, n_lanes);
  const float ab = sum_from(chosen.scale * chosen.min * sums.q, first, n_lanes);
  const float bb = sum_from(chosen.min * chosen.min * tile.sum_w, first, n_lanes);
  const float ax = sum_from(chosen.scale * sums.qx, first, n_lanes);
  const float bx = sum_from(chosen.min * tile.sum_wx, first, n_lanes);
  const float determinant = aa * bb - ab * ab;
  if (determinant > 1e-6f * aa * bb) {
    *d = (bb * ax - ab * bx) / determinant;
    *dmin = (ab * ax - aa * bx) / determinant;
  } else if (aa > 0.0f) {
    *d = ax / aa;
  }
}

/// Chooses d, dmin and the integers for sub-blocks whose best real fits are `real`.
template <int n>
void fit_affine_blocks(const Tile<n>& tile, const AffineShape& shape, const AffineFit& real, bool best_effort,
                       const Reach& reach, AffineBlocks<n>& blocks) {
  const int n_blocks = 16 / shape.lanes;
  const Sixteen real_scales = real.scale, real_mins = real.min;
  // Starts of a best effort are a lattice: d and dmin stretch by themselves.
  const int n_stretches = best_effort ? 8 : 1, n_starts = n_stretches * n_stretches;
  const int n_rounds = best_effort ? 2 : 3;
  float least[2] = {0.0f, 0.0f};
  blocks.d = blocks.dmin = blocks.scales = blocks.mins = Sixteen(Wide(0.0f));

  for (int start = 0; start < n_starts; ++start) {
    Sixteen d, dmin;
    for (int b = 0; b < n_blocks; ++b) {
      float most_scale = 0.0f, most_min = 0.0f;
      for (int l = b * shape.lanes; l < (b + 1) * shape.lanes; ++l) {
        most_scale = real_scales[l] > most_scale ? real_scales[l] : most_scale;
        most_min = real_mins[l] > most_min ? real_mins[l] : most_min;
      }
      // The largest becomes the highest integer; other starts let it overflow a little or stay below.
      const float stretch = 0.03f * static_cast<float>(start % n_stretches - n_stretches / 4),
                  min_stretch = 0.03f * static_cast<float>(start / n_stretches - n_stretches / 4);
      for (int l = b * shape.lanes; l < (b + 1) * shape.lanes; ++l) {
        d[l] = round_to_f16(most_scale / (shape.scale_peak * (1.0f + stretch)));
        dmin[l] = round_to_f16(most_min / (shape.scale_peak * (1.0f + min_stretch)));
      }
    }
    AffineFit target = real;
    for (int r = 0; r < n_rounds; ++r) {
      AffineFit chosen;
      AffineMoments sums;
      const Sixteen changes = choose_affine(tile, shape, d, dmin, target, reach, chosen, sums);
      const Sixteen scales = chosen.scale, mins = chosen.min;
      for (int b = 0; b < n_blocks; ++b) {
        const int first = b * shape.lanes;
        const float change = sum_from(changes, first, shape.lanes);
        float next_d = d[first], next_dmin = dmin[first];
        if (change < least[b]) {
          least[b] = change;
          for (int l = first; l < first + shape.lanes; ++l) {
            blocks.d[l] = d[l];
            blocks.dmin[l] = dmin[l];
            blocks.scales[l] = scales[l];
            blocks.mins[l] = mins[l];
          }
        }
        refit_steps(tile, chosen, sums, first, shape.lanes, &next_d, &next_dmin);
        for (int l = first; l < first + shape.lanes; ++l) {
          d[l] = round_to_f16(next_d > 0.0f ? next_d : 0.0f);
          dmin[l] = round_to_f16(next_dmin > 0.0f ? next_dmin : 0.0f);
        }
      }
      target = solve(tile, sums, false);
    }
  }
  const Wide inverse = ratio(1.0f, Wide(blocks.scales) * blocks.d);
  const Wide shift = Wide(blocks.mins) * blocks.dmin;
  for (int i = 0; i < n; ++i)
    blocks.quants[i] = clamp(round((tile.x[i] + shift) * inverse), 0.0f, shape.quant_peak);
}

constexpr float kStretches[] = {0.0f, 0.6f, -0.4f, 1.2f, -0.8f, 0.3f, 0.9f, -0.2f, 1.6f, -0.6f, 0.15f, 0.45f};
constexpr float kQ2Stretches[] = {0.0f, 0.4f, 0.8f, -0.3f, 0.2f, 0.6f, -0.15f, 1.0f, -0.5f, 1.3f, 0.3f, 0.5f};

template <int n>
AffineBlocks<n> encode_affine(const float* values, const float* importance, const AffineShape& shape,
                              const float* stretches, bool best_effort, const Reach& reach, int8_t* quants) {
  Tile<n> tile;
  tile.load_lanes(values, importance);
  const AffineFit real =
      fit_affine(tile, shape.quant_peak, stretches, best_effort ? 12 : 8, best_effort ? 3 : 2, false);
  AffineBlocks<n> blocks;
  fit_affine_blocks(tile, shape, real, best_effort, reach, blocks);
  store_quants<n>(blocks.quants, quants);
  return blocks;
}

void encode_Q2_K(const float* values, const float* importance, size_t n_values, void* blocks, Search effort) {
  const bool best_effort = effort == Search::best;
  for (size_t i = 0; i < n_values / 256; ++i) {
    int8_t quants[256];
    const auto found =
        encode_affine<16>(values + 256 * i, importance ? importance + 256 * i : nullptr, {3.0f, 15.0f, 16},
                          kQ2Stretches, best_effort, best_effort ? Reach{3, 3} : Reach{1, 1}, quants);
    BlockQ2_K block;
    block.d = f32_to_f16(found.d[0]);
    block.dmin = f32_to_f16(found.dmin[0]);
    for (int s = 0; s < 16; ++s)
      block.scales[s] =
          static_cast<uint8_t>(static_cast<int>(found.scales[s]) | static_cast<int>(found.mins[s]) << 4);
    pack_crumbs(quants, block.qs);
    memcpy(static_cast<char*>(blocks) + i * sizeof(block), &block, sizeof(block));
  }
}

/// The twelve bytes of six-bit scales and minimums of Q4_K and Q5_K.
inline void pack_scales_and_mins(const float* scales, const float* mins, uint8_t* packed) {
  for (int s = 0; s < 4; ++s) {
    const int scale = static_cast<int>(scales[s]), later_scale = static_cast<int>(scales[s + 4]);
    const int min = static_cast<int>(mins[s]), later_min = static_cast<int>(mins[s + 4]);
    packed[s] = static_cast<uint8_t>(scale | (later_scale >> 4) << 6);
    packed[s + 4] = static_cast<uint8_t>(min | (later_min >> 4) << 6);
    packed[s + 8] = static_cast<uint8_t>((later_scale & 15) | (later_min & 15) << 4);
  }
}

/// 256 quants as nibbles.
inline void pack_nibbles(const int8_t* quants, uint8_t* bytes) {
  for (int quarter = 0; quarter < 4; ++quarter)
    for (int j = 0; j < 32; ++j) {
      const int8_t* q = quants + 64 * quarter + j;
      bytes[32 * quarter + j] = static_cast<uint8_t>((q[0] & 15) | (q[32] & 15) << 4);
    }
}

inline void pack_quants(const int8_t* quants, BlockQ4_K& block) { pack_nibbles(quants, block.qs); }

inline void pack_quants(const int8_t* quants, BlockQ5_K& block) {
  pack_nibbles(quants, block.qs);
  memset(block.qh, 0, sizeof(block.qh));
  for (int s = 0; s < 8; ++s)
    for (int j = 0; j < 32; ++j)
      block.qh[j] = static_cast<uint8_t>(block.qh[j] | ((quants[32 * s + j] >> 4) & 1) << s);
}

/// Q4_K and Q5_K: two blocks are a tile.
template <class Block>
void encode_pairs(const float* values, const float* importance, size_t n_values, void* blocks, Search effort,
                  float quant_peak) {
  const bool best_effort = effort == Search::best;
  for_each_512<Block>(values, importance, n_values, blocks, [&](const float* x, const float* w, Block* pair) {
    int8_t quants[512];
    const auto found = encode_affine<32>(x, w, {quant_peak, 63.0f, 8}, kStretches, best_effort,
                                         best_effort ? Reach{3, 3} : Reach{1, 1}, quants);
    for (int b = 0; b < 2; ++b) {
      pair[b].d = f32_to_f16(found.d[8 * b]);
      pair[b].dmin = f32_to_f16(found.dmin[8 * b]);
      pack_scales_and_mins(found.scales.lane + 8 * b, found.mins.lane + 8 * b, pair[b].scales);
      pack_quants(quants + 256 * b, pair[b]);
    }
  });
}

void encode_Q4_K(const float* values, const float* importance, size_t n_values, void* blocks, Search effort) {
  encode_pairs<BlockQ4_K>(values, importance, n_values, blocks, effort, 15.0f);
}

void encode_Q5_K(const float* values, const float* importance, size_t n_values, void* blocks, Search effort) {
  encode_pairs<BlockQ5_K>(values, importance, n_values, blocks, effort, 31.0f);
}

}  // namespace
}  // namespace ruvllm::kernels
