#include "base/error.h"
#include "train/ops/ops.h"
#include "train/ops/rows.h"

namespace ruvllm::train {

template <typename T>
Var matmul(Tape<T>& tape, Var x, Var weight) {
  const size_t n = tape.shape(x).n_rows, k = tape.shape(x).n_columns, m = tape.shape(weight).n_rows;
  RUVLLM_ASSERT(tape.shape(weight).n_columns == k);
  const Var y = tape.make({n, m}, tape.needs_gradient(x) || tape.needs_gradient(weight));
  product<T>(&tape.pool(), n, m, k, {tape.value(x).data(), k, 1}, {tape.value(weight).data(), 1, k},
             tape.value(y).data(), m, false, tape.gemm_scratch(), tape.precision());
  if (!tape.needs_gradient(y)) return y;
  tape.on_backward([&tape, x, weight, y, n, k, m] {
    const T* dy = tape.gradient(y).data();
    if (tape.needs_gradient(x))  // dx (n, k) += dy (n, m) W (m, k)
      product<T>(&tape.pool(), n, k, m, {dy, m, 1}, {tape.value(weight).data(), k, 1},
                 tape.gradient(x).data(), k, true, tape.gemm_scratch(), tape.precision());
    if (tape.needs_gradient(weight))  // dW (m, k) += dy^T (m, n) x (n, k)
      product<T>(&tape.pool(), m, k, n, {dy, 1, m}, {tape.value(x).data(), k, 1},
                 tape.gradient(weight).data(), k, true, tape.gemm_scratch(), tape.precision());
  });
  return y;
}

template Var matmul(Tape<float>&, Var, Var);
template Var matmul(Tape<double>&, Var, Var);

}  // namespace ruvllm::train
