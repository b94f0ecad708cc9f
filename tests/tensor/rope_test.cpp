// Frequencies of every scaling against its published formula, worked out by hand or in another form.
#include "tensor/rope.h"

#include <doctest/doctest.h>

#include <cmath>

namespace ruvllm::tensor {
namespace {

/// Angle of a pair per position, from the sine and cosine at position 1 (all frequencies are at most 1).
std::vector<double> frequencies(const RopeParameters& parameters, uint32_t context) {
  const Rope rope(parameters, context);
  std::vector<float> cosines(rope.n_pairs()), sines(rope.n_pairs());
  rope.angles(1, cosines, sines);
  std::vector<double> found;
  for (size_t i = 0; i < cosines.size(); ++i) found.push_back(std::atan2(sines[i], cosines[i]));
  return found;
}

double magnitude(const RopeParameters& parameters, uint32_t context) {
  const Rope rope(parameters, context);
  std::vector<float> cosines(rope.n_pairs()), sines(rope.n_pairs());
  rope.angles(3, cosines, sines);
  return std::hypot(cosines[0], sines[0]);
}

RopeParameters plain() {
  RopeParameters p;
  p.n_dimensions = 8;
  p.base = 10000;
  p.original_context = 4096;
  return p;
}

void check_close(const std::vector<double>& found, const std::vector<double>& wanted) {
  REQUIRE(found.size() == wanted.size());
  for (size_t i = 0; i < found.size(); ++i) CHECK(found[i] == doctest::Approx(wanted[i]).epsilon(1e-5));
}

}  // namespace

TEST_CASE("plain and linear rotation turn pair i by base^(-2i/n) a position") {
  RopeParameters p = plain();
  check_close(frequencies(p, 100), {1, 0.1, 0.01, 0.001});
  p.scaling = RopeScaling::linear;
  p.factor = 4;
  check_close(frequencies(p, 100), {0.25, 0.025, 0.0025, 0.00025});
}

TEST_CASE(
    "ntk leaves the fastest pair alone and slows the slowest by the factor; dynamic does so only beyond "
    "training") {
  RopeParameters p = plain();
  p.scaling = RopeScaling::ntk;
  p.factor = 4;
  const std::vector<double> ntk = frequencies(p, 100);
  CHECK(ntk[0] == doctest::Approx(1));
  CHECK(ntk[3] == doctest::Approx(0.001 / 4).epsilon(1e-5));
  p.scaling = RopeScaling::dynamic;
  p.factor = 2;
  check_close(frequencies(p, 4096), {1, 0.1, 0.01, 0.001});
  CHECK(frequencies(p, 8192)[3] == doctest::Approx(0.001 / 3).epsilon(1e-5));  // 2 * 8192 / 4096 - 1
}

TEST_CASE("yarn keeps fast pairs, interpolates slow ones and raises the magnitude") {
  RopeParameters p = plain();
  p.n_dimensions = 64;
  p.scaling = RopeScaling::yarn;
  p.factor = 8;
  const std::vector<double> yarn = frequencies(p, 100), whole = frequencies(plain(), 100);
  const auto unscaled = [](size_t i) { return std::pow(10000.0, -2.0 * static_cast<double>(i) / 64); };
  // 32 turns within 4096 tokens: pair 10.4; one turn: pair 22.5.
  for (size_t i = 0; i <= 10; ++i) CHECK(yarn[i] == doctest::Approx(unscaled(i)).epsilon(1e-5));
  for (size_t i = 23; i < 32; ++i) CHECK(yarn[i] == doctest::Approx(unscaled(i) / 8).epsilon(1e-4));
  CHECK(yarn[16] < unscaled(16));
  CHECK(yarn[16] > unscaled(16) / 8);
  CHECK(magnitude(p, 100) == doctest::Approx(1 + 0.1 * std::log(8.0)));
}

TEST_CASE("longrope takes the long factors where the context is longer than in training") {
  const std::vector<float> short_factors = {1, 1, 2, 2}, long_factors = {1, 2, 4, 8};
  RopeParameters p = plain();
  p.scaling = RopeScaling::longrope;
  p.factors = short_factors;
  p.long_factors = long_factors;
  p.attention_factor = 1.19;
  check_close(frequencies(p, 4096), {1, 0.1, 0.005, 0.0005});
  check_close(frequencies(p, 4097), {1, 0.05, 0.0025, 0.000125});
  CHECK(magnitude(p, 100) == doctest::Approx(1.19));
}

TEST_CASE("far positions are as exact as near ones") {
  const Rope rope(plain(), 100);
  std::vector<float> cosines(4), sines(4);
  rope.angles(1'000'003, cosines, sines);
  CHECK(sines[0] == doctest::Approx(std::sin(1'000'003.0)).epsilon(1e-6));
  CHECK(sines[1] == doctest::Approx(std::sin(100'000.3)).epsilon(1e-5));
}

TEST_CASE("rotation turns the right pairs and leaves the rest") {
  ThreadPool pool(2);
  const float angle = 0.5f;
  const std::vector<float> cosines = {std::cos(angle), 1}, sines = {std::sin(angle), 0};
  std::vector<float> x = {1, 2, 3, 4, 5, 6};
  rotate(pool, x, 1, 6, cosines, sines, 2, false);
  CHECK(x[0] == doctest::Approx(std::cos(angle) - 2 * std::sin(angle)));
  CHECK(x[1] == doctest::Approx(std::sin(angle) + 2 * std::cos(angle)));
  CHECK(std::vector(x.begin() + 2, x.end()) == std::vector<float>{3, 4, 5, 6});
  x = {1, 2, 3, 4, 5, 6};
  rotate(pool, x, 1, 6, cosines, sines, 2, true);
  CHECK(x[0] == doctest::Approx(std::cos(angle) - 3 * std::sin(angle)));
  CHECK(x[2] == doctest::Approx(std::sin(angle) + 3 * std::cos(angle)));
  CHECK(x[1] == 2);
  CHECK(x[3] == 4);
  CHECK(x[4] == 5);
}

TEST_CASE("ALiBi slopes are the paper's for powers of two, and fill in between") {
  const auto slopes = alibi_slopes(8, 8);
  for (int i = 0; i < 8; ++i) CHECK(slopes[static_cast<size_t>(i)] == doctest::Approx(std::exp2(-(i + 1))));
  const auto twelve = alibi_slopes(12, 8);
  CHECK(twelve[7] == doctest::Approx(std::exp2(-8)));
  CHECK(twelve[8] == doctest::Approx(std::exp2(-0.5)));
  CHECK(twelve[11] == doctest::Approx(std::exp2(-3.5)));
}

TEST_CASE("names of scalings are found, others are not") {
  RopeScaling scaling = RopeScaling::none;
  CHECK(find_rope_scaling("yarn", scaling));
  CHECK(scaling == RopeScaling::yarn);
  CHECK_FALSE(find_rope_scaling("Yarn", scaling));
  CHECK_FALSE(find_rope_scaling("", scaling));
}

}  // namespace ruvllm::tensor
