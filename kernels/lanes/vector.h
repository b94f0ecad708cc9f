// Everything that runs over one vector: norms, rotation, gated activations, softmax, int8 activations, stored
// keys and values. Written once over sixteen lanes; each column compiles it with its own simd.h.
//
// Sums have one shape: sixteen partial sums, lane i taking elements i, i + 16, ... in order, then a tree over
// the lanes. A tail is processed as a vector padded with zeros. Tested by tests/kernels/vector_test.cpp.
#pragma once

#include "kernels/kernels.h"
#include "kernels/lanes/hadamard.h"
#include "kernels/lanes/maths.h"

#include <math.h>

namespace ruvllm::kernels {
namespace {

constexpr size_t kLanes = 16;

inline Floats load_tail(const float* from, size_t n, float padding) {
  float lane[kLanes];
  for (size_t i = 0; i < kLanes; ++i) lane[i] = i < n ? from[i] : padding;
  return load(lane);
}

inline void store_tail(float* to, Floats a, size_t n) {
  float lane[kLanes];
  store(lane, a);
  memcpy(to, lane, n * sizeof(float));
}

/// state = function(state, vector) over all of x.
template <class Function>
inline Floats fold(const float* x, size_t n, Floats state, float padding, Function function) {
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) state = function(state, load(x + i));
  return i < n ? function(state, load_tail(x + i, n - i, padding)) : state;
}

/// x = function(x)
template <class Function>
inline void map(float* x, size_t n, Function function) {
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(x + i, function(load(x + i)));
  if (i < n) store_tail(x + i, function(load_tail(x + i, n - i, 0.0f)), n - i);
}

/// x = function(x, y)
template <class Function>
inline void map2(float* x, const float* y, size_t n, Function function) {
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(x + i, function(load(x + i), load(y + i)));
  if (i < n) store_tail(x + i, function(load_tail(x + i, n - i, 0.0f), load_tail(y + i, n - i, 0.0f)), n - i);
}

inline float sum_of_squares(const float* x, size_t n) {
  return sum_of_lanes(fold(x, n, broadcast(0.0f), 0.0f, [](Floats s, Floats v) { return fma(v, v, s); }));
}

void rms_norm(const float* x, const float* weight, float epsilon, float* out, size_t n) {
  const float mean = sum_of_squares(x, n) / static_cast<float>(n);
  const Floats factor = broadcast(1.0f / sqrtf(mean + epsilon));
  if (out != x) memmove(out, x, n * sizeof(float));
  map2(out, weight, n, [&](Floats v, Floats w) { return multiply(multiply(v, factor), w); });
}

void layer_norm(const float* x, const float* weight, const float* bias, float epsilon, float* out, size_t n) {
  const Floats sum = fold(x, n, broadcast(0.0f), 0.0f, [](Floats s, Floats v) { return add(s, v); });
  const Floats mean = broadcast(sum_of_lanes(sum) / static_cast<float>(n));
  if (out != x) memmove(out, x, n * sizeof(float));
  map(out, n, [&](Floats v) { return subtract(v, mean); });
  const float variance = sum_of_squares(out, n) / static_cast<float>(n);
  const Floats factor = broadcast(1.0f / sqrtf(variance + epsilon));
  map2(out, weight, n, [&](Floats v, Floats w) { return multiply(multiply(v, factor), w); });
  if (bias != nullptr) map2(out, bias, n, [](Floats v, Floats b) { return add(v, b); });
}

// Both products are rounded before they are added, so that a rotation by nothing changes nothing.
void rope_halves(float* x, const float* cosines, const float* sines, size_t half) {
  float* y = x + half;
  const auto rotate = [&](Floats a, Floats b, Floats c, Floats s, Floats* low, Floats* high) {
    *low = subtract(multiply(a, c), multiply(b, s));
    *high = add(multiply(a, s), multiply(b, c));
  };
  size_t i = 0;
  Floats low, high;
  for (; i + kLanes <= half; i += kLanes) {
    rotate(load(x + i), load(y + i), load(cosines + i), load(sines + i), &low, &high);
    store(x + i, low);
    store(y + i, high);
  }
  if (i == half) return;
  const size_t n = half - i;
  rotate(load_tail(x + i, n, 0), load_tail(y + i, n, 0), load_tail(cosines + i, n, 0),
         load_tail(sines + i, n, 0), &low, &high);
  store_tail(x + i, low, n);
  store_tail(y + i, high, n);
}

void rope(float* x, const float* cosines, const float* sines, size_t n, bool half_split) {
  if (half_split) return rope_halves(x, cosines, sines, n / 2);
  for (size_t i = 0; i < n / 2; ++i) {
    const float a = x[2 * i], b = x[2 * i + 1];
    const float ac = a * cosines[i], bs = b * sines[i], as = a * sines[i], bc = b * cosines[i];
    x[2 * i] = ac - bs;
    x[2 * i + 1] = as + bc;
  }
}

void silu_multiply(float* gate, const float* up, size_t n) {
  map2(gate, up, n, [](Floats g, Floats u) { return multiply(silu(g), u); });
}

void gelu_multiply(float* gate, const float* up, size_t n, bool tanh_form) {
  map2(gate, up, n, [&](Floats g, Floats u) { return multiply(gelu_of(g, tanh_form), u); });
}

void gelu(float* x, size_t n, bool tanh_form) {
  map(x, n, [&](Floats v) { return gelu_of(v, tanh_form); });
}

void add_to(float* x, const float* y, size_t n) {
  map2(x, y, n, [](Floats a, Floats b) { return add(a, b); });
}

void scale(float* x, float factor, size_t n) {
  map(x, n, [f = broadcast(factor)](Floats v) { return multiply(v, f); });
}

void soft_cap(float* x, float cap, size_t n) {
  const Floats c = broadcast(cap);
  map(x, n, [&](Floats v) { return multiply(c, hyperbolic_tangent(divide(v, c))); });
}

void softmax(float* x, size_t n) {
  const Floats most =
      fold(x, n, broadcast(-INFINITY), -INFINITY, [](Floats m, Floats v) { return maximum(m, v); });
  const Floats m = broadcast(maximum_of_lanes(most));
  map(x, n, [&](Floats v) { return exponential(subtract(v, m)); });
  const Floats sum = fold(x, n, broadcast(0.0f), 0.0f, [](Floats s, Floats v) { return add(s, v); });
  map(x, n, [f = broadcast(1.0f / sum_of_lanes(sum))](Floats v) { return multiply(v, f); });
}

inline float greatest_magnitude(const float* x, size_t n) {
  return maximum_of_lanes(
      fold(x, n, broadcast(0.0f), 0.0f, [](Floats m, Floats v) { return maximum(m, absolute(v)); }));
}

/// 32 floats to whole numbers of at most `limit`. Rounding is exact: |x * inverse| <= 32639.5.
inline void round_block(const float* x, float limit, Ints (&quants)[2], float* block_scale) {
  const float most = greatest_magnitude(x, kActivationBlock);
  const float ratio = limit / most;
  const Floats inverse = broadcast(most > 0.0f && ratio < INFINITY ? ratio : 0.0f);
  *block_scale = most / limit;
  for (size_t half = 0; half < 2; ++half)
    quants[half] = round_to_ints(multiply(load(x + 16 * half), inverse));
}

inline void count_block(const int32_t (&half_sums)[2], float block_scale, ActivationBlock& block) {
  block.scale = block_scale;
  for (size_t half = 0; half < 2; ++half) {
    block.half_biases[half] = -128 * half_sums[half];
    block.scaled_half_sums[half] = block_scale * static_cast<float>(half_sums[half]);
  }
  block.bias = block.half_biases[0] + block.half_biases[1];
  block.scaled_sum = block_scale * static_cast<float>(half_sums[0] + half_sums[1]);
}

/// Block i of a row: where it lies, or a copy filled up with zeros where the row ends in it.
inline const float* block_of_row(const float* x, size_t n_columns, size_t i, float* filled) {
  const size_t first = i * kActivationBlock;
  if (n_columns - first >= kActivationBlock) return x + first;
  memset(filled, 0, kActivationBlock * sizeof(float));
  memcpy(filled, x + first, (n_columns - first) * sizeof(float));
  return filled;
}

void quantise(const float* x, size_t n_columns, ActivationBlock* blocks, size_t stride) {
  float filled[kActivationBlock];
  for (size_t i = 0; i < activation_blocks(n_columns); ++i) {
    Ints quants[2];
    float block_scale;
    round_block(block_of_row(x, n_columns, i, filled), 127.0f, quants, &block_scale);
    for (size_t half = 0; half < 2; ++half) store_bytes(blocks[i * stride].quants + 16 * half, quants[half]);
    const int32_t half_sums[2] = {sum_of_lanes(quants[0]), sum_of_lanes(quants[1])};
    count_block(half_sums, block_scale, blocks[i * stride]);
  }
}

void quantise_wide(const float* x, size_t n_columns, WideActivationBlock* blocks, size_t stride) {
  float filled[kActivationBlock];
  for (size_t i = 0; i < activation_blocks(n_columns); ++i) {
    Ints quants[2];
    float block_scale;
    round_block(block_of_row(x, n_columns, i, filled), 32639.0f, quants, &block_scale);
    int32_t half_sums[2];
    for (size_t half = 0; half < 2; ++half) {
      const Ints high = high_plane(quants[half]), low = low_plane(quants[half], high);
      store_bytes(blocks[i * stride].high.quants + 16 * half, high);
      store_bytes(blocks[i * stride].low + 16 * half, low);
      half_sums[half] = 256 * sum_of_lanes(high) + sum_of_lanes(low);
    }
    count_block(half_sums, block_scale, blocks[i * stride].high);
  }
}

void overlay_vector(KernelSet& set) {
  set.quantise = quantise;
  set.quantise_wide = quantise_wide;
  set.rms_norm = rms_norm;
  set.layer_norm = layer_norm;
  set.rope = rope;
  set.silu_multiply = silu_multiply;
  set.gelu_multiply = gelu_multiply;
  set.gelu = gelu;
  set.add = add_to;
  set.scale = scale;
  set.soft_cap = soft_cap;
  set.softmax = softmax;
  set.hadamard = hadamard;
}

}  // namespace
}  // namespace ruvllm::kernels
