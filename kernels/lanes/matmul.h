// The products of every format, put into a set. Included after a column's simd.h.
#pragma once

#include "kernels/lanes/floats.h"
#include "kernels/lanes/piq.h"
#include "kernels/lanes/quantised.h"
#include "kernels/lanes/unpack_grids.h"
#include "kernels/lanes/unpack_plain.h"

namespace ruvllm::kernels {
namespace {

size_t matmul_scratch_bytes(size_t, size_t n_rows) {
  const size_t of_quantised = quantised_scratch_bytes(n_rows), of_floats = float_scratch_bytes(n_rows);
  return of_quantised > of_floats ? of_quantised : of_floats;
}

template <class F>
void overlay_format(KernelSet& set, uint32_t id) {
  if constexpr (requires { F::kFormat; })
    overlay_grid_format<F>(set);
  else if constexpr (requires { F::matmul; })
    set.formats[id].matmul = F::matmul;
  else
    set.formats[id].matmul = matmul_quantised<F>;
}

void overlay_matmul(KernelSet& set) {
#define FORMAT(id, name, text, values, bytes) overlay_format<Lanes##name>(set, id);
#include "kernels/formats.def"
#undef FORMAT
  set.group_values = group_values;
  set.group_pairs = group_pairs;
  set.matmul_scratch_bytes = matmul_scratch_bytes;
}

}  // namespace
}  // namespace ruvllm::kernels
