// The register tile of f32 products in every instruction set: a chain of fused multiply-adds for each
// element.
#include <doctest/doctest.h>

#include "base/random.h"
#include "kernels/kernels.h"
#include "test_support.h"

#include <cmath>
#include <vector>

namespace ruvllm::kernels {
namespace {

std::vector<float> random_floats(Random& random, size_t n) {
  std::vector<float> values(n);
  for (float& value : values) value = static_cast<float>(random.normal());
  return values;
}

}  // namespace

TEST_CASE("an element of a tile is one multiply-add after the other, alone or added to what was there") {
  Random random(test::test_seed());
  size_t n_sets = 0;
  const KernelSet* const* sets = available(&n_sets);
  for (size_t s = 0; s < n_sets; ++s)
    for (const size_t depth : {1, 2, 67})
      for (const bool accumulate : {false, true}) {
        const GemmKernel& kernel = sets[s]->gemm;
        REQUIRE(kernel.n_rows * kernel.n_columns <= GemmKernel::kMaxTile);
        const size_t stride = kernel.n_columns + 3;
        const std::vector<float> a = random_floats(random, depth * kernel.n_rows);
        const std::vector<float> b = random_floats(random, depth * kernel.n_columns);
        const std::vector<float> before = random_floats(random, kernel.n_rows * stride);
        std::vector<float> c = before;
        kernel.tile(depth, a.data(), b.data(), c.data(), stride, accumulate);
        for (size_t i = 0; i < kernel.n_rows; ++i)
          for (size_t j = 0; j < stride; ++j) {
            float sum = 0.0f;
            for (size_t k = 0; k < depth && j < kernel.n_columns; ++k)
              sum = std::fmaf(a[k * kernel.n_rows + i], b[k * kernel.n_columns + j], sum);
            const float old = before[i * stride + j];
            if (j >= kernel.n_columns)
              sum = old;  // between the rows nothing is written
            else if (accumulate)
              sum += old;
            INFO(sets[s]->name, ", depth ", depth, ", element ", i, ", ", j);
            REQUIRE(c[i * stride + j] == sum);
          }
      }
}

}  // namespace ruvllm::kernels
