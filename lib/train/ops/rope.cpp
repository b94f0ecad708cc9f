#include "base/error.h"
#include "train/ops/ops.h"
#include "train/ops/rows.h"

namespace ruvllm::train {
namespace {

// Rotates every head of every row by its angles (direction +1) or back (-1); adds to `out` where
// `accumulate`.
template <typename T>
void rotate(Tape<T>& tape, std::span<const T> in, std::span<T> out, const Shape& shape,
            const RopeArguments& arguments, std::span<const T> cosines, std::span<const T> sines, T direction,
            bool accumulate) {
  const size_t n_pairs = arguments.n_rotated / 2;
  const size_t step = arguments.half_split ? 1 : 2, apart = arguments.half_split ? n_pairs : 1;
  for_each_row(tape, shape.n_rows, [&](size_t row) {
    const T *c = cosines.data() + row * n_pairs, *s = sines.data() + row * n_pairs;
    for (size_t head = 0; head < shape.n_columns; head += arguments.head_dimension) {
      const T* from = in.data() + row * shape.n_columns + head;
      T* to = out.data() + row * shape.n_columns + head;
      if (!accumulate) std::fill_n(to, arguments.head_dimension, T(0));
      for (size_t pair = 0; pair < n_pairs; ++pair) {
        const T a = from[step * pair], b = from[step * pair + apart], sine = direction * s[pair];
        to[step * pair] += a * c[pair] - b * sine;
        to[step * pair + apart] += a * sine + b * c[pair];
      }
      for (size_t i = arguments.n_rotated; i < arguments.head_dimension; ++i) to[i] += from[i];
    }
  });
}

}  // namespace

template <typename T>
Var rope(Tape<T>& tape, Var x, const RopeArguments& arguments, std::span<const T> cosines,
         std::span<const T> sines) {
  const Shape shape = tape.shape(x);
  RUVLLM_ASSERT(cosines.size() == shape.n_rows * arguments.n_rotated / 2 && sines.size() == cosines.size());
  const Var y = tape.make(shape, tape.needs_gradient(x));
  rotate<T>(tape, tape.value(x), tape.value(y), shape, arguments, cosines, sines, T(1), false);
  if (!tape.needs_gradient(y)) return y;
  // The transpose of a rotation turns the other way.
  const std::span<T> c = tape.scratch(cosines.size()), s = tape.scratch(sines.size());
  std::copy(cosines.begin(), cosines.end(), c.begin());
  std::copy(sines.begin(), sines.end(), s.begin());
  tape.on_backward([&tape, x, y, shape, arguments, c, s] {
    rotate<T>(tape, tape.gradient(y), tape.gradient(x), shape, arguments, c, s, T(-1), true);
  });
  return y;
}

template Var rope(Tape<float>&, Var, const RopeArguments&, std::span<const float>, std::span<const float>);
template Var rope(Tape<double>&, Var, const RopeArguments&, std::span<const double>, std::span<const double>);

}  // namespace ruvllm::train
