// The list of tensors that an architecture asks for: which tensor of the file goes where. Everything is
// checked while the list is made; load() then only reads. Used by weights.cpp alone.
#pragma once

#include "format/model_file.h"
#include "model/model.h"
#include "tensor/matmul.h"

#include <initializer_list>
#include <string>
#include <vector>

namespace ruvllm::model {

enum class Need { optional, required };

/// Consecutive rows of a tensor and where they go: a matrix, or plain numbers.
struct MatrixPart {
  tensor::PackedMatrix* matrix;
  uint64_t n_rows;
};
struct VectorPart {
  std::vector<float>* values;
  uint64_t n_values;
};

class WeightPlan {
 public:
  explicit WeightPlan(const format::ModelFile& file) : file_(file), claimed_(file.tensors.size()) {}

  bool has(const std::string& name) const { return file_.find(name) != nullptr; }
  /// The second dimension of a tensor, where no hyper-parameter states it; 1 where the tensor is absent.
  uint64_t n_rows(const std::string& name) const;

  /// Plans the tensor as matrices of n_columns that share its rows. False where it is optional and absent.
  bool matrix(const std::string& name, uint64_t n_columns, std::initializer_list<MatrixPart> parts,
              Need need);
  /// Plans a tensor of three dimensions: one matrix of n_rows x n_columns for each of `matrices`.
  void stack(const std::string& name, uint64_t n_columns, uint64_t n_rows,
             std::span<tensor::PackedMatrix* const> matrices);
  /// Throws unless the tensor is there with this shape; the first of a stack, before room is made for its
  /// parts.
  void require(const std::string& name, std::initializer_list<uint64_t> dimensions);
  /// Plans a tensor of one dimension as numbers. False where it is optional and absent.
  bool vector(const std::string& name, std::initializer_list<VectorPart> parts, Need need);
  /// Plans the first n_columns numbers (or all rows) of a tensor of two dimensions.
  bool table(const std::string& name, uint64_t n_columns, uint64_t n_rows, std::vector<float>& values,
             uint64_t n_kept, Need need);

  /// Throws naming the first tensor of the file that nothing above asked for.
  void refuse_unclaimed() const;

  /// Reads everything planned, in file order, through `convert` where it is set; returns the bytes of it all.
  uint64_t load(ThreadPool& pool, const LoadProgress& progress, const TensorConversion& convert) const;

  uint64_t n_parameters() const;
  uint64_t n_bytes() const;

 private:
  struct Step {
    const format::Tensor* tensor;
    uint64_t first_row, n_rows, n_columns;  // of the tensor, seen as rows
    tensor::PackedMatrix* matrix;           // one of these two
    std::vector<float>* values;
  };

  const format::Tensor* claim(const std::string& name, std::span<const uint64_t> dimensions, Need need);
  /// What a step takes of a tensor.
  static uint64_t bytes_of(const Step& step, const format::Tensor& tensor);
  void pack(ThreadPool& pool, const Step& step, const format::Tensor& tensor) const;

  const format::ModelFile& file_;
  std::vector<bool> claimed_;
  std::vector<Step> steps_;
};

}  // namespace ruvllm::model
