// Rounding that knows what the rounding before it did (GPTQ: Frantar et al. 2023), in the order of the
// columns' activity ("act-order"), with the format's scales fixed beforehand.
//
// The error that a quantised row w' makes is (w - w') H (w - w')^T, where H = X^T X of the inputs X that the
// matrix meets. Columns are rounded one after the other, the most active first; after each, the columns that
// are still open move so that they make up for its error as well as they can. With columns in that order and
// H = R R^T, R upper triangular, U = R^-1 holds all that is needed: an error e in column j moves open columns
// k by -e U[j][k] / U[j][j], and costs (e / U[j][j])^2.
//
// Quants of code books (IQ1 .. IQ3) are chosen four or eight columns at once: such columns stand together in
// the order, and of the points near to what the columns have become, the one is taken whose errors, each made
// up for by the columns after it, cost least. Tested by tests/quant/gptq_test.cpp.
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
  /// For formats whose quants_at_once() `at_once` is or divides. H has no unit. Throws Errc::corrupt_file
  /// where it has a NaN or an infinity.
  GptqSolver(const Hessian& hessian, size_t at_once, ThreadPool& pool);

  uint64_t n_columns() const { return order_.size(); }
  /// Columns whose quants are chosen at once; 0 where quants of the format can't be chosen.
  static size_t quants_at_once(Format format);
  static bool supports(Format format) { return quants_at_once(format) > 0; }

  /// Rounds rows of n_columns() values; `blocks` has room for them. Rows don't depend on each other. `grid`
  /// counts where the format has one.
  void quantise_rows(Format format, const tensor::Grid& grid, std::span<const float> values,
                     kernels::Search effort, std::span<std::byte> blocks) const;

 private:
  std::vector<uint32_t> order_;    // columns by falling activity, in groups that are chosen at once
  std::vector<float> importance_;  // the damped diagonal of H, by column; its mean is near 1
  std::vector<float> moves_;       // U[j][k] / U[j][j], j and k counted in order_
  std::vector<float> costs_;       // 1 / U[j][j]^2
};

}  // namespace ruvllm::quant
