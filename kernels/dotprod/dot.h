// Products of bytes by sdot, for the columns that have it.
#pragma once

#include "kernels/neon/vectors.h"

namespace ruvllm::kernels {
namespace {

/// Bytes are multiplied signed, so codes are the quants themselves.
constexpr bool kUnsignedCodes = false;
/// Weight panels of a tile of quantised products, and rows of a stream's largest slice.
constexpr size_t kTilePanels = 1;
constexpr size_t kSliceRows = 6;

/// A sum of products of 4 bytes of 16 rows with the same 4 activations. Nothing overflows, whatever the
/// codes.
struct FourProducts {
  Ints sum;

  void begin(int32_t start) { sum = splat_word(start); }
  void add(Ints codes, Ints four) {
    for (int q = 0; q < 4; ++q)
      sum.quarter[q] =
          vdotq_s32(sum.quarter[q], signed_bytes(codes.quarter[q]), signed_bytes(four.quarter[q]));
  }
  Ints total() const { return sum; }
};

}  // namespace
}  // namespace ruvllm::kernels
