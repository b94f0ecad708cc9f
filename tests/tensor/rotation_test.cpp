// Rotations: lengths stay, undoing gives back what was there, products over rotated weights are those of
// plain ones.
#include "tensor/rotation.h"

#include <doctest/doctest.h>

#include "base/random.h"
#include "tensor/matmul.h"
#include "tensor/ops.h"
#include "test_support.h"

#include <cmath>
#include <memory>
#include <vector>

namespace ruvllm::tensor {
namespace {

std::vector<float> normals(Random& random, size_t n) {
  std::vector<float> values(n);
  for (float& value : values) value = static_cast<float>(random.normal());
  return values;
}

double length(std::span<const float> x) {
  double sum = 0;
  for (const float value : x) sum += static_cast<double>(value) * static_cast<double>(value);
  return std::sqrt(sum);
}

}  // namespace

TEST_CASE("a rotation keeps lengths, and its inverse gives back every value") {
  Random random(test::test_seed());
  for (const uint64_t n : {1, 12, 64, 172, 896, 4864}) {
    const Rotation rotation(7, n);
    CHECK(n % rotation.block() == 0);
    CHECK(n / rotation.block() % 2 == 1);
    const std::vector<float> x = normals(random, 3 * n);
    std::vector<float> y = x;
    rotation.apply(y);
    CHECK(length(y) == doctest::Approx(length(x)).epsilon(1e-5));
    if (rotation.block() > 1) CHECK(y != x);
    rotation.undo(y);
    for (size_t i = 0; i < x.size(); ++i) REQUIRE(std::fabs(y[i] - x[i]) < 1e-5);
  }
}

TEST_CASE("undoing is exact where a block's size is a power of four and values are small integers") {
  Random random(test::test_seed());
  for (const uint64_t n : {4, 64, 192, 256, 1024, 4096}) {  // blocks of 4 ^ m
    const Rotation rotation(random.next(), n);
    std::vector<float> x(n);
    for (float& value : x) value = static_cast<float>(random.below(255)) - 127.0f;
    std::vector<float> y = x;
    rotation.apply(y);
    rotation.undo(y);
    CHECK(y == x);
  }
}

TEST_CASE("a rotated outlier is no outlier, and parts of a row are rotated as the row is") {
  const Rotation rotation(1, 512);
  std::vector<float> x(512, 0.0f);
  x[77] = 100.0f;
  rotation.apply(x);
  for (const float value : x) CHECK(std::fabs(value) < 5.0f);

  const uint64_t n = 3 * 4;
  const Rotation small(5, n);
  Random random(test::test_seed());
  const std::vector<float> row = normals(random, n);
  std::vector<float> whole = row, part(row.begin() + 4, row.begin() + 8);
  small.apply(whole);
  small.apply(part, 4);
  for (size_t i = 0; i < 4; ++i) CHECK(part[i] == whole[4 + i]);
}

TEST_CASE("a product over weights that were rotated is that over the weights as they were") {
  Random random(test::test_seed());
  ThreadPool pool(2);
  constexpr uint64_t n = 172, n_weights = 35, n_rows = 5;
  const auto rotation = std::make_shared<const Rotation>(3, n);
  const std::vector<float> weights = normals(random, n * n_weights), x = normals(random, n * n_rows);
  std::vector<float> turned = weights;
  rotation->apply(turned);
  const uint64_t n_bytes = n_weights * row_bytes(Format::PIQ3, n);
  std::vector<std::byte> rotated_bytes(n_bytes), plain_bytes(n_bytes);
  const Grid grid = default_grid(Format::PIQ3);
  encode_rows(Format::PIQ3, grid, n, turned, {}, kernels::Search::fast, rotated_bytes);
  encode_rows(Format::PIQ3, grid, n, weights, {}, kernels::Search::fast, plain_bytes);
  const PackedMatrix rotated(pool, {Format::PIQ3, n_weights, n, rotated_bytes, grid, rotation});
  const PackedMatrix plain(pool, {Format::PIQ3, n_weights, n, plain_bytes});

  // Both products at once share the input, which only one of them takes rotated.
  Multiplier multiplier(pool, ActivationPrecision::exact);
  std::vector<float> out_rotated(n_rows * n_weights), out_plain(n_rows * n_weights);
  const Product both[] = {{&rotated, out_rotated, n_weights}, {&plain, out_plain, n_weights}};
  multiplier.multiply(x, n_rows, both);
  std::vector<float> row(n);
  for (uint64_t i = 0; i < n_weights; ++i) {
    rotated.decode_row(i, row);  // as it was before it was rotated
    for (uint64_t r = 0; r < n_rows; ++r) {
      double sum = 0, size = 0;
      for (uint64_t j = 0; j < n; ++j) {
        sum += static_cast<double>(row[j]) * static_cast<double>(x[r * n + j]);
        size += std::fabs(static_cast<double>(row[j]) * static_cast<double>(x[r * n + j]));
      }
      CHECK(std::fabs(out_rotated[r * n_weights + i] - sum) < 1e-4 * size);
    }
  }
  std::vector<float> alone(n_rows * n_weights);
  multiplier.multiply(x, n_rows, {&plain, alone, n_weights});
  CHECK(alone == out_plain);
}

}  // namespace ruvllm::tensor
