#include "base/finite.h"

#include <doctest/doctest.h>

#include <limits>
#include <vector>

using namespace ruvllm;

namespace {
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
}  // namespace

TEST_CASE("the first value that is not finite is found wherever it stands") {
  for (const float bad : {kNan, -kNan, kInfinity, -kInfinity, std::numeric_limits<float>::signaling_NaN()})
    for (const size_t n : {1u, 7u, 1024u, 1025u, 4097u})
      for (const size_t at : {size_t{0}, n / 2, n - 1}) {
        std::vector<float> values(n, 1.0f);
        CHECK(!find_non_finite(values));
        values[at] = bad;
        values[n - 1] = at == n - 1 ? bad : kNan;
        CHECK(find_non_finite(values) == at);
      }
}

TEST_CASE("numbers at the ends of the range are finite") {
  const std::vector<float> values = {std::numeric_limits<float>::max(), std::numeric_limits<float>::lowest(),
                                     std::numeric_limits<float>::denorm_min(), 0.0f, -0.0f};
  CHECK(!find_non_finite(values));
  CHECK(!find_non_finite({}));
  CHECK_NOTHROW(require_finite(values, "x"));
}

TEST_CASE("a refusal names what was read, what is wrong and where") {
  const std::vector<float> values = {0.0f, -kInfinity};
  CHECK_THROWS_WITH_AS(require_finite(values, "tensor a.weight"), "tensor a.weight is an infinity at number 1",
                       Error);
  CHECK_THROWS_WITH_AS(finite_figure(kNan, "the perplexity"), "the perplexity is NaN", Error);
  CHECK(finite_figure(2.5, "x") == 2.5);
}
