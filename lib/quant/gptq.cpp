#include "quant/gptq.h"

#include "base/error.h"
#include "base/finite.h"
#include "kernels/piq.h"
#include "kernels/set_points.h"
#include "kernels/set_quants.h"
#include "kernels/unpack.h"
#include "tensor/gemm.h"
#include "tensor/ops.h"

#include <algorithm>
#include <cmath>
#include <limits>
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

/// Columns by falling activity; `at_once` neighbours stay together.
std::vector<uint32_t> order_columns(std::span<const float> importance, size_t at_once) {
  const size_t n = importance.size();
  std::vector<float> activity;
  for (size_t first = 0; first < n; first += at_once) {
    const auto group = importance.subspan(first, std::min(at_once, n - first));
    activity.push_back(std::accumulate(group.begin(), group.end(), 0.0f));
  }
  std::vector<uint32_t> groups(activity.size()), order;
  std::iota(groups.begin(), groups.end(), 0u);
  std::ranges::stable_sort(groups, [&](uint32_t a, uint32_t b) { return activity[a] > activity[b]; });
  for (const uint32_t group : groups)
    for (size_t i = group * at_once; i < std::min(n, (group + 1) * at_once); ++i)
      order.push_back(static_cast<uint32_t>(i));
  return order;
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

GptqSolver::GptqSolver(const Hessian& hessian, size_t at_once, ThreadPool& pool)
    : importance_(hessian.n_columns) {
  require_finite(hessian.sums, "the sum of squares of a matrix's inputs");
  const size_t n = hessian.n_columns;
  double mean = 0;
  for (size_t i = 0; i < n; ++i)
    mean += static_cast<double>(hessian.sums[i * n + i]) / static_cast<double>(n);
  const double unit = mean > 0 ? 1.0 / mean : 1.0;
  const auto value_of = [&](size_t i, size_t j) {
    return static_cast<float>(static_cast<double>(hessian.sums[i * n + j]) * unit);
  };
  for (size_t i = 0; i < n; ++i)
    importance_[i] = value_of(i, i) + static_cast<float>(mean > 0 ? kDamping : 1.0);
  order_ = order_columns(importance_, at_once);

  // Backwards, R R^T is an ordinary Cholesky factorisation: row i of `backwards` is place n - 1 - i of the
  // order.
  std::vector<float> backwards(n * n);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) {
      const size_t from = order_[n - 1 - i], to = order_[n - 1 - j];
      backwards[i * n + j] = from == to ? importance_[from] : value_of(from, to);
    }
  factorise(backwards, n, pool);
  const std::vector<float> inverse = invert_lower(backwards, n, pool);
  moves_.assign(n * n, 0.0f);
  for (size_t j = 0; j < n; ++j) {
    const float* row = &inverse[(n - 1 - j) * n];
    const float own = row[n - 1 - j];
    for (size_t k = j; k < n; ++k) moves_[j * n + k] = row[n - 1 - k] / own;
    costs_.push_back(1.0f / (own * own));
  }
}

size_t GptqSolver::quants_at_once(Format format) { return kernels::quants_at_once(format); }

namespace {

/// What errors of columns that are chosen at once cost: of error j, what columns k after it move by, and its
/// own factor.
struct GroupCost {
  size_t n;
  float moves[8][8];
  float costs[8];

  /// Of the errors that quants make: values - scale * quants; no more than `limit` of it is summed.
  float of(const float* values, float scale, const int8_t* quants, float limit) const {
    float errors[8], sum = 0.0f;
    for (size_t j = 0; j < n && sum < limit; ++j) {
      float error = values[j] - scale * static_cast<float>(quants[j]);
      for (size_t i = 0; i < j; ++i) error -= errors[i] * moves[i][j];
      errors[j] = error;
      sum += error * error * costs[j];
    }
    return sum;
  }
};

/// The level nearest to a value; of two as near, the lower.
int nearest_level(const kernels::QuantRange& range, float value) {
  const int8_t* const end = range.levels + range.n_levels;
  const int8_t* above =
      std::find_if(range.levels, end, [&](int8_t level) { return static_cast<float>(level) >= value; });
  if (above == range.levels) return *above;
  if (above == end) return above[-1];
  return static_cast<float>(*above) - value < value - static_cast<float>(above[-1]) ? *above : above[-1];
}

/// The scales of rows that plain rounding has encoded: value = scale * quant - min, one scale (and min) for
/// `run` values of a row; the last run of a row may be shorter. Quants are chosen from a range, from levels,
/// from a grid, or several at once from a code book.
class Rounder {
 public:
  Rounder(Format format, const tensor::Grid& grid, size_t n_columns, size_t n_rows)
      : format_(format),
        grid_(grid),
        has_grid_(tensor::traits(format).has_grid),
        n_columns_(n_columns),
        n_rows_(n_rows),
        row_bytes_(tensor::row_bytes(format, n_columns)),
        at_once_(kernels::quants_at_once(format)),
        range_(at_once_ == 1 ? *kernels::quant_range(format) : kernels::QuantRange{}),
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

  size_t at_once() const { return at_once_; }

  /// Chooses the point for the columns from `column` on; writes what it stands for into `rounded`.
  void round_group(size_t row, size_t column, const float* values, const GroupCost& cost, float* rounded) {
    const float scale = scales_[row * runs_ + column / run_];
    int8_t* quants = &quants_[row * n_columns_ + column];
    if (scale != 0.0f) {
      float target[8];
      int8_t near[kernels::kMaxNearPoints * 8];
      for (size_t j = 0; j < at_once_; ++j) target[j] = values[j] / scale;
      const size_t n_near = kernels::near_points(format_, target, quants, near);
      float least = std::numeric_limits<float>::infinity();
      size_t best = n_near;
      for (size_t k = 0; k < n_near; ++k) {
        const float price = cost.of(values, scale, near + k * at_once_, least);
        if (!(price < least)) continue;
        least = price;
        best = k;
      }
      if (best < n_near) std::copy_n(near + best * at_once_, at_once_, quants);
    }
    for (size_t j = 0; j < at_once_; ++j) rounded[j] = scale * static_cast<float>(quants[j]);
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
    if (range_.levels != nullptr) {
      quant = static_cast<int8_t>(nearest_level(range_, ideal));
      return scale * static_cast<float>(quant);
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
  size_t at_once_;
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
  const size_t at_once = rounder.at_once();
  GroupCost cost{at_once, {}, {}};
  GemmScratch scratch;
  for (size_t first = 0; first < n; first += kRun) {
    const size_t end = std::min(n, first + kRun);
    for (size_t place = first; place < end; place += at_once) {
      for (size_t j = 0; j < at_once; ++j) {
        cost.costs[j] = costs_[place + j];
        for (size_t k = j; k < at_once; ++k) cost.moves[j][k] = moves_[(place + j) * n + place + k];
      }
      for (size_t row = 0; row < n_rows; ++row) {
        float* w = &open[row * n];
        float rounded[8];
        if (at_once == 1)
          rounded[0] = rounder.round(row, order_[place], w[place]);
        else
          rounder.round_group(row, order_[place], w + place, cost, rounded);
        for (size_t j = place; j < place + at_once; ++j) {
          const float error = w[j] - rounded[j - place];
          errors[row * kRun + j - first] = -error;
          for (size_t k = j + 1; k < end; ++k) w[k] -= error * moves_[j * n + k];
        }
      }
    }
    if (end < n)
      tensor::gemm({n_rows, n - end, end - first}, {errors.data(), kRun, 1}, {&moves_[first * n + end], n, 1},
                   &open[end], n, true, scratch);
  }
  rounder.write_quants(blocks);
}

}  // namespace ruvllm::quant
