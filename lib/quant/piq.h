// The suite's own formats PIQ2 and PIQ3 for those who choose their numbers themselves (training), and grids
// learned from weights.
//
// A row is cut into blocks (256, 64 or 32 values; the last may be shorter), each with one alpha > 0. A value
// is alpha * grid.unit * grid.levels[code]; the grid is the tensor's: tensor::default_grid(format) is uniform
// with k = 4, kernels::uniform_grid(format, k) with another k, format::OwnFormats::grid_of() what a file
// says, learned levels included. A file is told of k and of levels by format::write_own_formats(). Plain
// encoding, alphas searched: tensor::encode_rows(); decoding: tensor::decode_rows(). Tested by
// tests/quant/piq_test.cpp.
#pragma once

#include "format/own_formats.h"
#include "tensor/format.h"

#include <optional>
#include <span>
#include <vector>

namespace ruvllm::quant {

/// Alphas of a row of n_columns values.
uint64_t n_alphas(tensor::Format format, uint64_t n_columns);

/// What alpha becomes when stored: the nearest f16 number, at least the smallest normal one.
float stored_alpha(float alpha);

/// One row on given alphas (n_alphas() of them, > 0, stored as stored_alpha() says): every value goes to the
/// nearest level, halfway ones up. `bytes`: tensor::row_bytes() of the row.
void encode_with_alphas(tensor::Format format, const tensor::Grid& grid, std::span<const float> values,
                        std::span<const float> alphas, std::span<std::byte> bytes);

/// The alphas of an encoded row of n_columns values.
std::vector<float> read_alphas(tensor::Format format, uint64_t n_columns, std::span<const std::byte> bytes);

/// Levels for format::OwnFormats::codebooks that make sum w (decoded - value)^2 over these rows small (Lloyd
/// 1982, Max 1960, in turns with the search for alphas). `importance`: one a value, or empty. Nothing where
/// the uniform grid with this k is as good.
std::optional<format::OwnFormats::Levels> learn_levels(tensor::Format format, int k, uint64_t n_columns,
                                                       std::span<const float> rows,
                                                       std::span<const float> importance);

}  // namespace ruvllm::quant
