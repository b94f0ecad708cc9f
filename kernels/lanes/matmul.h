// The products of every format, put into a set. Included after a column's simd.h.
#pragma once

#include "kernels/lanes/floats.h"
#include "kernels/lanes/quantised.h"
#include "kernels/lanes/unpack_grids.h"
#include "kernels/lanes/unpack_plain.h"

namespace ruvllm::kernels {
namespace {

size_t matmul_scratch_bytes(size_t, size_t n_rows) { return quantised_scratch_bytes(n_rows); }

template <class F>
constexpr auto matmul_of() {
  if constexpr (requires { F::load_lanes; })
    return matmul_float<F>;
  else
    return matmul_quantised<F>;
}

void overlay_matmul(KernelSet& set) {
#define FORMAT(id, name, text, values, bytes) set.formats[id].matmul = matmul_of<Lanes##name>();
#include "kernels/formats.def"
#undef FORMAT
  set.matmul_scratch_bytes = matmul_scratch_bytes;
}

}  // namespace
}  // namespace ruvllm::kernels
