// How much each input column of each weight matrix matters: the mean square of the activations that it meets.
// Gathered from a forward pass or read from a file (format/imatrix_file.h). Tested by
// tests/quant/importance_test.cpp.
#pragma once

#include "format/model_file.h"

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::quant {

/// The n_columns weights of a row among `values`, which are n_columns, or n_columns for each expert whose
/// matrix is one of those that n_rows stack; empty where `values` are.
std::span<const float> importance_of_row(std::span<const float> values, uint64_t n_rows, uint64_t n_columns,
                                         uint64_t row);

class Importance {
 public:
  /// `values`: n_columns weights of a matrix, or n_columns for each expert. Weights have no unit: they are
  /// kept divided by their mean, so that no arithmetic on them leaves the range of f32. Those that are zero
  /// or tiny are raised to a thousandth of it: what was never seen may still be needed. Throws
  /// Errc::corrupt_file on a weight that is negative or no number.
  void set(std::string tensor_name, std::vector<float> values);

  bool empty() const { return by_tensor_.empty(); }
  size_t n_tensors() const { return by_tensor_.size(); }
  const std::map<std::string, std::vector<float>, std::less<>>& tensors() const { return by_tensor_; }

  /// Weights that stand already, instead of those that a tensor has; none where `weights` is empty.
  void replace(const std::string& tensor_name, std::vector<float> weights);

  /// What set() was given of a tensor, or an empty span where nothing is known of it.
  std::span<const float> of_tensor(const format::Tensor& tensor) const;
  /// The n_columns weights of row `row` of a tensor, or an empty span where nothing is known of it.
  std::span<const float> of_row(const format::Tensor& tensor, uint64_t row) const;
  /// Throws Errc::corrupt_file naming the tensor whose columns are not as many as its weights here.
  void check_shapes(const format::ModelFile& model) const;

 private:
  std::map<std::string, std::vector<float>, std::less<>> by_tensor_;
};

}  // namespace ruvllm::quant
