#include "quant/gptq.h"

#include "base/error.h"
#include "kernels/piq.h"
#include "kernels/set_quants.h"
#include "kernels/unpack.h"
#include "tensor/gemm.h"
#include "tensor/ops.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ruvllm::quant {
namespace {

/// Columns that are factorised, or rounded, before all others hear of them in one product.
constexpr size_t kRun = 64;

/// Share of the mean activity that is added to every column's: keeps H positive definite, and columns that
/// were hardly seen from being ruined.
constexpr double kDamping = 0.01;

using tensor::GemmScratch;

/// The diagonal block [first, end) of a Cholesky factorisation, and the rows below it.
void factorise_run(std::vector<float>& a, size_t n, size_t first, size_t end, ThreadPool& pool) {
  const auto finish_row = [&](size_t i, size_t last) {
    for (size_t j = first; j < last; ++j) {
      double sum = static_cast<double>(a[i * n + j]);
      for (size_t k = first; k < j; ++k)
        sum -= static_cast<double>(a[i * n + k]) * static_cast<double>(a[j * n + k]);
      a[i * n + j] = static_cast<float>(i == j ? std::sqrt(std::max(sum, 1e-30))
                                               : sum / static_cast<double>(a[j * n + j]));
    }
  };
  for (size_t i = first; i < end; ++i) finish_row(i, i + 1);
  pool.for_each_tile(n - end, [&](size_t i, int) { finish_row(end + i, end); });
}

/// A = L L^T; the lower triangle of a becomes L (the upper one is left as rubbish).
void factorise(std::vector<float>& a, size_t n, ThreadPool& pool) {
  GemmScratch scratch;
  std::vector<float> negated;
  for (size_t first = 0; first < n; first += kRun) {
    const size_t end = std::min(n, first + kRun), rest = n - end, run = end - first;
    factorise_run(a, n, first, end, pool);
    negated.resize(rest * run);
    for (size_t i = 0; i < rest; ++i)
      for (size_t j = 0; j < run; ++j) negated[i * run + j] = -a[(end + i) * n + first + j];
    if (rest == 0) continue;
    tensor::gemm(pool, {rest, rest, run}, {negated.data(), run, 1}, {&a[end * n + first], 1, n},
                 &a[end * n + end], n, true, scratch);
  }
}

/// L^-1, lower triangular, run of rows by run of rows: with L's rows [P | D], the inverse's are
/// [-D^-1 P (inverse so far) | D^-1].
std::vector<float> invert_lower(const std::vector<float>& l, size_t n, ThreadPool& pool) {
  std::vector<float> inverse(n * n, 0.0f), product;
  GemmScratch scratch;
  for (size_t first = 0; first < n; first += kRun) {
    const size_t end = std::min(n, first + kRun), run = end - first;
    product.assign(run * n, 0.0f);
    if (first > 0)
      tensor::gemm(pool, {run, first, first}, {&l[first * n], n, 1}, {inverse.data(), n, 1}, product.data(),
                   n, false, scratch);
    // Forward substitution with D on [-P inverse | identity], column by column.
    pool.for_each_tile((end + kRun - 1) / kRun, [&](size_t tile, int) {
      for (size_t column = tile * kRun; column < std::min(end, (tile + 1) * kRun); ++column)
        for (size_t i = first; i < end; ++i) {
          double sum = column < first ? -static_cast<double>(product[(i - first) * n + column])
                       : i == column  ? 1.0
                                      : 0.0;
          for (size_t k = first; k < i; ++k)
            sum -= static_cast<double>(l[i * n + k]) * static_cast<double>(inverse[k * n + column]);
          inverse[i * n + column] = static_cast<float>(sum / static_cast<double>(l[i * n + i]));
        }
    });
  }
  return inverse;
}

}  // namespace

double Hessian::cost_of(std::span<const float> error) const {
  RUVLLM_ASSERT(error.size() == n_columns);
  double cost = 0;
  for (size_t i = 0; i < n_columns; ++i) {
    double sum = 0;
    for (size_t j = 0; j < n_columns; ++j)
      sum += static_cast<double>(sums[i * n_columns + j]) * static_cast<double>(error[j]);
    cost += sum * static_cast<double>(error[i]);
  }
  return cost;
}

GptqSolver::GptqSolver(const Hessian& hessian, ThreadPool& pool)
    : order_(hessian.n_columns), importance_(hessian.n_columns) {
  const size_t n = order_.size();
  double mean = 0;
  for (size_t i = 0; i < n; ++i)
    mean += static_cast<double>(hessian.sums[i * n + i]) / static_cast<double>(n);
  const float damping = static_cast<float>(mean > 0 ? kDamping * mean : 1.0);
  for (size_t i = 0; i < n; ++i) importance_[i] = hessian.sums[i * n + i] + damping;
  std::iota(order_.begin(), order_.end(), 0u);
  std::ranges::stable_sort(order_, [&](uint32_t a, uint32_t b) { return importance_[a] > importance_[b]; });

  // Backwards, R R^T is an ordinary Cholesky factorisation: row i of `backwards` is place n - 1 - i of the
  // order.
  std::vector<float> backwards(n * n);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) {
      const size_t from = order_[n - 1 - i], to = order_[n - 1 - j];
      backwards[i * n + j] = from == to ? importance_[from] : hessian.sums[from * n + to];
    }
  factorise(backwards, n, pool);
  const std::vector<float> inverse = invert_lower(backwards, n, pool);
  moves_.assign(n * n, 0.0f);
  for (size_t j = 0; j < n; ++j) {
    const float* row = &inverse[(n - 1 - j) * n];
    for (size_t k = j; k < n; ++k) moves_[j * n + k] = row[n - 1 - k] / row[n - 1 - j];
  }
}

bool GptqSolver::supports(Format format) { return kernels::quant_range(format) != nullptr; }

namespace {

/// The scales of rows that plain rounding has encoded: value = scale * quant - min, one scale (and min) for
/// `run` values of a row; the last run of a row may be shorter. Quants are chosen from a range or from a
/// grid.
class Rounder {
 public:
  Rounder(Format format, const tensor::Grid& grid, size_t n_columns, size_t n_rows)
      : format_(format),
        grid_(grid),
        has_grid_(tensor::traits(format).has_grid),
        n_columns_(n_columns),
        n_rows_(n_rows),
        row_bytes_(tensor::row_bytes(format, n_columns)),
        range_(*kernels::quant_range(format)),
        run_(has_grid_ ? tensor::traits(format).block_values
                       : static_cast<size_t>(kernels::unpack_of(format).sub_block)),
        runs_((n_columns + run_ - 1) / run_),
        quants_(n_rows * n_columns),
        scales_(n_rows * runs_),
        mins_(n_rows * runs_, 0.0f) {}

  void read_scales(std::span<const std::byte> blocks) {
    if (!has_grid_)
      return kernels::unpack_of(format_).unpack(blocks.data(), quants_.size(), quants_.data(), scales_.data(),
                                                mins_.data());
    for (size_t row = 0; row < n_rows_; ++row)
      kernels::unpack_piq_row(format_, &blocks[row * row_bytes_], n_columns_, &scales_[row * runs_], nullptr);
    alphas_ = scales_;
    for (float& scale : scales_) scale *= grid_.unit;
  }

  /// Chooses the quant for a value; returns what it stands for.
  float round(size_t row, size_t column, float value) {
    const size_t run = row * runs_ + column / run_;
    const float scale = scales_[run], min = mins_[run];
    const float ideal = scale != 0.0f ? (value + min) / scale : 0.0f;
    int8_t& quant = quants_[row * n_columns_ + column];
    if (has_grid_) {
      quant = static_cast<int8_t>(kernels::nearest_code(grid_, kernels::grid_levels(format_), ideal));
      return scale * static_cast<float>(grid_.levels[quant]);
    }
    quant = static_cast<int8_t>(
        std::clamp(std::nearbyint(ideal), static_cast<float>(range_.low), static_cast<float>(range_.high)));
    return scale * static_cast<float>(quant) - min;
  }

  void write_quants(std::span<std::byte> blocks) const {
    if (!has_grid_) return kernels::set_quants(format_, quants_.data(), quants_.size(), blocks.data());
    for (size_t row = 0; row < n_rows_; ++row)
      kernels::pack_piq_row(format_, &alphas_[row * runs_],
                            reinterpret_cast<const uint8_t*>(&quants_[row * n_columns_]), n_columns_,
                            &blocks[row * row_bytes_]);
  }

 private:
  Format format_;
  tensor::Grid grid_;
  bool has_grid_;
  size_t n_columns_, n_rows_, row_bytes_;
  kernels::QuantRange range_;
  size_t run_, runs_;
  std::vector<int8_t> quants_;  // codes where there is a grid
  std::vector<float> scales_, mins_, alphas_;
};

}  // namespace

void GptqSolver::quantise_rows(Format format, const tensor::Grid& grid, std::span<const float> values,
                               kernels::Search effort, std::span<std::byte> blocks) const {
  const size_t n = order_.size(), n_rows = values.size() / n;
  RUVLLM_ASSERT(values.size() == n_rows * n && blocks.size() == n_rows * tensor::row_bytes(format, n));

  // Scales, as plain rounding would have them, with columns weighted by their activity.
  const size_t row_bytes = tensor::row_bytes(format, n);
  for (size_t row = 0; row < n_rows; ++row)
    tensor::encode_rows(format, grid, n, values.subspan(row * n, n), importance_, effort,
                        blocks.subspan(row * row_bytes, row_bytes));
  Rounder rounder(format, grid, n, n_rows);
  rounder.read_scales(blocks);
  std::vector<float> open(values.size());
  for (size_t row = 0; row < n_rows; ++row)
    for (size_t place = 0; place < n; ++place) open[row * n + place] = values[row * n + order_[place]];

  std::vector<float> errors(n_rows * kRun);  // negated
  GemmScratch scratch;
  for (size_t first = 0; first < n; first += kRun) {
    const size_t end = std::min(n, first + kRun);
    for (size_t row = 0; row < n_rows; ++row) {
      float* w = &open[row * n];
      for (size_t place = first; place < end; ++place) {
        const float error = w[place] - rounder.round(row, order_[place], w[place]);
        errors[row * kRun + place - first] = -error;
        for (size_t k = place + 1; k < end; ++k) w[k] -= error * moves_[place * n + k];
      }
    }
    if (end < n)
      tensor::gemm({n_rows, n - end, end - first}, {errors.data(), kRun, 1}, {&moves_[first * n + end], n, 1},
                   &open[end], n, true, scratch);
  }
  rounder.write_quants(blocks);
}

}  // namespace ruvllm::quant
