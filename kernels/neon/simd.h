// The column of every 64-bit ARM processor: bytes are multiplied to 16 bits by smull and smlal, which
// pairwise additions make 32 of.
#pragma once

#include "kernels/neon/vectors.h"

namespace ruvllm::kernels {
namespace {

/// Bytes are multiplied signed, so codes are the quants themselves.
constexpr bool kUnsignedCodes = false;
/// Weight panels and activation rows of a tile of quantised products: 16 registers of short sums.
constexpr size_t kTilePanels = 1;
constexpr size_t kTileRows = 2;
/// Most activation rows whose products are made where weights are unpacked (lanes/stream.h): with scales of
/// 32 values, and of 16, of which too many are unpacked side by side.
constexpr size_t kStreamRows = 1;
constexpr size_t kStreamRowsBy16 = 0;
constexpr size_t kSliceRows = 6;

/// A sum of products of 4 bytes of 16 rows with the same 4 activations. Eight of them, a whole sub-block, fit
/// 16 bits where codes are small: then sums are widened only at the end.
template <int most, bool is_signed, bool is_short = 8 * most * 127 <= 32767>
struct Dot {
  int32_t start;
  int16x8_t low[4], high[4];  // rows 0 and 1, 2 and 3 of a quarter, four products each

  void begin(int32_t from) {
    start = from;
    for (int q = 0; q < 4; ++q) low[q] = high[q] = vdupq_n_s16(0);
  }
  void add(Ints codes, Ints four) {
    for (int q = 0; q < 4; ++q) {
      const int8x16_t a = signed_bytes(codes.quarter[q]), b = signed_bytes(four.quarter[q]);
      low[q] = vmlal_s8(low[q], vget_low_s8(a), vget_low_s8(b));
      high[q] = vmlal_high_s8(high[q], a, b);
    }
  }
  Ints total() const {
    return int_quarters([&](int q) {
      const int32x4_t sum = vpaddq_s32(vpaddlq_s16(low[q]), vpaddlq_s16(high[q]));
      return vaddq_s32(sum, vdupq_n_s32(start));
    });
  }
};

/// Any codes: two products of at most 128 * 127 fit 16 bits.
template <int most, bool is_signed>
struct Dot<most, is_signed, false> {
  Ints sum;

  void begin(int32_t start) { sum = splat_word(start); }
  void add(Ints codes, Ints four) {
    for (int q = 0; q < 4; ++q) {
      const int8x16_t a = signed_bytes(codes.quarter[q]), b = signed_bytes(four.quarter[q]);
      const int16x8_t pairs = vpaddq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b)), vmull_high_s8(a, b));
      sum.quarter[q] = vpadalq_s16(sum.quarter[q], pairs);
    }
  }
  Ints total() const { return sum; }
};

}  // namespace
}  // namespace ruvllm::kernels
