// The tape: what was computed on the way forward, so that gradients can be computed on the way back.
//
// A Var is a matrix on the tape. Operations (ops/*.h) make Vars and record how to push a gradient from their
// output to their inputs; backward() runs the records last to first. Everything is a template over float and
// double: training runs in float, and every operation is checked by finite differences in double. Values and
// gradients lie in one arena that is reused from step to step, so that a step allocates next to nothing.
// Tested by tests/train/.
#pragma once

#include "base/thread_pool.h"
#include "tensor/gemm.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ruvllm::train {

struct Shape {
  size_t n_rows = 0;
  size_t n_columns = 0;
  size_t n_values() const { return n_rows * n_columns; }
  bool operator==(const Shape&) const = default;
};

/// A trainable (or frozen) matrix that outlives the tape. Gradients add up until cleared.
template <typename T>
struct Parameter {
  std::string name;
  Shape shape;
  std::vector<T> value;
  std::vector<T> gradient;  ///< empty while frozen
  bool is_frozen() const { return gradient.empty(); }
};

/// A matrix on a tape.
struct Var {
  uint32_t index = 0;
};

/// Memory that is handed out front to back and taken back all at once. It holds as much as was ever taken
/// between two clear()s, and no more.
template <typename T>
class Arena {
 public:
  std::span<T> take(size_t n_values);
  void clear();
  size_t n_bytes() const;

 private:
  struct Chunk {
    std::unique_ptr<T[]> values;
    size_t n_values;
  };
  std::vector<Chunk> chunks_;
  size_t chunk_ = 0;
  size_t used_ = 0;     ///< of that chunk
  size_t n_taken_ = 0;  ///< of all, since clear()
};

/// What one thread of the pool may scribble on inside a tile.
template <typename T>
struct WorkerScratch {
  tensor::GemmScratch gemm;
  std::vector<T> values;
};

template <typename T>
class Tape {
 public:
  explicit Tape(ThreadPool& pool);

  /// What the operands of products with weights (matmul) are rounded to; everything else stays as T is.
  void set_precision(tensor::Precision precision) { precision_ = precision; }
  tensor::Precision precision() const { return precision_; }

  /// A constant: values are copied.
  Var constant(Shape shape, std::span<const T> values);
  /// A parameter: its values are used in place; gradients are added to its own.
  Var parameter(Parameter<T>& parameter);
  /// Rows [first, first + n) of x in place: values and gradients are x's own.
  Var rows(Var x, size_t first, size_t n);
  /// The output of an operation, uninitialised; its gradient (if wanted) starts at zero.
  Var make(Shape shape, bool needs_gradient);

  const Shape& shape(Var var) const { return nodes_[var.index].shape; }
  std::span<T> value(Var var) { return nodes_[var.index].value; }
  /// Empty where no gradient is needed.
  std::span<T> gradient(Var var) { return nodes_[var.index].gradient; }
  bool needs_gradient(Var var) const { return !nodes_[var.index].gradient.empty(); }

  /// Records how to go back through an operation; called once, when the gradient of its output is complete.
  void on_backward(std::function<void()> step) { steps_.push_back(std::move(step)); }

  /// Scratch values that live until clear().
  std::span<T> scratch(size_t n_values) { return arena_.take(n_values); }

  /// Runs `block` without keeping what it computed inside; on the way back it is run again. Trades time for
  /// memory.
  Var checkpoint(Var input, std::function<Var(Tape<T>&, Var)> block);

  /// Gradients of a 1 x 1 loss with respect to everything it was computed from, times `seed`.
  void backward(Var loss, T seed = T(1));

  /// Forgets everything; memory is kept for the next step.
  void clear();

  ThreadPool& pool() { return pool_; }
  tensor::GemmScratch& gemm_scratch() { return gemm_scratch_; }
  WorkerScratch<T>& worker_scratch(int worker) { return workers_[static_cast<size_t>(worker)]; }
  size_t arena_bytes() const { return arena_.n_bytes() + (inner_ ? inner_->arena_bytes() : 0); }

 private:
  struct Node {
    Shape shape;
    std::span<T> value;
    std::span<T> gradient;
  };

  Var add(Node node);
  Tape<T>& inner();

  ThreadPool& pool_;
  tensor::Precision precision_ = tensor::Precision::f32;
  std::vector<Node> nodes_;
  std::vector<std::function<void()>> steps_;
  Arena<T> arena_;
  tensor::GemmScratch gemm_scratch_;
  std::vector<WorkerScratch<T>> workers_;
  std::unique_ptr<Tape<T>> inner_;  ///< where checkpointed blocks run
};

extern template class Tape<float>;
extern template class Tape<double>;

}  // namespace ruvllm::train
