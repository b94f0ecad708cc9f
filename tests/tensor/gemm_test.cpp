#include "tensor/gemm.h"
#include "base/random.h"
#include "kernels/kernels.h"
#include "test_support.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <vector>

using namespace ruvllm;
using namespace ruvllm::tensor;

namespace {

std::vector<float> random_matrix(size_t n_values, Random& random) {
  std::vector<float> values(n_values);
  for (float& value : values) value = static_cast<float>(random.normal());
  return values;
}

struct Problem {
  GemmShape shape;
  std::vector<float> a, b, c;

  Problem(const GemmShape& s, Random& random)
      : shape(s),
        a(random_matrix(s.m * s.k, random)),
        b(random_matrix(s.k * s.n, random)),
        c(random_matrix(s.m * s.n, random)) {}
  GemmOperand left() const { return {a.data(), shape.k, 1}; }
  GemmOperand right() const { return {b.data(), shape.n, 1}; }
};

const GemmShape kShapes[] = {{1, 1, 1},      {3, 5, 7},     {14, 32, 16}, {15, 33, 257},
                             {130, 70, 513}, {1, 200, 300}, {90, 1, 40}};

}  // namespace

TEST_CASE("products of f32 matrices agree with double precision, whatever the shape") {
  Random random(test::test_seed());
  ThreadPool pool(2);
  GemmScratch scratch;
  for (const GemmShape& shape : kShapes) {
    const Problem problem(shape, random);
    for (const bool accumulate : {false, true}) {
      std::vector<float> c = problem.c;
      gemm(pool, shape, problem.left(), problem.right(), c.data(), shape.n, accumulate, scratch);
      double worst = 0;
      for (size_t i = 0; i < shape.m; ++i)
        for (size_t j = 0; j < shape.n; ++j) {
          double sum = accumulate ? problem.c[i * shape.n + j] : 0.0;
          for (size_t k = 0; k < shape.k; ++k)
            sum += static_cast<double>(problem.a[i * shape.k + k]) * problem.b[k * shape.n + j];
          worst = std::max(worst, std::abs(sum - c[i * shape.n + j]));
        }
      CHECK(worst <= 2e-6 * static_cast<double>(shape.k) + 1e-5);
    }
  }
}

TEST_CASE("threads and transposed operands change no bit of a product") {
  Random random(test::test_seed());
  GemmScratch scratch;
  for (const GemmShape& shape : kShapes) {
    const Problem problem(shape, random);
    std::vector<float> alone(shape.m * shape.n), together(shape.m * shape.n), transposed_a(shape.m * shape.k);
    gemm(shape, problem.left(), problem.right(), alone.data(), shape.n, false, scratch);
    for (size_t i = 0; i < shape.m; ++i)
      for (size_t k = 0; k < shape.k; ++k) transposed_a[k * shape.m + i] = problem.a[i * shape.k + k];
    ThreadPool pool(3);
    gemm(pool, shape, {transposed_a.data(), 1, shape.m}, problem.right(), together.data(), shape.n, false,
         scratch);
    CHECK(alone == together);
  }
}

TEST_CASE("the register tile of every instruction set equals the scalar definition to the bit") {
  Random random(test::test_seed());
  size_t n_sets = 0;
  const kernels::KernelSet* const* sets = kernels::available(&n_sets);
  constexpr size_t kDepth = 37;
  for (size_t s = 0; s < n_sets; ++s) {
    const kernels::GemmKernel& kernel = sets[s]->gemm;
    REQUIRE(kernel.n_rows * kernel.n_columns <= kernels::GemmKernel::kMaxTile);
    const std::vector<float> a = random_matrix(kDepth * kernel.n_rows, random);
    const std::vector<float> b = random_matrix(kDepth * kernel.n_columns, random);
    std::vector<float> c(kernel.n_rows * kernel.n_columns, 0.5f);
    kernel.tile(kDepth, a.data(), b.data(), c.data(), kernel.n_columns, true);
    for (size_t i = 0; i < kernel.n_rows; ++i)
      for (size_t j = 0; j < kernel.n_columns; ++j) {
        float sum = 0;
        for (size_t k = 0; k < kDepth; ++k)
          sum = std::fmaf(a[k * kernel.n_rows + i], b[k * kernel.n_columns + j], sum);
        CHECK(c[i * kernel.n_columns + j] == sum + 0.5f);
      }
  }
}

TEST_CASE("bf16 products are those of rounded operands, for any number of threads and either layout") {
  Random random(test::test_seed());
  GemmScratch scratch;
  ThreadPool pool(3);
  const auto rounded = [](float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000u;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  };
  for (GemmShape shape : kShapes) {
    shape.precision = Precision::bf16;
    Problem problem(shape, random);
    std::vector<float> alone(shape.m * shape.n), together = alone;
    gemm(shape, problem.left(), problem.right(), alone.data(), shape.n, false, scratch);
    std::vector<float> transposed_b(shape.k * shape.n);
    for (size_t k = 0; k < shape.k; ++k)
      for (size_t j = 0; j < shape.n; ++j) transposed_b[j * shape.k + k] = problem.b[k * shape.n + j];
    gemm(pool, shape, problem.left(), {transposed_b.data(), 1, shape.k}, together.data(), shape.n, false,
         scratch);
    CHECK(alone == together);
    double worst = 0;
    for (size_t i = 0; i < shape.m; ++i)
      for (size_t j = 0; j < shape.n; ++j) {
        double sum = 0;
        for (size_t k = 0; k < shape.k; ++k)
          sum +=
              static_cast<double>(rounded(problem.a[i * shape.k + k])) * rounded(problem.b[k * shape.n + j]);
        worst = std::max(worst, std::abs(sum - alone[i * shape.n + j]));
      }
    CHECK(worst <= 2e-6 * static_cast<double>(shape.k) + 1e-5);
  }
}
