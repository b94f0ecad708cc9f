#include <doctest/doctest.h>

#include "kernels/kernels.h"

#include <vector>

namespace ruvllm::kernels {

TEST_CASE("what is measured is done: every byte read, every product added") {
  std::vector<uint32_t> memory(256, 3);
  memory[255] = 10;
  size_t n_sets = 0;
  const KernelSet* const* sets = available(&n_sets);
  for (size_t i = 0; i < n_sets; ++i) {
    INFO(sets[i]->name);
    CHECK(sets[i]->read_memory(memory.data(), 1024) == 255 * 3 + 10);
    size_t few = 0, many = 0;
    const int32_t sum = sets[i]->multiply_integers(10, &few);
    sets[i]->multiply_integers(100, &many);
    CHECK(many == 10 * few);
    if (i > 0) CHECK(static_cast<size_t>(sum) * 2 == few);  // ones are multiplied
    for (const auto multiply : {sets[i]->multiply_values, sets[i]->multiply_pairs}) {
      const float float_sum = multiply(10, &few);
      multiply(100, &many);
      CHECK(many == 10 * few);
      CHECK(float_sum * 2 == static_cast<float>(few));
    }
  }
}

}  // namespace ruvllm::kernels
