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

/// Bytes of a row of n_values. Throws Errc::corrupt_file where n_values is no multiple of the format's block.
inline uint64_t row_bytes(Format format, uint64_t n_values) {
  const kernels::Traits& t = traits(format);
  if (n_values % t.block_values != 0)
    throw Error(Errc::corrupt_file, "rows of {} values don't divide into {} blocks of {}", n_values, t.name,
                t.block_values);
  return checked_mul<uint64_t>(n_values / t.block_values, t.block_bytes, "row size");
}

}  // namespace ruvllm::tensor
