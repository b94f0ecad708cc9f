// The tape's memory.
#include "train/tape.h"
#include "base/random.h"
#include "test_support.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace ruvllm;
using namespace ruvllm::train;

TEST_CASE("an arena holds what was taken at most between two clears, whatever the sizes and their order") {
  Random random(test::test_seed());
  Arena<float> arena;
  size_t most = 0;
  for (int step = 0; step < 50; ++step) {
    size_t n_taken = 0;
    for (int i = 0; i < 20; ++i) {
      const size_t n = 1 + random.below(400'000);
      const std::span<float> values = arena.take(n);
      REQUIRE(values.size() == n);
      values.front() = values.back() = static_cast<float>(i);
      n_taken += (n + 15) / 16 * 16;
    }
    most = std::max(most, n_taken);
    arena.clear();
    if (step > 0) CHECK(arena.n_bytes() == most * sizeof(float));
  }
}
