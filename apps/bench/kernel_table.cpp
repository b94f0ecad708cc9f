#include "kernel_table.h"

#include "base/json.h"
#include "base/random.h"
#include "bench/limits.h"
#include "cli/console.h"
#include "cli/table.h"
#include "tensor/matmul.h"

#include <algorithm>
#include <chrono>

namespace ruvllm::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kColumns = 4096;
constexpr uint64_t kWeightBytes = uint64_t{96}
                                  << 20;  // more than the caches hold, so that one row streams from memory
constexpr double kSecondsEach = 0.25;

/// One format's product of `n_rows` activation rows: the shortest time, in seconds.
double time_product(tensor::Multiplier& multiplier, const tensor::PackedMatrix& weight, uint64_t n_rows) {
  Random random(1);
  std::vector<float> x(n_rows * weight.n_columns()), out(n_rows * weight.n_rows());
  for (float& value : x) value = static_cast<float>(random.normal());
  double best = 1e9, spent = 0;
  for (int i = 0; i < 3 || spent < kSecondsEach; ++i) {
    cli::throw_if_interrupted();
    const auto start = Clock::now();
    multiplier.multiply(x, n_rows, {&weight, out, weight.n_rows()});
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::min(best, seconds);
    spent += seconds;
  }
  return best;
}

tensor::PackedMatrix make_weight(ThreadPool& pool, const kernels::Traits& shape, uint64_t n_rows) {
  Random random(1);
  std::vector<float> values(kColumns);
  for (float& value : values) value = static_cast<float>(random.normal());
  const uint64_t row_bytes = tensor::row_bytes(shape.format, kColumns);
  std::vector<std::byte> bytes(n_rows * row_bytes);
  kernels::active().encode[static_cast<uint32_t>(shape.format)](values.data(), nullptr, kColumns,
                                                                bytes.data(), {});
  for (uint64_t row = 1; row < n_rows; ++row) std::copy_n(bytes.data(), row_bytes, &bytes[row * row_bytes]);
  return tensor::PackedMatrix(pool, {shape.format, n_rows, kColumns, bytes});
}

}  // namespace

std::string measure_kernels(const cli::CommonOptions& common) {
  ThreadPool pool(common.threads);
  tensor::Multiplier multiplier(pool);
  const MachineLimits limits = measure_limits(pool);
  cli::Table table({{"type", cli::Table::Align::left},
                    {"1 row GB/s", cli::Table::Align::right},
                    {"% of reading", cli::Table::Align::right},
                    {"8 rows / 1", cli::Table::Align::right},
                    {"126 rows TOP/s", cli::Table::Align::right},
                    {"% of limit", cli::Table::Align::right}});
  OrderedJson json = OrderedJson::array();
  size_t n_formats = 0;
  const kernels::Traits* formats = kernels::all_formats(&n_formats);
  for (size_t i = 0; i < n_formats; ++i) {
    const kernels::Traits& shape = formats[i];
    if (kernels::active().encode[static_cast<uint32_t>(shape.format)] == nullptr) continue;
    const uint64_t n_rows = kWeightBytes / tensor::row_bytes(shape.format, kColumns) / 16 * 16;
    const tensor::PackedMatrix large = make_weight(pool, shape, n_rows);
    const tensor::PackedMatrix small = make_weight(pool, shape, 2048);
    const double one = time_product(multiplier, large, 1), eight = time_product(multiplier, large, 8);
    const double many = time_product(multiplier, small, 126);
    const double rate = static_cast<double>(large.n_bytes()) / one;
    const double operations = 2.0 * 126 * 2048 * kColumns / many;
    const double product_share = 100 * operations / limits.operations_per_second(shape.format);
    json.push_back({{"type", shape.name},
                    {"isa", kernels::active().name},
                    {"threads", common.threads},
                    {"one_row_bytes_per_second", rate},
                    {"pct_of_read_limit", 100 * rate / limits.read_bytes_per_second},
                    {"eight_rows_speedup", 8 * one / eight},
                    {"many_rows_operations_per_second", operations},
                    {"pct_of_product_limit", product_share}});
    table.add_row({shape.name, fmt::format("{:.1f}", rate / 1e9),
                   fmt::format("{:.0f}", 100 * rate / limits.read_bytes_per_second),
                   fmt::format("{:.2f}", 8 * one / eight), fmt::format("{:.3f}", operations / 1e12),
                   fmt::format("{:.0f}", product_share)});
  }
  if (common.json) return dump_json(json) + "\n";
  return fmt::format(
      "{} on {} threads: reading {:.1f} GB/s; products of int8 {:.2f} TOP/s, bf16 {:.2f}, f32 {:.2f}\n{}",
      kernels::active().name, common.threads, limits.read_bytes_per_second / 1e9,
      limits.integer_operations_per_second / 1e12, limits.pair_operations_per_second / 1e12,
      limits.value_operations_per_second / 1e12, table.text(cli::Style(cli::use_color(1, common.color))));
}

}  // namespace ruvllm::bench
