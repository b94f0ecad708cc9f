#include "tensor/rotation.h"

#include "base/error.h"
#include "base/random.h"
#include "kernels/kernels.h"

#include <algorithm>
#include <cmath>

namespace ruvllm::tensor {
namespace {

/// Larger blocks spread no better, and parts of long rows stay within it.
constexpr uint64_t kMostBlock = 65'536;

}  // namespace

Rotation::Rotation(uint64_t seed, uint64_t n_columns)
    : seed_(seed), block_(std::min(n_columns & -n_columns, kMostBlock)), signs_(n_columns) {
  const float size = static_cast<float>(1.0 / std::sqrt(static_cast<double>(block_)));
  Random random(seed);
  for (float& sign : signs_) sign = random.next() >> 63 != 0 ? -size : size;
}

void Rotation::multiply_by_signs(std::span<float> rows, uint64_t first_column) const {
  RUVLLM_ASSERT(first_column % block_ == 0 && rows.size() % block_ == 0);
  RUVLLM_ASSERT(first_column + rows.size() <= signs_.size() || rows.size() % signs_.size() == 0);
  for (size_t first = 0; first < rows.size(); first += signs_.size() - first_column) {
    const size_t n = std::min<size_t>(rows.size() - first, signs_.size() - first_column);
    for (size_t i = 0; i < n; ++i) rows[first + i] *= signs_[first_column + i];
  }
}

void Rotation::apply(std::span<float> rows, uint64_t first_column) const {
  multiply_by_signs(rows, first_column);
  kernels::active().hadamard(rows.data(), rows.size(), block_);
}

void Rotation::undo(std::span<float> rows, uint64_t first_column) const {
  kernels::active().hadamard(rows.data(), rows.size(), block_);
  multiply_by_signs(rows, first_column);
}

}  // namespace ruvllm::tensor
