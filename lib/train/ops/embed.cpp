#include "base/error.h"
#include "train/ops/ops.h"
#include "train/ops/vector.h"

namespace ruvllm::train {

template <typename T>
Var embedding(Tape<T>& tape, Var table, std::span<const int32_t> ids) {
  const size_t d = tape.shape(table).n_columns;
  const Var y = tape.make({ids.size(), d}, tape.needs_gradient(table));
  for (size_t i = 0; i < ids.size(); ++i) {
    RUVLLM_ASSERT(ids[i] >= 0 && static_cast<size_t>(ids[i]) < tape.shape(table).n_rows);
    const auto row = tape.value(table).subspan(static_cast<size_t>(ids[i]) * d, d);
    std::copy(row.begin(), row.end(), tape.value(y).begin() + static_cast<ptrdiff_t>(i * d));
  }
  if (!tape.needs_gradient(y)) return y;
  // Rows may repeat, so they are added one after the other: the sum has one order.
  tape.on_backward([&tape, table, y, d, chosen = std::vector<int32_t>(ids.begin(), ids.end())] {
    T* d_table = tape.gradient(table).data();
    const T* dy = tape.gradient(y).data();
    for (size_t i = 0; i < chosen.size(); ++i)
      add_to(d_table + static_cast<size_t>(chosen[i]) * d, dy + i * d, d);
  });
  return y;
}

template Var embedding(Tape<float>&, Var, std::span<const int32_t>);
template Var embedding(Tape<double>&, Var, std::span<const int32_t>);

}  // namespace ruvllm::train
