// The column of ARM processors that multiply matrices of bytes (many since 2021): smmla multiplies 8 bytes of
// two weight rows with those of two activation rows, twice the products of sdot. One row alone takes sdot.
#pragma once

#include "kernels/dotprod/dot.h"

namespace ruvllm::kernels {
namespace {

/// Activation rows of a tile of quantised products: a group, for which weights are paired once.
constexpr size_t kTileRows = 6;
/// Most activation rows whose products are made where weights are unpacked (lanes/stream.h).
constexpr size_t kStreamRows = 1;
constexpr size_t kStreamRowsBy16 = 1;

template <int most, bool is_signed>
struct Dot : FourProducts {
  /// Sums of products of 16 weight rows with two activation rows.
  struct OfTwoRows {
    int32x4_t sum[8];  // of weight rows 2 i and 2 i + 1: with the first activation row, the second, and so on

    /// 8 columns of 16 weight rows, two in a register.
    struct Eight {
      int8x16_t two_rows[8];
    };
    static Eight eight_columns(Ints four, Ints next) {
      Eight eight;
      for (int q = 0; q < 4; ++q) {
        eight.two_rows[2 * q] = signed_bytes(vzip1q_s32(four.quarter[q], next.quarter[q]));
        eight.two_rows[2 * q + 1] = signed_bytes(vzip2q_s32(four.quarter[q], next.quarter[q]));
      }
      return eight;
    }

    void begin() {
      for (int32x4_t& s : sum) s = vdupq_n_s32(0);
    }
    /// 8 activations of each row.
    void add(const Eight& codes, const int8_t* first, const int8_t* second) {
      const int8x16_t activations = vcombine_s8(vld1_s8(first), vld1_s8(second));
      for (int i = 0; i < 8; ++i) sum[i] = vmmlaq_s32(sum[i], codes.two_rows[i], activations);
    }
    /// Of the first activation row, or the second.
    Ints total(int row) const {
      return int_quarters([&](int q) {
        return row == 0 ? vuzp1q_s32(sum[2 * q], sum[2 * q + 1]) : vuzp2q_s32(sum[2 * q], sum[2 * q + 1]);
      });
    }
  };
};

}  // namespace
}  // namespace ruvllm::kernels
