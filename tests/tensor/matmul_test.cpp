// Products over packed weights: whatever the rows, threads and tiles, the same bits; and packed rows decode
// as they lay.
#include "tensor/matmul.h"

#include <doctest/doctest.h>

#include "base/random.h"
#include "test_support.h"

#include <atomic>
#include <cstring>

namespace ruvllm::tensor {
namespace {

struct Weights {
  MatrixView view;
  std::vector<std::byte> bytes;
};

/// Bytes that decode to something finite: halves with a small exponent, wherever they are read from.
Weights make_weights(Random& random, Format format, uint64_t n_rows, uint64_t n_columns) {
  Weights weights;
  weights.bytes.resize(n_rows * row_bytes(format, n_columns));
  for (std::byte& byte : weights.bytes) byte = static_cast<std::byte>(random.below(64));
  weights.view = {format, n_rows, n_columns, weights.bytes};
  return weights;
}

std::vector<float> make_floats(Random& random, size_t n) {
  std::vector<float> values(n);
  for (float& value : values) value = static_cast<float>(random.normal());
  return values;
}

std::vector<float> multiply_in_chunks(int n_threads, const Weights& weights, std::span<const float> x,
                                      uint64_t n_rows, uint64_t chunk) {
  ThreadPool pool(n_threads);
  const PackedMatrix packed(pool, weights.view);
  Multiplier multiplier(pool);
  const uint64_t n_out = packed.n_rows(), n_in = packed.n_columns();
  std::vector<float> out(n_rows * n_out);
  for (uint64_t row = 0; row < n_rows; row += chunk) {
    const uint64_t n = std::min(chunk, n_rows - row);
    multiplier.multiply(x.subspan(row * n_in, n * n_in), n,
                        {&packed, std::span(out).subspan(row * n_out), n_out});
  }
  return out;
}

}  // namespace

TEST_CASE("a product has the same bits for any number of threads and any chunking of its rows") {
  Random random(test::test_seed());
  for (Format format : {Format::Q4_0, Format::Q4_K, Format::Q6_K, Format::F16, Format::BF16, Format::F32}) {
    const Weights weights = make_weights(random, format, 53, 512);
    const uint64_t n_rows = 515;
    const std::vector<float> x = make_floats(random, n_rows * 512);
    const std::vector<float> expected = multiply_in_chunks(1, weights, x, n_rows, 1);
    for (int n_threads : {1, 2, 3})
      for (uint64_t chunk : {2, 7, 64, 512}) {
        INFO(format_name(format), ", ", n_threads, " threads, chunks of ", chunk);
        const std::vector<float> out = multiply_in_chunks(n_threads, weights, x, n_rows, chunk);
        REQUIRE(std::memcmp(out.data(), expected.data(), out.size() * sizeof(float)) == 0);
      }
  }
}

TEST_CASE("where exact answers are asked for, neither 16-bit weights nor activations are rounded") {
  Random random(test::test_seed());
  ThreadPool pool(2);
  constexpr uint64_t kWeights = 37, kColumns = 129, kRows = 9;
  Format format;
  SUBCASE("F16") { format = Format::F16; }
  SUBCASE("BF16") { format = Format::BF16; }
  const Weights weights = make_weights(random, format, kWeights, kColumns);
  const PackedMatrix packed(pool, weights.view);
  std::vector<float> wide(kWeights * kColumns);
  for (uint64_t row = 0; row < kWeights; ++row)
    packed.decode_row(row, std::span(wide).subspan(row * kColumns, kColumns));
  const PackedMatrix packed_wide(pool, {Format::F32, kWeights, kColumns, std::as_bytes(std::span(wide))});
  const std::vector<float> x = make_floats(random, kRows * kColumns);
  std::vector<float> exact(kRows * kWeights), fast(kRows * kWeights), expected(kRows * kWeights);
  Multiplier exact_multiplier(pool, ActivationPrecision::exact), multiplier(pool);
  exact_multiplier.multiply(x, kRows, {&packed, exact, kWeights});
  multiplier.multiply(x, kRows, {&packed, fast, kWeights});
  multiplier.multiply(x, kRows, {&packed_wide, expected, kWeights});
  CHECK(exact == expected);
  CHECK(fast != expected);
}

TEST_CASE("products that share an input are those of each alone, plus their biases") {
  Random random(test::test_seed());
  ThreadPool pool(2);
  const Weights a = make_weights(random, Format::Q8_0, 40, 96), b = make_weights(random, Format::F32, 17, 96);
  const PackedMatrix packed_a(pool, a.view), packed_b(pool, b.view);
  const std::vector<float> x = make_floats(random, 3 * 96), bias = make_floats(random, 17);
  std::vector<float> alone_a(3 * 40), alone_b(3 * 17), together_a(3 * 40), together_b(3 * 17);
  Multiplier multiplier(pool);
  multiplier.multiply(x, 3, {&packed_a, alone_a, 40});
  multiplier.multiply(x, 3, {&packed_b, alone_b, 17});
  const Product both[] = {{&packed_a, together_a, 40}, {&packed_b, together_b, 17, bias}};
  multiplier.multiply(x, 3, both);
  CHECK(together_a == alone_a);
  for (size_t i = 0; i < alone_b.size(); ++i) CHECK(together_b[i] == alone_b[i] + bias[i % 17]);
}

TEST_CASE("a row of a packed matrix decodes as it lay in the file, and every byte is given back once") {
  Random random(test::test_seed());
  ThreadPool pool(3);
  size_t n = 0;
  const kernels::Traits* rows = kernels::all_formats(&n);
  for (const kernels::Traits& shape : std::span(rows, n)) {
    const uint64_t n_columns = shape.block_values == 1 ? 511 : 512;
    const Weights weights = make_weights(random, shape.format, 37, n_columns);
    std::atomic<size_t> n_given = 0;
    const PackedMatrix packed(pool, weights.view,
                              [&](std::span<const std::byte> part) { n_given += part.size(); });
    CHECK(n_given == weights.bytes.size());
    std::vector<float> expected(n_columns), values(n_columns);
    for (uint64_t row : {0, 15, 16, 36}) {
      kernels::active()[shape.format].decode(&weights.bytes[row * row_bytes(shape.format, n_columns)],
                                             expected.data(), n_columns);
      packed.decode_row(row, values);
      INFO(shape.name, " row ", row);
      CHECK(std::memcmp(values.data(), expected.data(), n_columns * sizeof(float)) == 0);
    }
  }
}

}  // namespace ruvllm::tensor
