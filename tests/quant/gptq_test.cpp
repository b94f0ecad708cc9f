#include "quant/gptq.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/random.h"
#include "test_support.h"

#include <cmath>
#include <cstring>
#include <string>

namespace ruvllm::quant {
namespace {

/// Inputs whose columns are correlated and of uneven size, as a network's are.
Hessian make_hessian(size_t n, Random& random) {
  const size_t n_hidden = n / 3 + 1, n_rows = 2 * n;
  std::vector<float> mix(n_hidden * n), x(n);
  for (float& value : mix) value = static_cast<float>(random.normal());
  Hessian hessian{n, std::vector<float>(n * n, 0.0f)};
  for (size_t row = 0; row < n_rows; ++row) {
    for (float& value : x) value = static_cast<float>(0.3 * random.normal());
    for (size_t h = 0; h < n_hidden; ++h) {
      const float amount = static_cast<float>(random.normal());
      for (size_t i = 0; i < n; ++i) x[i] += amount * mix[h * n + i] / 5.0f;
    }
    for (size_t i = 0; i < n; ++i) x[i] *= 1.0f + 3.0f * static_cast<float>(i % 7 == 0);
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < n; ++j) hessian.sums[i * n + j] += x[i] * x[j];
  }
  return hessian;
}

double cost_of_rows(const Hessian& hessian, Format format, std::span<const float> values,
                    std::span<const std::byte> blocks) {
  std::vector<float> decoded(values.size());
  kernels::active()[format].decode(blocks.data(), decoded.data(), decoded.size());
  double cost = 0;
  for (size_t i = 0; i < values.size(); ++i) decoded[i] -= values[i];
  for (size_t first = 0; first < values.size(); first += hessian.n_columns)
    cost += hessian.cost_of(std::span(decoded).subspan(first, hessian.n_columns));
  return cost;
}

}  // namespace

TEST_CASE("the error that matters falls well below plain rounding's, for every format that can be set") {
  Random random(test::test_seed());
  constexpr size_t n = 512, n_rows = 12;
  const Hessian hessian = make_hessian(n, random);
  std::vector<float> values(n * n_rows);
  for (float& value : values) value = static_cast<float>(random.normal());
  ThreadPool pool(2);
  const GptqSolver solver(hessian, 8, pool);
  size_t n_formats = 0;
  const kernels::Traits* formats = kernels::all_formats(&n_formats);
  for (size_t f = 0; f < n_formats; ++f) {
    const Format format = formats[f].format;
    if (!GptqSolver::supports(format) || format == Format::TQ2_0) continue;
    CAPTURE(std::string(formats[f].name));
    std::vector<std::byte> plain(tensor::row_bytes(format, n) * n_rows), solved(plain.size());
    kernels::active().encode[static_cast<uint32_t>(format)](values.data(), nullptr, values.size(),
                                                            plain.data(), kernels::Search::fast);
    solver.quantise_rows(format, tensor::default_grid(format), values, kernels::Search::fast, solved);
    CHECK(cost_of_rows(hessian, format, values, solved) < 0.7 * cost_of_rows(hessian, format, values, plain));
  }
  for (const Format format : {Format::IQ4_XS, Format::IQ3_S, Format::IQ3_XXS, Format::IQ2_XS, Format::IQ1_M})
    CHECK(GptqSolver::supports(format));
  for (const Format format : {Format::F16, Format::TQ1_0, Format::Q8_K})
    CHECK_FALSE(GptqSolver::supports(format));
}

TEST_CASE("inputs have no unit: those of a thousandth of a millionth give the same bytes") {
  Random random(test::test_seed());
  constexpr size_t n = 256;
  const Hessian hessian = make_hessian(n, random);
  std::vector<float> values(n);
  for (float& value : values) value = static_cast<float>(random.normal());
  ThreadPool pool(1);
  for (const Format format : {Format::Q4_K, Format::IQ3_S, Format::IQ4_XS}) {
    std::vector<std::byte> expected(tensor::row_bytes(format, n)), found(expected.size());
    GptqSolver(hessian, 8, pool).quantise_rows(format, {}, values, kernels::Search::fast, expected);
    for (const float unit : {0x1p-90f, 0x1p60f}) {
      Hessian other = hessian;
      for (float& sum : other.sums) sum *= unit;
      GptqSolver(other, 8, pool).quantise_rows(format, {}, values, kernels::Search::fast, found);
      CHECK(found == expected);
    }
  }
}

TEST_CASE("a sum of inputs that is no number is refused") {
  Hessian hessian{2, {1.0f, 0.0f, 0.0f, std::nanf("")}};
  ThreadPool pool(1);
  CHECK_THROWS_AS(GptqSolver(hessian, 1, pool), Error);
}

TEST_CASE("a row is rounded the same whoever its neighbours are, for every number of threads and any width") {
  Random random(test::test_seed());
  for (const size_t n : {size_t{32}, size_t{96}, size_t{224}}) {
    CAPTURE(n);
    const Hessian hessian = make_hessian(n, random);
    std::vector<float> values(n * 5);
    for (float& value : values) value = static_cast<float>(random.normal());
    const size_t row_bytes = tensor::row_bytes(Format::Q4_0, n);
    std::vector<std::byte> together(row_bytes * 5), alone(row_bytes);
    ThreadPool two(2), one(1);
    GptqSolver(hessian, 1, two).quantise_rows(Format::Q4_0, {}, values, kernels::Search::fast, together);
    const GptqSolver solver(hessian, 1, one);
    for (size_t row = 0; row < 5; ++row) {
      solver.quantise_rows(Format::Q4_0, {}, std::span(values).subspan(row * n, n), kernels::Search::fast,
                           alone);
      CHECK(std::memcmp(alone.data(), together.data() + row * row_bytes, row_bytes) == 0);
    }
  }
}

TEST_CASE("inputs that are uncorrelated leave nothing to make up for: plain rounding to the same scales") {
  constexpr size_t n = 64;
  Hessian hessian{n, std::vector<float>(n * n, 0.0f)};
  for (size_t i = 0; i < n; ++i) hessian.sums[i * n + i] = 1.0f;
  Random random(test::test_seed());
  std::vector<float> values(n), decoded(n), same(n);
  for (float& value : values) value = static_cast<float>(random.normal());
  std::vector<std::byte> blocks(tensor::row_bytes(Format::Q4_0, n)), plain(blocks.size());
  ThreadPool pool(1);
  GptqSolver(hessian, 1, pool).quantise_rows(Format::Q4_0, {}, values, kernels::Search::fast, blocks);
  const std::vector<float> ones(n, 1.01f);
  kernels::active().encode[static_cast<uint32_t>(Format::Q4_0)](values.data(), ones.data(), n, plain.data(),
                                                                kernels::Search::fast);
  kernels::active()[Format::Q4_0].decode(blocks.data(), decoded.data(), n);
  kernels::active()[Format::Q4_0].decode(plain.data(), same.data(), n);
  for (size_t i = 0; i < n; ++i) CHECK(decoded[i] == doctest::Approx(same[i]).epsilon(1e-6));
}

TEST_CASE("columns that were never seen do no harm") {
  constexpr size_t n = 64;
  const Hessian nothing{n, std::vector<float>(n * n, 0.0f)};
  std::vector<float> values(n, 0.5f), decoded(n);
  std::vector<std::byte> blocks(tensor::row_bytes(Format::Q8_0, n));
  ThreadPool pool(1);
  GptqSolver(nothing, 1, pool).quantise_rows(Format::Q8_0, {}, values, kernels::Search::fast, blocks);
  kernels::active()[Format::Q8_0].decode(blocks.data(), decoded.data(), n);
  for (const float value : decoded) CHECK(value == doctest::Approx(0.5).epsilon(0.01));
}

}  // namespace ruvllm::quant
