#include "quant/piq.h"

#include <doctest/doctest.h>

#include "base/random.h"
#include "tensor/ops.h"
#include "test_support.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace ruvllm::quant {
namespace {

using tensor::Format;

double squared_error(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double miss = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += miss * miss;
  }
  return sum;
}

}  // namespace

TEST_CASE("on given alphas every value goes to the nearest level, at both ends too") {
  constexpr uint64_t n = 300;
  const tensor::Grid grid = kernels::uniform_grid(Format::PIQ3, 3);
  const std::vector<float> alphas = {0.5f, 0.1f};
  REQUIRE(n_alphas(Format::PIQ3, n) == 2);
  Random random(test::test_seed());
  std::vector<float> values(n), decoded(n);
  for (float& value : values) value = static_cast<float>(random.normal());
  std::vector<std::byte> bytes(tensor::row_bytes(Format::PIQ3, n));
  encode_with_alphas(Format::PIQ3, grid, values, alphas, bytes);
  tensor::decode_rows(Format::PIQ3, grid, n, bytes, decoded);
  for (size_t i = 0; i < n; ++i) {
    const double step = static_cast<double>(stored_alpha(alphas[i / 256])) * static_cast<double>(grid.unit);
    const double level = std::clamp(std::floor(static_cast<double>(values[i]) / step + 0.5), -4.0, 3.0);
    CHECK(decoded[i] == doctest::Approx(level * step).epsilon(1e-6));
  }
  CHECK(grid.unit == static_cast<float>(std::numbers::pi / 3));
  const std::vector<float> stored = read_alphas(Format::PIQ3, n, bytes);
  CHECK(stored == std::vector<float>{stored_alpha(0.5f), stored_alpha(0.1f)});
  CHECK(stored_alpha(1e-30f) > 0.0f);
}

TEST_CASE("learned levels take off what Lloyd and Max say, and are not asked for where they don't help") {
  Random random(test::test_seed());
  constexpr uint64_t n = 256;
  std::vector<float> normal(64 * n), uniform(64 * n);
  for (float& value : normal) value = static_cast<float>(random.normal());
  for (float& value : uniform) value = static_cast<float>(static_cast<double>(random.below(8)) - 4.0);
  const auto error_with = [&](std::span<const float> rows, const format::OwnFormats& own) {
    const tensor::Grid grid = own.grid_of(Format::PIQ3, "");
    std::vector<std::byte> bytes(rows.size() / n * tensor::row_bytes(Format::PIQ3, n));
    std::vector<float> decoded(rows.size());
    tensor::encode_rows(Format::PIQ3, grid, n, rows, {}, kernels::Search::fast, bytes);
    tensor::decode_rows(Format::PIQ3, grid, n, bytes, decoded);
    return squared_error(decoded, rows) / static_cast<double>(rows.size());
  };
  const auto levels = learn_levels(Format::PIQ3, 4, n, normal, {});
  REQUIRE(levels);
  format::OwnFormats own;
  const double plain = error_with(normal, own);
  own.codebooks[""] = *levels;
  const double learned = error_with(normal, own);
  MESSAGE("error / variance, 3 bits: uniform " << plain << ", learned " << learned);
  CHECK(learned < 0.0345);
  CHECK(plain < 0.0385);
  CHECK_FALSE(learn_levels(Format::PIQ3, 4, n, uniform, {}));
}

}  // namespace ruvllm::quant
