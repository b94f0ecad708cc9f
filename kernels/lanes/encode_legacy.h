// F16, BF16, Q4_0 .. Q5_1, Q8_0, Q8_K, MXFP4, NVFP4, TQ1_0, TQ2_0 encoded.
//
// Without importance the legacy formats are defined by a rule: the value of largest magnitude (or the range)
// sets the scale, quants are rounded half up; the bytes equal ggml's. With importance their scale is
// searched, as everywhere else, a lane being a block.
#pragma once

#include "kernels/formats/legacy.h"
#include "kernels/formats/microscale.h"
#include "kernels/formats/ternary.h"
#include "kernels/lanes/search.h"

namespace ruvllm::kernels {
namespace {

// ---------------------------------------------------------------------------------------------------- floats

template <uint16_t (*narrow)(float)>
void encode_halves(const float* values, const float*, size_t n_values, void* blocks, Search) {
  for (size_t i = 0; i < n_values; ++i) {
    const uint16_t half = narrow(values[i]);
    memcpy(static_cast<char*>(blocks) + 2 * i, &half, sizeof(half));
  }
}

uint16_t narrow_to_f16(float value) { return f32_to_f16(value); }
uint16_t narrow_to_bf16(float value) { return f32_to_bf16(value); }

// ------------------------------------------------------------------------------------- Q4_0 Q4_1 Q5_0 Q5_1
// by rule

/// The peak of a legacy format's unsigned quants: 15 or 31. A format with minimum maps its range to 0 ..
/// peak, one without maps its extreme value to -(peak + 1) / 2.
template <class Block>
constexpr int kPeak = sizeof(Block) >= sizeof(BlockQ5_0) ? 31 : 15;

inline void store_scales(BlockQ4_0& block, float d, float) { block.d = f32_to_f16(d); }
inline void store_scales(BlockQ5_0& block, float d, float) { block.d = f32_to_f16(d); }
template <class Block>
inline void store_scales(Block& block, float d, float m) {
  block.d = f32_to_f16(d);
  block.m = f32_to_f16(m);
}

/// 32 unsigned quants into nibbles and, where there are any, fifth bits.
template <class Block>
inline void store_quants_of(Block& block, const uint8_t* quants) {
  for (int j = 0; j < 16; ++j)
    block.qs[j] = static_cast<uint8_t>((quants[j] & 15) | (quants[j + 16] & 15) << 4);
  if constexpr (kPeak<Block> == 31) {
    uint32_t fifth_bits = 0;
    for (int j = 0; j < 32; ++j) fifth_bits |= static_cast<uint32_t>(quants[j] >> 4) << j;
    memcpy(block.qh, &fifth_bits, sizeof(fifth_bits));
  }
}

template <class Block>
Block encode_by_rule(const float* x) {
  uint8_t quants[32];
  float d, m = 0.0f, shift;
  if constexpr (Block::kHasMin) {
    float low = x[0], high = x[0];
    for (int j = 1; j < 32; ++j) {
      low = x[j] < low ? x[j] : low;
      high = x[j] > high ? x[j] : high;
    }
    d = (high - low) / static_cast<float>(kPeak<Block>);
    m = low;
    shift = 0.5f;
  } else {
    float extreme = 0.0f;
    for (int j = 0; j < 32; ++j)
      if (__builtin_fabsf(x[j]) > __builtin_fabsf(extreme)) extreme = x[j];
    constexpr float half = (kPeak<Block> + 1) / 2;
    d = extreme / -half;
    shift = half + 0.5f;
  }
  const float inverse = d != 0.0f ? 1.0f / d : 0.0f;
  for (int j = 0; j < 32; ++j) {
    const float scaled = (x[j] - m) * inverse + shift;
    quants[j] = static_cast<uint8_t>(
        scaled < static_cast<float>(kPeak<Block>) ? scaled : static_cast<float>(kPeak<Block>));
  }
  Block block;
  store_scales(block, d, m);
  store_quants_of(block, quants);
  return block;
}

// -------------------------------------------------------------------------------- the same, weighted by
// importance

/// Trials, as shares of the range that falls off at its ends (or is left over).
constexpr float kLegacyShrinks[] = {0.0f,   0.02f, -0.02f, 0.04f, -0.04f, 0.06f, -0.06f, 0.08f,
                                    -0.08f, 0.1f,  0.12f,  0.14f, 0.01f,  0.03f, 0.17f,  0.21f};
constexpr int kLegacyTrials = 16;

/// Sixteen blocks.
template <class Block>
void encode_searched(const float* values, const float* importance, Block* blocks) {
  constexpr float half = (kPeak<Block> + 1) / 2;
  Tile<32> tile;
  tile.load_lanes(values, importance);
  Wide q[32];
  Sixteen d, m;
  if constexpr (Block::kHasMin) {
    float stretches[kLegacyTrials];
    for (int k = 0; k < kLegacyTrials; ++k)
      stretches[k] = kLegacyShrinks[k] * static_cast<float>(kPeak<Block>);
    const AffineFit fit = fit_affine(tile, kPeak<Block>, stretches, kLegacyTrials, 3, true);
    d = fit.scale;
    m = Wide(0.0f) - fit.min;
    for (int l = 0; l < 16; ++l) d[l] = f16_to_f32(f32_to_f16(d[l]));
    for (int l = 0; l < 16; ++l) m[l] = f16_to_f32(f32_to_f16(m[l]));
    const Wide inverse = ratio(1.0f, d);
    for (int i = 0; i < 32; ++i) q[i] = clamp(round((tile.x[i] - m) * inverse), 0.0f, kPeak<Block>);
  } else {
    const auto quantise = [](Wide value) { return clamp(round(value), -half, half - 1.0f); };
    float peaks[2 * kLegacyTrials];
    for (int k = 0; k < kLegacyTrials; ++k) {
      peaks[2 * k] = -half * (1.0f + kLegacyShrinks[k]);
      peaks[2 * k + 1] = (half - 1.0f) * (1.0f + kLegacyShrinks[k]);
    }
    d = fit_scale(tile, extreme_value(tile), peaks, 2 * kLegacyTrials, 3, quantise);
    m = Wide(0.0f);
    for (int l = 0; l < 16; ++l) d[l] = f16_to_f32(f32_to_f16(d[l]));
    const Wide inverse = if_less(0.0f, magnitude(Wide(d)), Wide(1.0f) / Wide(d), 0.0f);
    for (int i = 0; i < 32; ++i) q[i] = quantise(tile.x[i] * inverse) + half;
  }
  int8_t quants[512];
  store_quants<32>(q, quants);
  for (int l = 0; l < 16; ++l) {
    store_scales(blocks[l], d[l], m[l]);
    store_quants_of(blocks[l], reinterpret_cast<const uint8_t*>(quants) + 32 * l);
  }
}

template <class Block>
void encode_legacy(const float* values, const float* importance, size_t n_values, void* blocks, Search) {
  if (importance != nullptr) {
    for_each_512<Block>(values, importance, n_values, blocks, encode_searched<Block>);
    return;
  }
  for (size_t i = 0; i < n_values / 32; ++i) {
    const Block block = encode_by_rule<Block>(values + 32 * i);
    memcpy(static_cast<char*>(blocks) + i * sizeof(block), &block, sizeof(block));
  }
}

// ------------------------------------------------------------------------------------------------- Q8_0,
// Q8_K

/// Half away from zero, as the C library's roundf.
inline float round_half_away(float value) {
  const float truncated = static_cast<float>(static_cast<int32_t>(value));
  const float rest = value - truncated;
  return truncated + (rest >= 0.5f ? 1.0f : 0.0f) - (rest <= -0.5f ? 1.0f : 0.0f);
}

/// Eight bits leave nothing worth searching for: importance is not looked at.
void encode_Q8_0(const float* values, const float*, size_t n_values, void* blocks, Search) {
  for (size_t i = 0; i < n_values / 32; ++i) {
    const float* x = values + 32 * i;
    float largest = 0.0f;
    for (int j = 0; j < 32; ++j) largest = __builtin_fabsf(x[j]) > largest ? __builtin_fabsf(x[j]) : largest;
    const float d = largest / 127.0f;
    const float inverse = d != 0.0f ? 1.0f / d : 0.0f;
    BlockQ8_0 block;
    block.d = f32_to_f16(d);
    for (int j = 0; j < 32; ++j) block.qs[j] = static_cast<int8_t>(round_half_away(x[j] * inverse));
    memcpy(static_cast<char*>(blocks) + i * sizeof(block), &block, sizeof(block));
  }
}

void encode_Q8_K(const float* values, const float*, size_t n_values, void* blocks, Search) {
  for (size_t i = 0; i < n_values / 256; ++i) {
    const float* x = values + 256 * i;
    float extreme = 0.0f;
    for (int j = 0; j < 256; ++j)
      if (__builtin_fabsf(x[j]) > __builtin_fabsf(extreme)) extreme = x[j];
    BlockQ8_K block = {};
    block.d = extreme / -127.0f;
    const float inverse = block.d != 0.0f ? 1.0f / block.d : 0.0f;
    for (int j = 0; j < 256; ++j) {
      const float q = (x[j] * inverse + 0x1.8p23f) - 0x1.8p23f;
      block.qs[j] = static_cast<int8_t>(q < 127.0f ? q : 127.0f);
      block.sums[j / 16] = static_cast<int16_t>(block.sums[j / 16] + block.qs[j]);
    }
    memcpy(static_cast<char*>(blocks) + i * sizeof(block), &block, sizeof(block));
  }
}

// -----------------------------------------------------------------------------------------------------
// MXFP4, NVFP4

/// The nearest of kMxfp4Values to x, |x| small enough, as its number (0 .. 15).
inline int nearest_mxfp4(float x) {
  const float size = __builtin_fabsf(x);
  int number = 0;
  for (int k = 1; k < 8; ++k)
    number += size > 0.5f * static_cast<float>(kMxfp4Values[k - 1] + kMxfp4Values[k]);
  return x < 0.0f ? number + 8 : number;
}

/// The numbers in the code book of n values under the scale d; returns the sum of squared errors, each times
/// its weight (null: 1).
inline float round_to_e2m1(const float* x, const float* weights, int n, float d, uint8_t* numbers) {
  float error = 0.0f;
  for (int j = 0; j < n; ++j) {
    numbers[j] = static_cast<uint8_t>(nearest_mxfp4(x[j] / d));
    const float miss = d * static_cast<float>(kMxfp4Values[numbers[j]]) - x[j];
    error += (weights != nullptr ? weights[j] : 1.0f) * miss * miss;
  }
  return error;
}

void encode_MXFP4(const float* values, const float* importance, size_t n_values, void* blocks, Search) {
  for (size_t i = 0; i < n_values / 32; ++i) {
    const float* x = values + 32 * i;
    const float* weights = importance != nullptr ? importance + 32 * i : nullptr;
    float largest = 0.0f;
    for (int j = 0; j < 32; ++j) largest = __builtin_fabsf(x[j]) > largest ? __builtin_fabsf(x[j]) : largest;
    // The exponent at which the largest value lies between 4 and 8 of the code book's 6; or one of its
    // neighbours.
    const int floor_log2 = static_cast<int>((float_bits(largest) >> 23) & 255u) - 127;
    BlockMXFP4 block = {};
    float least = __builtin_inff();
    for (int offset = -1; offset <= 1; ++offset) {
      int exponent = floor_log2 - 2 + offset + 127;
      exponent = exponent < 0 ? 0 : exponent > 254 ? 254 : exponent;
      const float d = e8m0_half_to_f32(static_cast<uint8_t>(exponent));
      uint8_t numbers[32];
      const float error = round_to_e2m1(x, weights, 32, d, numbers);
      if (!(error < least)) continue;
      least = error;
      block.e = static_cast<uint8_t>(exponent);
      for (int j = 0; j < 16; ++j) block.qs[j] = static_cast<uint8_t>(numbers[j] | numbers[j + 16] << 4);
    }
    memcpy(static_cast<char*>(blocks) + i * sizeof(block), &block, sizeof(block));
  }
}

/// The number of the least e4m3 scale that is not below x, at most 126.
inline int ceil_ue4m3(float x) {
  const int exponent = static_cast<int>((float_bits(x) >> 23) & 255u) - 127;
  if (exponent >= 9) return 126;
  const float step =
      exponent < -6 ? 0x1p-9f : float_from_bits(static_cast<uint32_t>(exponent + 127 - 3) << 23);
  const float steps = x / step;  // from 8 on where numbers are normal
  const int whole = static_cast<int>(steps);
  const int code = whole + (steps > static_cast<float>(whole)) + (exponent < -6 ? 0 : (exponent + 6) * 8);
  return code < 126 ? code : 126;
}

void encode_NVFP4(const float* values, const float* importance, size_t n_values, void* blocks, Search) {
  for (size_t i = 0; i < n_values / 16; ++i) {
    const float* x = values + 16 * i;
    const float* weights = importance != nullptr ? importance + 16 * i : nullptr;
    float largest = 0.0f;
    for (int j = 0; j < 16; ++j) largest = __builtin_fabsf(x[j]) > largest ? __builtin_fabsf(x[j]) : largest;
    // The scale at which the largest value is the code book's 6, or 4, or one near these.
    const int six = ceil_ue4m3(largest / 6.0f), four = ceil_ue4m3(largest / 4.0f);
    uint8_t best[8] = {}, best_scale = 0;
    float least = __builtin_inff();
    for (int code = six > 1 ? six - 1 : 1; code <= four; ++code) {
      const float d = ue4m3_half_to_f32(static_cast<uint8_t>(code));
      uint8_t numbers[16];
      const float error = round_to_e2m1(x, weights, 16, d, numbers);
      if (!(error < least)) continue;
      least = error;
      best_scale = static_cast<uint8_t>(code);
      for (int j = 0; j < 8; ++j) best[j] = static_cast<uint8_t>(numbers[j] | numbers[j + 8] << 4);
    }
    char* block = static_cast<char*>(blocks) + i / 4 * sizeof(BlockNVFP4);
    memcpy(block + i % 4, &best_scale, 1);
    memcpy(block + 4 + i % 4 * 8, best, sizeof best);
  }
}

// -------------------------------------------------------------------------------------------------- TQ1_0,
// TQ2_0

/// The d that serves trits best: values of at least d / 2 become +-d. Starting from the largest magnitude,
/// which is exact where the weights are ternary already, the fit is repeated from several thresholds.
float fit_ternary(const float* x, const float* w) {
  float largest = 0.0f;
  for (int j = 0; j < 256; ++j) largest = __builtin_fabsf(x[j]) > largest ? __builtin_fabsf(x[j]) : largest;
  float best_d = 0.0f, best_gain = 0.0f;
  for (int k = 0; k < 24; ++k) {
    float d = largest * (1.0f - 0.04f * static_cast<float>(k));
    for (int refinement = 0; refinement < 3; ++refinement) {
      float sum_w = 0.0f, sum_wx = 0.0f;
      for (int j = 0; j < 256; ++j) {
        const float size = __builtin_fabsf(x[j]);
        if (!(size > 0.5f * d)) continue;
        const float weight = w != nullptr ? w[j] : 1.0f;
        sum_w += weight;
        sum_wx += weight * size;
      }
      if (!(sum_w > 0.0f)) break;
      d = sum_wx / sum_w;
      if (sum_wx * d > best_gain) {
        best_gain = sum_wx * d;
        best_d = d;
      }
    }
  }
  return best_d;
}

/// d and 256 quants 0, 1, 2.
uint16_t encode_trits(const float* x, const float* w, uint8_t* trits) {
  const uint16_t d = f32_to_f16(fit_ternary(x, w));
  const float threshold = 0.5f * f16_to_f32(d);
  for (int j = 0; j < 256; ++j) trits[j] = x[j] > threshold ? 2 : x[j] < -threshold ? 0 : 1;
  return d;
}

/// Bytes that each hold trits[byte], trits[byte + n_bytes], ... as a fraction rounded up to 1/256.
void pack_trits(const uint8_t* trits, int n_bytes, int n_trits, uint8_t* bytes) {
  for (int j = 0; j < n_bytes; ++j) {
    int number = 0;
    for (int n = 0; n < 5; ++n) number = number * 3 + (n < n_trits ? trits[j + n * n_bytes] : 0);
    bytes[j] = static_cast<uint8_t>((number * 256 + 242) / 243);
  }
}

void encode_TQ1_0(const float* values, const float* importance, size_t n_values, void* blocks, Search) {
  for (size_t i = 0; i < n_values / 256; ++i) {
    uint8_t trits[256];
    BlockTQ1_0 block;
    block.d = encode_trits(values + 256 * i, importance ? importance + 256 * i : nullptr, trits);
    pack_trits(trits, 32, 5, block.qs);
    pack_trits(trits + 160, 16, 5, block.qs + 32);
    pack_trits(trits + 240, 4, 4, block.qh);
    memcpy(static_cast<char*>(blocks) + i * sizeof(block), &block, sizeof(block));
  }
}

void encode_TQ2_0(const float* values, const float* importance, size_t n_values, void* blocks, Search) {
  for (size_t i = 0; i < n_values / 256; ++i) {
    uint8_t trits[256];
    BlockTQ2_0 block;
    block.d = encode_trits(values + 256 * i, importance ? importance + 256 * i : nullptr, trits);
    for (int half = 0; half < 2; ++half)
      for (int j = 0; j < 32; ++j) {
        const uint8_t* q = trits + 128 * half + j;
        block.qs[32 * half + j] = static_cast<uint8_t>(q[0] | q[32] << 2 | q[64] << 4 | q[96] << 6);
      }
    memcpy(static_cast<char*>(blocks) + i * sizeof(block), &block, sizeof(block));
  }
}

}  // namespace
}  // namespace ruvllm::kernels
