// Rows of the formats with a grid (formats/piq.h), taken apart and put together: for panels, and for those
// who choose alphas and codes themselves (GPTQ, training). Tested by tests/kernels/piq_test.cpp.
#pragma once

#include "kernels/kernels.h"

namespace ruvllm::kernels {

/// A row of n_values: alphas (one a block) as f32 and codes. Either may be null.
void unpack_piq_row(Format format, const void* row, size_t n_values, float* alphas, uint8_t* codes);

/// The inverse; alphas are rounded to f16.
void pack_piq_row(Format format, const float* alphas, const uint8_t* codes, size_t n_values, void* row);

/// Row `lane` of a panel to the bytes that it had in the file.
void extract_piq_row(Format format, const void* panel, size_t lane, size_t n_values, void* row);

/// The code of the level nearest to `value`, counted in units: value = x / (alpha * unit). Halfway between
/// two levels it is the higher one.
int nearest_code(const Grid& grid, int n_levels, float value);

}  // namespace ruvllm::kernels
