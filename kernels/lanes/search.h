// What the encoders search with: sixteen sub-blocks side by side, one a lane, and least-squares fits of their
// scales.
//
// A lane never mixes with another, and there is no fused arithmetic here, so that every column chooses the
// same bytes. A fit asks: with these integer quants q, which scale a (and minimum b) makes sum w (a q - b -
// x)^2 least? Candidates for q come from rounding x by a trial scale; a fit in turn gives a better scale to
// round by.
//
// Included by a column's encode.cpp after its simd.h. Tested by tests/kernels/encode_test.cpp.
#pragma once

namespace ruvllm::kernels {
namespace {

// ------------------------------------------------------------------------------------------ numbers, 16 at a
// time

/// Sixteen floats with operators.
struct Wide {
  Floats lanes;

  Wide() = default;
  Wide(Floats from) : lanes(from) {}
  Wide(float everywhere) : lanes(broadcast(everywhere)) {}
};

inline Wide operator+(Wide a, Wide b) { return add(a.lanes, b.lanes); }
inline Wide operator-(Wide a, Wide b) { return subtract(a.lanes, b.lanes); }
inline Wide operator*(Wide a, Wide b) { return multiply(a.lanes, b.lanes); }
inline Wide operator/(Wide a, Wide b) { return divide(a.lanes, b.lanes); }
inline Wide& operator+=(Wide& a, Wide b) { return a = a + b; }
inline Wide max(Wide a, Wide b) { return maximum(a.lanes, b.lanes); }
inline Wide min(Wide a, Wide b) { return minimum(a.lanes, b.lanes); }
inline Wide magnitude(Wide a) { return absolute(a.lanes); }
inline Wide if_less(Wide a, Wide b, Wide yes, Wide no) {
  return select_less(a.lanes, b.lanes, yes.lanes, no.lanes);
}
/// To the nearest whole number, ties to even; |a| < 2^22.
inline Wide round(Wide a) { return (a + 0x1.8p23f) - 0x1.8p23f; }
inline Wide clamp(Wide a, float low, float high) { return min(max(a, low), high); }
/// a / b, and 0 where b is not positive.
inline Wide ratio(Wide a, Wide b) { return if_less(0.0f, b, a / b, 0.0f); }

/// Sixteen floats in memory, for the steps that look across lanes.
struct Sixteen {
  float lane[16];

  Sixteen() = default;
  Sixteen(Wide from) { store(lane, from.lanes); }
  operator Wide() const { return load(lane); }
  float& operator[](int i) { return lane[i]; }
  float operator[](int i) const { return lane[i]; }
};

// ------------------------------------------------------------------------------------------------ values in
// lanes

/// n values of each of sixteen sub-blocks, with their weights and the sums that every fit needs.
template <int n>
struct Tile {
  Wide x[n];
  Wide w[n];
  Wide sum_w, sum_wx, sum_wxx;

  /// Lane l takes values[l * n ... l * n + n). `importance` null: every value weighs 1.
  void load_lanes(const float* values, const float* importance) {
    transpose_lanes(values, x);
    if (importance != nullptr) {
      transpose_lanes(importance, w);
    } else {
      for (Wide& weight : w) weight = 1.0f;
    }
    sum_w = sum_wx = sum_wxx = 0.0f;
    for (int i = 0; i < n; ++i) {
      sum_w += w[i];
      sum_wx += w[i] * x[i];
      sum_wxx += w[i] * x[i] * x[i];
    }
  }

 private:
  static void transpose_lanes(const float* from, Wide* to) {
    for (int first = 0; first < n; first += 16) {
      Floats rows[16];
      for (int l = 0; l < 16; ++l) rows[l] = load(from + l * n + first);
      transpose(rows);
      for (int i = 0; i < 16; ++i) to[first + i] = rows[i];
    }
  }
};

/// The quants of a tile as bytes, lane after lane: quants[l * n + i].
template <int n>
inline void store_quants(const Wide* q, int8_t* quants) {
  int8_t rows[n][16];
  for (int i = 0; i < n; ++i) store_bytes(rows[i], round_to_ints(q[i].lanes));
  for (int l = 0; l < 16; ++l)
    for (int i = 0; i < n; ++i) quants[l * n + i] = rows[i][l];
}

/// Calls encode(values, importance, blocks) for every 512 values, which are 512 / Block::kValues blocks; the
/// last few blocks go with zeros.
template <class Block, class Encode>
void for_each_512(const float* values, const float* importance, size_t n_values, void* blocks,
                  Encode encode) {
  Block encoded[512 / Block::kValues];
  for (size_t first = 0; first < n_values; first += 512) {
    const size_t n = n_values - first < 512 ? n_values - first : 512;
    if (n == 512) {
      encode(values + first, importance != nullptr ? importance + first : nullptr, encoded);
    } else {
      float x[512] = {}, w[512] = {};
      memcpy(x, values + first, n * sizeof(float));
      if (importance != nullptr) memcpy(w, importance + first, n * sizeof(float));
      encode(x, importance != nullptr ? w : nullptr, encoded);
    }
    memcpy(static_cast<char*>(blocks) + first / Block::kValues * sizeof(Block), encoded,
           n / Block::kValues * sizeof(Block));
  }
}

// -------------------------------------------------------------------------------------------- value = scale
// * q

/// The sums over a tile that a fit of a scale needs.
struct Moments {
  Wide qq, qx;  // sum w q^2, sum w q x

  /// The best scale, and how much it takes off sum w x^2.
  Wide scale() const { return ratio(qx, qq); }
  Wide gain() const { return ratio(qx * qx, qq); }
  /// sum w (a q - x)^2 less sum w x^2.
  Wide change(Wide a) const { return a * (a * qq - (qx + qx)); }
};

/// What `round_quant(x / scale)` makes of a tile.
template <int n, class Quantise>
inline Moments moments(const Tile<n>& tile, Wide inverse_scale, Quantise quantise) {
  Moments sums{0.0f, 0.0f};
  for (int i = 0; i < n; ++i) {
    const Wide q = quantise(tile.x[i] * inverse_scale);
    const Wide wq = tile.w[i] * q;
    sums.qq += wq * q;
    sums.qx += wq * tile.x[i];
  }
  return sums;
}

/// The scale of each lane that takes most off its error: trials of inverse scales peak / extreme, then
/// `n_refinements` roundings by the scale found. `extreme` is the value that a trial maps to `peak`.
template <int n, class Quantise>
inline Wide fit_scale(const Tile<n>& tile, Wide extreme, const float* peaks, int n_peaks, int n_refinements,
                      Quantise quantise) {
  Wide best_scale = 0.0f, best_gain = 0.0f;
  const Wide unit = if_less(0.0f, magnitude(extreme), Wide(1.0f) / extreme, 0.0f);
  const auto keep_better = [&](const Moments& sums) {
    const Wide gain = sums.gain();
    best_scale = if_less(best_gain, gain, sums.scale(), best_scale);
    best_gain = max(best_gain, gain);
  };
  for (int k = 0; k < n_peaks; ++k) keep_better(moments(tile, unit * peaks[k], quantise));
  for (int k = 0; k < n_refinements; ++k) {
    const Wide inverse = if_less(0.0f, magnitude(best_scale), Wide(1.0f) / best_scale, 0.0f);
    keep_better(moments(tile, inverse, quantise));
  }
  return best_scale;
}

/// The value of largest magnitude in each lane, with its sign.
template <int n>
inline Wide extreme_value(const Tile<n>& tile) {
  Wide extreme = 0.0f;
  for (int i = 0; i < n; ++i) extreme = if_less(magnitude(extreme), magnitude(tile.x[i]), tile.x[i], extreme);
  return extreme;
}

// ------------------------------------------------------------------------------------- value = scale * q -
// minimum

/// The sums over a tile that a fit of a scale and a minimum needs, next to the tile's own.
struct AffineMoments {
  Wide q, qq, qx;  // sum w q, sum w q^2, sum w q x
};

struct AffineFit {
  Wide scale, min;
};

/// What rounding (x + min) / scale to 0 .. peak makes of a tile.
template <int n>
inline AffineMoments affine_moments(const Tile<n>& tile, Wide inverse_scale, Wide min, float peak) {
  AffineMoments sums{0.0f, 0.0f, 0.0f};
  for (int i = 0; i < n; ++i) {
    const Wide q = clamp(round((tile.x[i] + min) * inverse_scale), 0.0f, peak);
    const Wide wq = tile.w[i] * q;
    sums.q += wq;
    sums.qq += wq * q;
    sums.qx += wq * tile.x[i];
  }
  return sums;
}

/// sum w (a q - b - x)^2 less sum w x^2.
template <int n>
inline Wide affine_change(const Tile<n>& tile, const AffineMoments& sums, Wide a, Wide b) {
  return a * (a * sums.qq - (sums.qx + sums.qx)) + b * (b * tile.sum_w + (tile.sum_wx + tile.sum_wx)) -
         (a + a) * (b * sums.q);
}

/// The scale and the minimum >= 0 (any where `signed_min`) that fit these quants best.
template <int n>
inline AffineFit solve(const Tile<n>& tile, const AffineMoments& sums, bool signed_min) {
  const Wide determinant = tile.sum_w * sums.qq - sums.q * sums.q;
  const Wide scale = ratio(tile.sum_w * sums.qx - sums.q * tile.sum_wx, determinant);
  const Wide min = ratio(scale * sums.q - tile.sum_wx, tile.sum_w);
  if (signed_min) return {scale, min};
  return {if_less(min, 0.0f, ratio(sums.qx, sums.qq), scale), max(min, 0.0f)};
}

/// The scale and minimum of each lane, by trials that stretch its range over 0 .. peak + stretch, then
/// refinements.
template <int n>
inline AffineFit fit_affine(const Tile<n>& tile, float peak, const float* stretches, int n_stretches,
                            int n_refinements, bool signed_min) {
  Wide low = tile.x[0], high = tile.x[0];
  for (int i = 1; i < n; ++i) {
    low = min(low, tile.x[i]);
    high = max(high, tile.x[i]);
  }
  if (!signed_min) low = min(low, 0.0f);

  AffineFit best{0.0f, Wide(0.0f) - low};
  Wide best_change = affine_change(tile, {0.0f, 0.0f, 0.0f}, best.scale, best.min);
  const auto keep_better = [&](const AffineMoments& sums) {
    const AffineFit fit = solve(tile, sums, signed_min);
    const Wide change = affine_change(tile, sums, fit.scale, fit.min);
    best.scale = if_less(change, best_change, fit.scale, best.scale);
    best.min = if_less(change, best_change, fit.min, best.min);
    best_change = min(best_change, change);
  };
  for (int k = 0; k < n_stretches; ++k) {
    const Wide inverse = ratio(Wide(peak + stretches[k]), high - low);
    // Half of the stretch falls off each end.
    const Wide shifted = Wide(0.0f) - low - ratio(Wide(0.5f * stretches[k]), inverse);
    keep_better(affine_moments(tile, inverse, signed_min ? shifted : max(shifted, 0.0f), peak));
  }
  for (int k = 0; k < n_refinements; ++k)
    keep_better(affine_moments(tile, ratio(Wide(1.0f), best.scale), best.min, peak));
  return best;
}

}  // namespace
}  // namespace ruvllm::kernels
