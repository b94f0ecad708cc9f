// The column of ARM processors that have dot products (most since 2018): sdot adds four products of bytes to
// each word.
#pragma once

#include "kernels/dotprod/dot.h"

namespace ruvllm::kernels {
namespace {

/// Activation rows of a tile of quantised products: twelve registers of integers, twelve of float sums,
/// of 32.
constexpr size_t kTileRows = 3;
/// Most activation rows whose products are made where weights are unpacked (lanes/stream.h): with scales of
/// 32 values, two of which are unpacked side by side, and of 16, where it is four.
constexpr size_t kStreamRows = 2;
constexpr size_t kStreamRowsBy16 = 1;

template <int most, bool is_signed>
using Dot = FourProducts;

}  // namespace
}  // namespace ruvllm::kernels
