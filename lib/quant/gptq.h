// Rounding that knows what the rounding before it did (GPTQ: Frantar et al. 2023), in the order of the
// columns' activity ("act-order"), with the format's scales fixed beforehand.
//
// The error that a quantised row w' makes is (w - w') H (w - w')^T, where H = X^T X of the inputs X that the
// matrix meets. Columns are rounded one after the other, the most active first; after each, the columns that
// are still open move so that they make up for its error as well as they can. With columns in that order and
// H = R R^T, R upper triangular, U = R^-1 holds all that is needed: an error e in column j moves open columns
// k by -e U[j][k] / U[j][j]. Tested by tests/quant/gptq_test.cpp.
#pragma once

#include "base/thread_pool.h"
#include "quant/recipe.h"

#include <cstdint>
#include <span>
#include <vector>

namespace ruvllm::quant {

/// Sum of x^T x over the inputs x that were seen: (n_columns, n_columns), both triangles.
struct Hessian {
  uint64_t n_columns = 0;
  std::vector<float> sums;

  /// d H d^T: what an error d in one row costs.
  double cost_of(std::span<const float> error) const;
};

/// H made ready for rounding matrices that meet its inputs.
class GptqSolver {
 public:
  GptqSolver(const Hessian& hessian, ThreadPool& pool);

  uint64_t n_columns() const { return order_.size(); }
  /// Can quants of this format be chosen one by one?
  static bool supports(Format format);

  /// Rounds rows of n_columns() values; `blocks` has room for them. Rows don't depend on each other. `grid`
  /// counts where the format has one.
  void quantise_rows(Format format, const tensor::Grid& grid, std::span<const float> values,
                     kernels::Search effort, std::span<std::byte> blocks) const;

 private:
  std::vector<uint32_t> order_;    // columns by falling activity
  std::vector<float> importance_;  // the damped diagonal of H, by column
  std::vector<float> moves_;       // U[j][k] / U[j][j], j and k counted in order_
};

}  // namespace ruvllm::quant
