#include "quant/importance.h"

#include "base/error.h"
#include "base/utf8.h"

#include <algorithm>
#include <cmath>

namespace ruvllm::quant {
namespace {

/// Of a column, the mean being 1.
constexpr float kLeastWeight = 1e-3f;

}  // namespace

std::span<const float> importance_of_row(std::span<const float> values, uint64_t n_rows, uint64_t n_columns,
                                         uint64_t row) {
  if (values.empty()) return {};
  const uint64_t n_experts = values.size() / n_columns;
  RUVLLM_ASSERT(n_experts > 0 && values.size() == n_experts * n_columns && n_rows % n_experts == 0);
  return values.subspan(row / (n_rows / n_experts) * n_columns, n_columns);
}

void Importance::set(std::string tensor_name, std::vector<float> values) {
  double sum = 0.0;
  for (const float value : values) {
    if (!(value >= 0.0f) || !std::isfinite(value))
      throw Error(Errc::corrupt_file, "importance of {}: {} is no weight", printable(tensor_name), value);
    sum += static_cast<double>(value);
  }
  if (!(sum > 0.0)) return;  // nothing was seen: as good as unknown
  const double mean = sum / static_cast<double>(values.size());
  for (float& value : values)
    value = std::max(static_cast<float>(static_cast<double>(value) / mean), kLeastWeight);
  by_tensor_.insert_or_assign(std::move(tensor_name), std::move(values));
}

void Importance::replace(const std::string& tensor_name, std::vector<float> weights) {
  if (weights.empty()) {
    by_tensor_.erase(tensor_name);
  } else {
    by_tensor_.insert_or_assign(tensor_name, std::move(weights));
  }
}

std::span<const float> Importance::of_tensor(const format::Tensor& tensor) const {
  const auto found = by_tensor_.find(tensor.name);
  return found == by_tensor_.end() ? std::span<const float>() : std::span<const float>(found->second);
}

std::span<const float> Importance::of_row(const format::Tensor& tensor, uint64_t row) const {
  const auto found = by_tensor_.find(tensor.name);
  if (found == by_tensor_.end()) return {};
  return importance_of_row(found->second, tensor.n_rows(), tensor.n_columns(), row);
}

void Importance::check_shapes(const format::ModelFile& model) const {
  for (const auto& [name, values] : by_tensor_) {
    const format::Tensor* tensor = model.find(name);
    if (tensor == nullptr) continue;
    const uint64_t n_experts = tensor->dimensions.size() > 2 ? tensor->dimensions[2] : 1;
    if (values.size() == tensor->n_columns() || values.size() == tensor->n_columns() * n_experts) continue;
    throw Error(Errc::corrupt_file, "importance of {}: {} weights for {} columns; it is of another model",
                printable(name), values.size(), tensor->n_columns());
  }
}

}  // namespace ruvllm::quant
