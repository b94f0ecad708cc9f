#include <doctest/doctest.h>

#include "base/random.h"
#include "kernels/kernels.h"
#include "test_support.h"

#include <bit>
#include <span>
#include <vector>

namespace ruvllm::kernels {
namespace {

std::span<const KernelSet* const> sets() {
  size_t n = 0;
  const KernelSet* const* rows = available(&n);
  return {rows, n};
}

}  // namespace

TEST_CASE("the transform is the Hadamard matrix, twice it is the block's size, and every set agrees") {
  Random random(test::test_seed());
  for (const size_t block : {1, 2, 4, 16, 32, 64, 256, 512, 4096})
    for (const size_t n_blocks : {1, 3, 5}) {
      const size_t n = block * n_blocks;
      // Integers small enough that every sum is exact.
      std::vector<float> x(n), expected(n, 0.0f);
      for (float& value : x) value = static_cast<float>(random.below(17)) - 8.0f;
      for (size_t i = 0; i < n; ++i) {
        const size_t first = i / block * block;
        for (size_t j = 0; j < block; ++j)
          expected[i] += (std::popcount((i - first) & j) % 2 == 0 ? 1.0f : -1.0f) * x[first + j];
      }
      for (const KernelSet* set : sets()) {
        INFO(set->name, " ", n, " in blocks of ", block);
        std::vector<float> found = x;
        set->hadamard(found.data(), n, block);
        REQUIRE(found == expected);
        set->hadamard(found.data(), n, block);
        for (size_t i = 0; i < n; ++i) REQUIRE(found[i] == static_cast<float>(block) * x[i]);
      }
    }
}

TEST_CASE("sums are taken in one order: any floats give the same bits in every set") {
  Random random(test::test_seed());
  for (const size_t block : {4, 64, 128, 1024})
    for (const size_t n_blocks : {1, 7}) {
      std::vector<float> x(block * n_blocks);
      for (float& value : x)
        value = static_cast<float>(random.normal() * (random.below(9) == 0 ? 1e4 : 1e-3));
      std::vector<float> expected = x;
      sets()[0]->hadamard(expected.data(), expected.size(), block);
      for (const KernelSet* set : sets()) {
        std::vector<float> found = x;
        set->hadamard(found.data(), found.size(), block);
        CHECK(found == expected);
      }
    }
}

}  // namespace ruvllm::kernels
