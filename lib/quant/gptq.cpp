#include "quant/gptq.h"

#include "base/error.h"
#include "kernels/set_quants.h"
#include "kernels/unpack.h"
#include "tensor/gemm.h"

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

void GptqSolver::quantise_rows(Format format, std::span<const float> values, kernels::Search effort,
                               std::span<std::byte> blocks) const {
  const size_t n = order_.size(), n_rows = values.size() / n;
  RUVLLM_ASSERT(values.size() == n_rows * n && blocks.size() == n_rows * tensor::row_bytes(format, n));
  const kernels::QuantRange range = *kernels::quant_range(format);
  const kernels::Unpack& unpack = kernels::unpack_of(format);
  const size_t sub_block = static_cast<size_t>(unpack.sub_block), n_scales = values.size() / sub_block;

  // Scales, as plain rounding would have them, with columns weighted by their activity.
  std::vector<int8_t> quants(values.size());
  std::vector<float> scales(n_scales), mins(n_scales, 0.0f), open(values.size());
  for (size_t row = 0; row < n_rows; ++row)
    kernels::active().encode[static_cast<uint32_t>(format)](
        values.data() + row * n, importance_.data(), n, blocks.data() + row * tensor::row_bytes(format, n),
        effort);
  unpack.unpack(blocks.data(), values.size(), quants.data(), scales.data(), mins.data());
  for (size_t row = 0; row < n_rows; ++row)
    for (size_t place = 0; place < n; ++place) open[row * n + place] = values[row * n + order_[place]];

  std::vector<float> errors(n_rows * kRun);  // negated
  GemmScratch scratch;
  for (size_t first = 0; first < n; first += kRun) {
    const size_t end = std::min(n, first + kRun);
    for (size_t row = 0; row < n_rows; ++row) {
      float* w = &open[row * n];
      for (size_t place = first; place < end; ++place) {
        const size_t column = row * n + order_[place];
        const float scale = scales[column / sub_block], min = mins[column / sub_block];
        const float ideal = scale != 0.0f ? std::nearbyint((w[place] + min) / scale) : 0.0f;
        const float quant = std::clamp(ideal, static_cast<float>(range.low), static_cast<float>(range.high));
        quants[column] = static_cast<int8_t>(quant);
        const float error = w[place] - (scale * quant - min);
        errors[row * kRun + place - first] = -error;
        for (size_t k = place + 1; k < end; ++k) w[k] -= error * moves_[place * n + k];
      }
    }
    if (end < n)
      tensor::gemm({n_rows, n - end, end - first}, {errors.data(), kRun, 1}, {&moves_[first * n + end], n, 1},
                   &open[end], n, true, scratch);
  }
  kernels::set_quants(format, quants.data(), values.size(), blocks.data());
}

}  // namespace ruvllm::quant
