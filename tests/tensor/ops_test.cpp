// Maths on rows: equal to plain formulas, and to the bit whatever the threads.
#include "tensor/ops.h"

#include "base/random.h"
#include "test_support.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>

namespace ruvllm::tensor {
namespace {

std::vector<float> random_values(Random& random, size_t n) {
  std::vector<float> values(n);
  for (float& value : values) value = static_cast<float>(random.normal() * 2);
  return values;
}

double gelu(double x, bool tanh_form) {
  return tanh_form ? 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)))
                   : 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
}

}  // namespace

TEST_CASE("norms of rows are the formulas, whatever the threads") {
  Random random(test::test_seed());
  for (const size_t width : {1u, 7u, 64u, 100u, 896u})
    for (const size_t n_rows : {1u, 3u, 300u}) {
      const std::vector<float> x = random_values(random, width * n_rows),
                               weight = random_values(random, width), bias = random_values(random, width);
      std::vector<float> rms(x.size()), layer(x.size()), one(x.size());
      ThreadPool pool(3), alone(1);
      rms_norm(pool, x, weight, 1e-5f, rms);
      rms_norm(alone, x, weight, 1e-5f, one);
      CHECK(rms == one);
      layer_norm(pool, x, weight, bias, 1e-5f, layer);
      for (size_t row = 0; row < n_rows; ++row) {
        const float* r = &x[row * width];
        double squares = 0, mean = 0, variance = 0;
        for (size_t i = 0; i < width; ++i) squares += double{r[i]} * r[i], mean += r[i];
        mean /= static_cast<double>(width);
        for (size_t i = 0; i < width; ++i) variance += (r[i] - mean) * (r[i] - mean);
        const auto n = static_cast<double>(width);
        for (size_t i = 0; i < width; ++i) {
          CHECK(rms[row * width + i] ==
                doctest::Approx(r[i] / std::sqrt(squares / n + 1e-5) * weight[i]).epsilon(1e-5));
          const double wanted = (r[i] - mean) / std::sqrt(variance / n + 1e-5) * weight[i] + bias[i];
          CHECK(std::abs(layer[row * width + i] - wanted) < 1e-4);
        }
      }
    }
}

TEST_CASE("activations are their formulas") {
  Random random(test::test_seed());
  ThreadPool pool(2);
  const std::vector<float> x = random_values(random, 40'001), up = random_values(random, 40'001);
  const std::pair<Activation, std::function<double(double)>> rows[] = {
      {Activation::silu, [](double v) { return v / (1 + std::exp(-v)); }},
      {Activation::gelu_tanh, [](double v) { return gelu(v, true); }},
      {Activation::gelu_erf, [](double v) { return gelu(v, false); }},
  };
  for (const auto& [activation, formula] : rows) {
    std::vector<float> gated = x, plain = x;
    activate_gated(pool, activation, gated, up);
    if (activation != Activation::silu) activate(pool, activation, plain);
    double worst = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      worst = std::max(worst, std::abs(gated[i] - formula(x[i]) * up[i]));
      if (activation != Activation::silu) worst = std::max(worst, std::abs(plain[i] - formula(x[i])));
    }
    CHECK(worst < 1e-5);
  }
}

TEST_CASE("sums, scales, caps and softmax are their formulas") {
  std::vector<float> x = {1, -2, 3};
  add(x, std::vector<float>{1, 1, 1});
  CHECK(x == std::vector<float>{2, -1, 4});
  scale(x, 0.5f);
  CHECK(x == std::vector<float>{1, -0.5f, 2});
  add_scaled(x, 2, std::vector<float>{1, 0, -1});
  CHECK(x == std::vector<float>{3, -0.5f, 0});
  ThreadPool pool(1);
  soft_cap(pool, x, 2);
  CHECK(x[0] == doctest::Approx(2 * std::tanh(1.5)));
  std::vector<float> p = {1000, 999, -1000};
  softmax(p);
  CHECK(p[0] == doctest::Approx(1 / (1 + std::exp(-1.0))));
  CHECK(p[2] == 0);
  CHECK(std::accumulate(p.begin(), p.end(), 0.0) == doctest::Approx(1));
  CHECK(sigmoid(0) == 0.5f);
}

TEST_CASE("decoded values are those of the blocks") {
  const std::vector<float> values = {1, -2.5f, 3e10f};
  std::vector<float> found(3);
  decode_values(Format::F32, std::as_bytes(std::span(values)), found);
  CHECK(found == values);
  const uint16_t halves[] = {0x3C00, 0xC100, 0x0001};
  decode_values(Format::F16, std::as_bytes(std::span(halves)), found);
  CHECK(found == std::vector<float>{1, -2.5f, 0x1p-24f});
}

}  // namespace ruvllm::tensor
