#include "engine/logits.h"

#include <doctest/doctest.h>

#include <limits>
#include <vector>

TEST_CASE("logits that are no numbers are told with their token and place") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  const auto check = [](const std::vector<float>& logits) {
    ruvllm::engine::require_finite_logits(logits, 7);
  };
  check({1, -3e38f, 3e38f});
  CHECK_THROWS_WITH_AS(check({1, 2, nan, inf}),
                       doctest::Contains("after 7 tokens, the logit of token 2 is NaN"), ruvllm::Error);
  CHECK_THROWS_WITH_AS(check({1, -inf}), doctest::Contains("the logit of token 1 is an infinity"),
                       ruvllm::Error);
}
