#include "train/tape.h"

#include "base/error.h"

#include <algorithm>

namespace ruvllm::train {

template <typename T>
std::span<T> Arena<T>::take(size_t n_values) {
  constexpr size_t kChunkValues = size_t{1} << 20;
  constexpr size_t kUnit = 64 / sizeof(T);  // keeps every span on a cache line of its own
  const size_t n_taken = (n_values + kUnit - 1) / kUnit * kUnit;
  while (chunk_ < chunks_.size() && chunks_[chunk_].n_values - used_ < n_taken) {
    ++chunk_;
    used_ = 0;
  }
  if (chunk_ == chunks_.size()) {
    const size_t n_chunk = std::max(kChunkValues, n_taken);
    chunks_.push_back({std::make_unique_for_overwrite<T[]>(n_chunk), n_chunk});
  }
  const std::span<T> taken(chunks_[chunk_].values.get() + used_, n_values);
  used_ += n_taken;
  n_taken_ += n_taken;
  return taken;
}

template <typename T>
void Arena<T>::clear() {
  // One chunk for all that was taken: requests of other sizes than last time would else leave holes in the
  // chunks there are, and ask for more.
  if (chunks_.size() > 1) {
    chunks_.clear();
    chunks_.push_back({std::make_unique_for_overwrite<T[]>(n_taken_), n_taken_});
  }
  chunk_ = used_ = n_taken_ = 0;
}

template <typename T>
size_t Arena<T>::n_bytes() const {
  size_t n_values = 0;
  for (const Chunk& chunk : chunks_) n_values += chunk.n_values;
  return n_values * sizeof(T);
}

template <typename T>
Tape<T>::Tape(ThreadPool& pool) : pool_(pool), workers_(static_cast<size_t>(pool.n_threads())) {}

template <typename T>
Var Tape<T>::add(Node node) {
  nodes_.push_back(node);
  return {static_cast<uint32_t>(nodes_.size() - 1)};
}

template <typename T>
Var Tape<T>::constant(Shape shape, std::span<const T> values) {
  RUVLLM_ASSERT(values.size() == shape.n_values());
  const std::span<T> copy = arena_.take(shape.n_values());
  std::copy(values.begin(), values.end(), copy.begin());
  return add({shape, copy, {}});
}

template <typename T>
Var Tape<T>::parameter(Parameter<T>& parameter) {
  return add({parameter.shape, parameter.value, parameter.gradient});
}

template <typename T>
Var Tape<T>::rows(Var x, size_t first, size_t n) {
  const Node& whole = nodes_[x.index];
  const size_t d = whole.shape.n_columns;
  RUVLLM_ASSERT(first + n <= whole.shape.n_rows);
  return add({{n, d},
              whole.value.subspan(first * d, n * d),
              whole.gradient.empty() ? std::span<T>() : whole.gradient.subspan(first * d, n * d)});
}

template <typename T>
Var Tape<T>::make(Shape shape, bool needs_gradient) {
  Node node{shape, arena_.take(shape.n_values()), {}};
  if (needs_gradient) {
    node.gradient = arena_.take(shape.n_values());
    std::fill(node.gradient.begin(), node.gradient.end(), T(0));
  }
  return add(node);
}

template <typename T>
Tape<T>& Tape<T>::inner() {
  if (!inner_) inner_ = std::make_unique<Tape<T>>(pool_);
  inner_->clear();
  inner_->set_precision(precision_);
  return *inner_;
}

template <typename T>
Var Tape<T>::checkpoint(Var input, std::function<Var(Tape<T>&, Var)> block) {
  Tape<T>& tape = inner();
  const Var inside = block(tape, tape.constant(shape(input), value(input)));
  const Var output = make(tape.shape(inside), true);
  std::copy(tape.value(inside).begin(), tape.value(inside).end(), value(output).begin());
  on_backward([this, input, output, block = std::move(block)] {
    Tape<T>& again = inner();
    const Var start = again.make(shape(input), true);
    std::copy(value(input).begin(), value(input).end(), again.value(start).begin());
    const Var end = block(again, start);
    std::copy(gradient(output).begin(), gradient(output).end(), again.gradient(end).begin());
    for (size_t i = again.steps_.size(); i-- > 0;) again.steps_[i]();
    if (!needs_gradient(input)) return;
    for (size_t i = 0; i < gradient(input).size(); ++i) gradient(input)[i] += again.gradient(start)[i];
  });
  return output;
}

template <typename T>
void Tape<T>::backward(Var loss, T seed) {
  RUVLLM_ASSERT(shape(loss) == (Shape{1, 1}) && needs_gradient(loss));
  gradient(loss)[0] = seed;
  for (size_t i = steps_.size(); i-- > 0;) steps_[i]();
}

template <typename T>
void Tape<T>::clear() {
  nodes_.clear();
  steps_.clear();
  arena_.clear();
}

template class Arena<float>;
template class Arena<double>;
template class Tape<float>;
template class Tape<double>;

}  // namespace ruvllm::train
