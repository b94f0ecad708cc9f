// Keys and values on their way into the cache: f32 as it is, integers of 16 bits with a scale, or blocks
// of 32. Tested by tests/kernels/attention_test.cpp.
#pragma once

#include "kernels/formats/legacy.h"
#include "kernels/kernels.h"
#include "kernels/lanes/q16.h"
#include "kernels/lanes/vector.h"

namespace ruvllm::kernels {
namespace {

inline void store_q8(const float* x, char* out, size_t n) {
  for (size_t i = 0; i < n; i += 32) {
    BlockQ8_0 block;
    Ints quants[2];
    float block_scale;
    round_block(x + i, 127.0f, quants, &block_scale);
    for (size_t half = 0; half < 2; ++half) store_bytes(block.qs + 16 * half, quants[half]);
    block.d = f32_to_f16(block_scale);
    memcpy(out + i / 32 * sizeof block, &block, sizeof block);
  }
}

/// As Q4_0 has it: the value of greatest magnitude becomes -8.
inline void store_q4(const float* x, char* out, size_t n) {
  for (size_t i = 0; i < n; i += 32) {
    float most = 0.0f;
    for (size_t j = 0; j < 32; ++j) most = fabsf(x[i + j]) > fabsf(most) ? x[i + j] : most;
    const float inverse = most != 0.0f ? -8.0f / most : 0.0f;
    BlockQ4_0 block;
    block.d = f32_to_f16(most / -8.0f);
    const auto quant = [&](size_t j) {
      const int q = static_cast<int>(x[i + j] * inverse + 8.5f);
      return q > 15 ? 15 : q;
    };
    for (size_t j = 0; j < 16; ++j) block.qs[j] = static_cast<uint8_t>(quant(j) | quant(j + 16) << 4);
    memcpy(out + i / 32 * sizeof block, &block, sizeof block);
  }
}

void store_kv(const float* x, size_t n, KvFormat format, KvRole role, void* vector, float* scale) {
  switch (format) {
    case KvFormat::f32:
      memcpy(vector, x, n * sizeof(float));
      break;
    case KvFormat::q16:
      *scale = q16_scale(x, n, role);
      store_q16<false>(x, n, *scale, static_cast<int16_t*>(vector));
      break;
    case KvFormat::q8:
      store_q8(x, static_cast<char*>(vector), n);
      break;
    case KvFormat::q4:
      store_q4(x, static_cast<char*>(vector), n);
      break;
  }
}

inline void overlay_store_kv(KernelSet& set) { set.store_kv = store_kv; }

}  // namespace
}  // namespace ruvllm::kernels
