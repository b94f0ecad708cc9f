// Matrix products over packed weights: threads and tiles over the kernel table.
//
// A PackedMatrix is a weight matrix in the order that kernels stream through (panels of 16 rows). Packing
// changes no size and no value. matmul() splits the product into tiles that threads take from a shared
// counter; how it is split never changes a bit of the result. Tested by tests/tensor/matmul_test.cpp.
#pragma once

#include "base/thread_pool.h"
#include "tensor/format.h"
#include "tensor/rotation.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace ruvllm::tensor {

/// A weight matrix as it lies in a file: n_rows rows (outputs) of n_columns values (inputs).
struct MatrixView {
  Format format = Format::F32;
  uint64_t n_rows = 0;
  uint64_t n_columns = 0;
  std::span<const std::byte> bytes;
  Grid grid = default_grid(format);  ///< what codes stand for, in formats that have a grid
  std::shared_ptr<const Rotation> rotation =
      nullptr;         ///< that the rows went through before they were stored, or null
  float scale = 1.0f;  ///< multiplies all values
};

/// Memory for weights: 64-byte aligned, in huge pages where the system gives them, uninitialised.
class WeightBuffer {
 public:
  WeightBuffer() = default;
  explicit WeightBuffer(size_t n_bytes);
  std::span<std::byte> bytes() const { return {bytes_.get(), bytes_ ? bytes_.get_deleter().n_bytes : 0}; }

 private:
  struct Unmap {
    size_t n_bytes;
    void operator()(std::byte* address) const;
  };
  std::unique_ptr<std::byte[], Unmap> bytes_;
};

class PackedMatrix {
 public:
  PackedMatrix() = default;
  /// Interleaves `matrix` on all threads. `give_back`, if set, is called with parts of matrix.bytes that have
  /// been read, from several threads at once.
  PackedMatrix(ThreadPool& pool, const MatrixView& matrix,
               const std::function<void(std::span<const std::byte>)>& give_back = {});

  Format format() const { return format_; }
  uint64_t n_rows() const { return n_rows_; }
  uint64_t n_columns() const { return n_columns_; }
  uint64_t n_bytes() const { return buffer_.bytes().size(); }
  explicit operator bool() const { return n_rows_ != 0; }

  /// One row as f32, rotated back (embedding look-up): out has n_columns values.
  void decode_row(uint64_t row, std::span<float> out) const;

 private:
  friend class Multiplier;
  void decode_unscaled(uint64_t row, std::span<float> out) const;
  void decode_grid_row(uint64_t row, std::span<float> out) const;
  void decode_pairs(uint64_t row, std::span<float> out) const;

  Format format_ = Format::F32;
  uint64_t n_rows_ = 0;
  uint64_t n_columns_ = 0;
  uint64_t panel_bytes_ = 0;
  Grid grid_ = {};
  std::shared_ptr<const Rotation> rotation_;
  float scale_ = 1.0f;  // multiplies products and decoded rows
  WeightBuffer buffer_;
};

/// One product of Multiplier::multiply: out (n_rows of x, weight->n_rows()) with rows out_stride floats
/// apart.
struct Product {
  const PackedMatrix* weight;
  std::span<float> out;
  uint64_t out_stride;
  std::span<const float> bias = {};  ///< added to each row if not empty
};

/// How numbers enter products. Fast is what every engine does: activations are int8 with quantised weights
/// and bf16 with BF16 ones, and with F16 ones, which are rounded to bf16, too. Exact is for those who ask
/// what a file's weights really mean: int16, exact to about 1e-5, at half the speed, and f32. With F32
/// weights they are f32 either way.
enum class ActivationPrecision { fast, exact };

/// Runs products on a pool and owns the scratch memory for it. One per engine; not thread-safe.
class Multiplier {
 public:
  explicit Multiplier(ThreadPool& pool, ActivationPrecision precision = ActivationPrecision::fast)
      : pool_(pool), precision_(precision) {}

  /// All products share the input x (n_rows, n_columns), which is quantised once. No allocation once the
  /// largest sizes have been seen.
  void multiply(std::span<const float> x, uint64_t n_rows, std::span<const Product> products);
  void multiply(std::span<const float> x, uint64_t n_rows, const Product& product) {
    multiply(x, n_rows, {&product, 1});
  }

  ThreadPool& pool() { return pool_; }

  /// Called before each product with its weight and input; what calibration listens to. An empty one ends it.
  using Observer = std::function<void(const PackedMatrix& weight, std::span<const float> x, uint64_t n_rows)>;
  void observe(Observer observer) { observer_ = std::move(observer); }

 private:
  /// A part of one product: activation rows x weight panels.
  struct Tile {
    uint64_t product, first_row, n_rows, first_panel, n_panels;
  };

  void multiply_unrotated(std::span<const float> x, uint64_t n_rows, std::span<const Product> products);
  void cut(std::span<const Product> products, uint64_t n_rows);
  void rotate(const Rotation& rotation, std::span<const float> x, uint64_t n_rows);
  void quantise(std::span<const float> x, kernels::Activations& activations);
  void group(std::span<const float> x, bool as_values, bool as_pairs, kernels::Activations& activations);
  void reserve_scratch(uint64_t n_columns, uint64_t n_rows);
  void multiply_tile(const kernels::Activations& x, const Product& product, const Tile& tile, int worker);

  ThreadPool& pool_;
  ActivationPrecision precision_;
  Observer observer_;
  std::vector<Tile> tiles_;
  std::vector<Product> same_rotation_;
  std::vector<float> rotated_;  // an input that a rotation has been applied to
  WeightBuffer blocks_;         // activations as integers, of either width
  WeightBuffer groups_;         // as floats in groups, and then as pairs
  std::vector<WeightBuffer>
      scratch_;  // one a worker: room for a tile's last, narrower panel, then the kernel's own
  uint64_t tail_bytes_ = 0;
};

}  // namespace ruvllm::tensor
