#include "quant/importance.h"

#include <doctest/doctest.h>

#include "base/error.h"

#include <limits>

namespace ruvllm::quant {

TEST_CASE("importance has no unit: only what columns weigh beside each other counts") {
  format::Tensor tensor;
  tensor.name = "blk.0.attn_q.weight";
  tensor.dimensions = {4, 2};
  Importance ones;
  ones.set(tensor.name, {1, 2, 3, 2});
  for (const float unit : {1e-30f, 1e-38f, 1e-3f, 1e30f, 1e37f}) {
    CAPTURE(unit);
    Importance other;
    other.set(tensor.name, {unit, 2 * unit, 3 * unit, 2 * unit});
    for (size_t i = 0; i < 4; ++i)
      CHECK(other.of_row(tensor, 1)[i] == doctest::Approx(ones.of_row(tensor, 1)[i]).epsilon(1e-6));
  }
  CHECK(ones.of_row(tensor, 0)[0] == doctest::Approx(0.5));
}

TEST_CASE("columns that were hardly seen keep a thousandth of the mean") {
  format::Tensor tensor;
  tensor.name = "x";
  tensor.dimensions = {4, 1};
  Importance importance;
  importance.set("x", {0, 4e-20f, 0, 0});
  CHECK(importance.of_row(tensor, 0)[0] == doctest::Approx(1e-3));
  CHECK(importance.of_row(tensor, 0)[1] == doctest::Approx(4));
  importance.set("nothing", {0, 0});
  CHECK(importance.n_tensors() == 1);
}

TEST_CASE("weights that are no weights are refused") {
  for (const float value :
       {-1.0f, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
    CHECK_THROWS_AS(Importance().set("x", {1, value}), Error);
}

}  // namespace ruvllm::quant
