// Weight formats as the rest of lib/ sees them: kernels::Format re-exported, and sizes of rows.
#pragma once

#include "base/checked.h"
#include "kernels/kernels.h"

#include <cstdint>
#include <string_view>

namespace ruvllm::tensor {

using kernels::Format;
using kernels::traits;

inline std::string_view format_name(Format format) { return traits(format).name; }

using kernels::Grid;

/// Bytes of a row of n_values. Throws Errc::corrupt_file where n_values is no multiple of the format's block
/// (and the format allows no shorter one at the end).
inline uint64_t row_bytes(Format format, uint64_t n_values) {
  const kernels::Traits& t = traits(format);
  if (n_values % t.block_values != 0 && !t.has_grid)
    throw Error(Errc::corrupt_file, "rows of {} values don't divide into {} blocks of {}", n_values, t.name,
                t.block_values);
  checked_mul<uint64_t>(n_values / t.block_values, t.block_bytes, "row size");
  return kernels::row_bytes(t, n_values);
}

/// Can rows of n_values be in this format?
inline bool divides(Format format, uint64_t n_values) {
  return traits(format).has_grid || n_values % traits(format).block_values == 0;
}

/// Bytes before value number `value` of a matrix with rows of n_columns. Inside a row, `value` begins a
/// block.
inline uint64_t offset_of(Format format, uint64_t n_columns, uint64_t value) {
  return value / n_columns * row_bytes(format, n_columns) + row_bytes(format, value % n_columns);
}

/// The uniform grid, where the format has one; else nothing that anyone looks at.
inline Grid default_grid(Format format) {
  return traits(format).has_grid ? kernels::uniform_grid(format) : Grid{};
}

}  // namespace ruvllm::tensor
