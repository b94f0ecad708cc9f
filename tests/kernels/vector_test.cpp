// Vector maths: scalar against double precision, every other instruction set against scalar to the bit, at
// all lengths around a vector's and at extremes.
#include <doctest/doctest.h>

#include "base/random.h"
#include "kernels/kernels.h"
#include "test_support.h"

#include <cmath>
#include <cstring>
#include <functional>
#include <span>
#include <vector>

namespace ruvllm::kernels {
namespace {

using Floats = std::vector<float>;

std::span<const KernelSet* const> sets() {
  size_t n = 0;
  const KernelSet* const* rows = available(&n);
  return {rows, n};
}

const KernelSet& scalar() { return *sets()[0]; }

Floats random_floats(Random& random, size_t n, double spread = 1) {
  Floats values(n);
  for (float& value : values) value = static_cast<float>(random.normal() * spread);
  return values;
}

/// Values that make approximations break: signs, denormals, the ends of exp's range.
Floats extreme_floats() {
  Floats values = {0.0f,  -0.0f,  1e-45f, -1e-45f, 1e-38f, 1.0f,    -1.0f, 0.625f, 0.6249999f, -0.625f,
                   87.0f, -87.0f, 88.5f,  -88.5f,  104.0f, -104.0f, 1e6f,  -1e6f,  3e38f,      -3e38f};
  for (float x = -20; x < 20; x += 0.37f) values.push_back(x);
  return values;
}

bool same_bits(const Floats& a, const Floats& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// Runs `compute` in every set on inputs of many lengths; all results must be scalar's.
void check_same_bits(const std::function<Floats(const KernelSet&, const Floats&)>& compute) {
  Random random(test::test_seed());
  std::vector<Floats> inputs = {extreme_floats()};
  for (size_t n = 1; n < 70; ++n) inputs.push_back(random_floats(random, n, 3));
  inputs.push_back(random_floats(random, 2049));
  for (const Floats& input : inputs) {
    const Floats expected = compute(scalar(), input);
    for (const KernelSet* set : sets()) {
      INFO(set->name, ", ", input.size(), " values");
      REQUIRE(same_bits(compute(*set, input), expected));
    }
  }
}

/// Element by element against `truth`, in double, within a relative and an absolute error.
void check_truth(const Floats& values, const Floats& input, const std::function<double(double)>& truth,
                 double relative, double absolute) {
  for (size_t i = 0; i < values.size(); ++i) {
    const double expected = truth(input[i]);
    INFO("x = ", input[i], ": ", values[i], " for ", expected);
    REQUIRE(std::fabs(values[i] - expected) <= relative * std::fabs(expected) + absolute);
  }
}

Floats moderate_floats() {
  Floats values;
  for (float x = -30; x < 30; x += 0.0137f) values.push_back(x);
  return values;
}

double gelu_by_tanh(double x) {
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}
double gelu_by_erf(double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }

}  // namespace

TEST_CASE("silu, gelu and soft cap are what they approximate") {
  const Floats x = moderate_floats();
  const Floats ones(x.size(), 1.0f);
  Floats y = x;
  scalar().silu_multiply(y.data(), ones.data(), y.size());
  check_truth(
      y, x, [](double v) { return v / (1 + std::exp(-v)); }, 1e-6, 1e-12);
  y = x;
  scalar().gelu(y.data(), y.size(), true);
  check_truth(y, x, gelu_by_tanh, 4e-6, 1e-7);
  y = x;
  scalar().gelu(y.data(), y.size(), false);
  check_truth(y, x, gelu_by_erf, 1e-6, 1e-6);
  y = x;
  scalar().soft_cap(y.data(), 5.0f, y.size());
  check_truth(
      y, x, [](double v) { return 5 * std::tanh(v / 5); }, 4e-7, 1e-9);
}

TEST_CASE("softmax sums to one, keeps ratios, and ignores what is minus infinity") {
  Random random(test::test_seed());
  for (size_t n : {1, 15, 16, 17, 100, 1000}) {
    const Floats x = random_floats(random, n, 4);
    Floats y = x;
    scalar().softmax(y.data(), n);
    double sum = 0;
    for (float value : x) sum += std::exp(static_cast<double>(value));
    check_truth(
        y, x, [&](double v) { return std::exp(v) / sum; }, 4e-6, 1e-30);
  }
  Floats masked = {1.0f, -INFINITY, 1.0f};
  scalar().softmax(masked.data(), 3);
  CHECK(masked == Floats{0.5f, 0.0f, 0.5f});
}

TEST_CASE("norms give unit scale") {
  Random random(test::test_seed());
  for (size_t n : {1, 5, 64, 100, 896}) {
    const Floats x = random_floats(random, n, 7), weight = random_floats(random, n),
                 bias = random_floats(random, n);
    double squares = 0, sum = 0;
    for (float v : x) squares += static_cast<double>(v) * v, sum += v;
    const double mean = sum / static_cast<double>(n), mean_square = squares / static_cast<double>(n);
    double variance = 0;
    for (float v : x) variance += (v - mean) * (v - mean) / static_cast<double>(n);
    Floats out(n);
    scalar().rms_norm(x.data(), weight.data(), 1e-5f, out.data(), n);
    for (size_t i = 0; i < n; ++i)
      REQUIRE(out[i] == doctest::Approx(x[i] / std::sqrt(mean_square + 1e-5) * weight[i]).epsilon(1e-5));
    scalar().layer_norm(x.data(), weight.data(), bias.data(), 1e-5f, out.data(), n);
    for (size_t i = 0; i < n; ++i)
      REQUIRE(std::fabs(out[i] - ((x[i] - mean) / std::sqrt(variance + 1e-5) * weight[i] + bias[i])) < 2e-4);
  }
}

TEST_CASE("rotation keeps lengths and turns pairs by the angle") {
  for (bool half_split : {false, true}) {
    for (size_t n : {2, 8, 34, 64, 128}) {
      Random random(test::test_seed());
      const Floats x = random_floats(random, n);
      Floats cosines(n / 2), sines(n / 2), y = x;
      for (size_t i = 0; i < n / 2; ++i) {
        cosines[i] = static_cast<float>(std::cos(0.1 * static_cast<double>(i + 1)));
        sines[i] = static_cast<float>(std::sin(0.1 * static_cast<double>(i + 1)));
      }
      scalar().rope(y.data(), cosines.data(), sines.data(), n, half_split);
      for (size_t i = 0; i < n / 2; ++i) {
        const size_t a = half_split ? i : 2 * i, b = half_split ? i + n / 2 : 2 * i + 1;
        REQUIRE(std::fabs(y[a] - (x[a] * cosines[i] - x[b] * sines[i])) < 1e-6);
        REQUIRE(std::fabs(y[b] - (x[a] * sines[i] + x[b] * cosines[i])) < 1e-6);
      }
      for (const KernelSet* set : sets()) {
        Floats z = x;
        set->rope(z.data(), cosines.data(), sines.data(), n, half_split);
        INFO(set->name);
        REQUIRE(same_bits(z, y));
      }
    }
  }
}

TEST_CASE("every instruction set gives scalar's bits in vector maths") {
  Random random(test::test_seed());
  const Floats other = random_floats(random, 2 * 4096, 2);
  const auto in_place = [](auto function) {
    return [function](const KernelSet& set, const Floats& x) {
      Floats y = x;
      function(set, y.data(), y.size());
      return y;
    };
  };
  const float* o = other.data();
  check_same_bits(
      in_place([&](const KernelSet& set, float* x, size_t n) { set.rms_norm(x, o, 1e-5f, x, n); }));
  check_same_bits(
      in_place([&](const KernelSet& set, float* x, size_t n) { set.layer_norm(x, o, o + n, 1e-5f, x, n); }));
  check_same_bits(in_place([&](const KernelSet& set, float* x, size_t n) { set.silu_multiply(x, o, n); }));
  check_same_bits(
      in_place([&](const KernelSet& set, float* x, size_t n) { set.gelu_multiply(x, o, n, true); }));
  check_same_bits(
      in_place([&](const KernelSet& set, float* x, size_t n) { set.gelu_multiply(x, o, n, false); }));
  check_same_bits(in_place([&](const KernelSet& set, float* x, size_t n) { set.gelu(x, n, true); }));
  check_same_bits(in_place([&](const KernelSet& set, float* x, size_t n) { set.add(x, o, n); }));
  check_same_bits(in_place([&](const KernelSet& set, float* x, size_t n) { set.scale(x, 0.37f, n); }));
  check_same_bits(in_place([&](const KernelSet& set, float* x, size_t n) { set.soft_cap(x, 30.0f, n); }));
  check_same_bits(in_place([&](const KernelSet& set, float* x, size_t n) { set.softmax(x, n); }));
}

TEST_CASE("activations become integers within half a step, and their sums are exact") {
  Random random(test::test_seed());
  Floats x = random_floats(random, 32 * 9, 2);
  for (size_t i = 0; i < 32; ++i) x[i] = 0.0f;
  for (size_t i = 32; i < 64; ++i) x[i] = i % 3 == 0 ? -3e37f : 3e37f;
  for (size_t i = 64; i < 96; ++i) x[i] *= 1e-42f;
  for (const KernelSet* set : sets()) {
    std::vector<ActivationBlock> blocks(9), expected(9);
    std::vector<WideActivationBlock> wide(9), wide_expected(9);
    std::memset(static_cast<void*>(blocks.data()), 0, 9 * sizeof(ActivationBlock));
    std::memset(static_cast<void*>(expected.data()), 0, 9 * sizeof(ActivationBlock));
    std::memset(static_cast<void*>(wide.data()), 0, 9 * sizeof(WideActivationBlock));
    std::memset(static_cast<void*>(wide_expected.data()), 0, 9 * sizeof(WideActivationBlock));
    set->quantise(x.data(), x.size(), blocks.data(), 1);
    set->quantise_wide(x.data(), x.size(), wide.data(), 1);
    scalar().quantise(x.data(), x.size(), expected.data(), 1);
    scalar().quantise_wide(x.data(), x.size(), wide_expected.data(), 1);
    INFO(set->name);
    REQUIRE(std::memcmp(blocks.data(), expected.data(), 9 * sizeof(ActivationBlock)) == 0);
    REQUIRE(std::memcmp(wide.data(), wide_expected.data(), 9 * sizeof(WideActivationBlock)) == 0);
    for (size_t i = 0; i < 9; ++i) {
      int sum = 0, wide_sum = 0;
      for (size_t j = 0; j < 32; ++j) {
        const int quant = blocks[i].quants[j], wide_quant = 256 * wide[i].high.quants[j] + wide[i].low[j];
        sum += quant;
        wide_sum += wide_quant;
        if (i == 2) continue;  // denormals: no scale has an inverse
        REQUIRE(std::fabs(static_cast<double>(quant) * blocks[i].scale - x[32 * i + j]) <=
                0.5001 * blocks[i].scale);
        REQUIRE(std::fabs(static_cast<double>(wide_quant) * wide[i].high.scale - x[32 * i + j]) <=
                1.502 * wide[i].high.scale);
      }
      REQUIRE(blocks[i].bias == -128 * sum);
      REQUIRE(blocks[i].half_biases[0] + blocks[i].half_biases[1] == -128 * sum);
      REQUIRE(blocks[i].scaled_sum == blocks[i].scale * static_cast<float>(sum));
      REQUIRE(wide[i].high.bias == -128 * wide_sum);
    }
  }
}

}  // namespace ruvllm::kernels
