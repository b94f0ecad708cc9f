#include "sample/sampler.h"

#include "base/error.h"
#include "test_support.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace ruvllm::sample {
namespace {

SamplingParameters plain(float temperature) {
  SamplingParameters p;
  p.temperature = temperature;
  p.top_p = 1;
  p.repeat_penalty = 1;
  return p;
}

std::vector<int> draw_often(const SamplingParameters& parameters, const std::vector<float>& logits, int n) {
  Sampler sampler(parameters, static_cast<int32_t>(logits.size()));
  std::vector<int> counts(logits.size());
  for (int i = 0; i < n; ++i) {
    std::vector<float> copy = logits;
    ++counts[static_cast<size_t>(sampler.sample(copy))];
  }
  return counts;
}

std::vector<double> softmax(const std::vector<float>& logits, double temperature) {
  std::vector<double> p;
  for (const float logit : logits) p.push_back(std::exp(logit / temperature));
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& value : p) value /= sum;
  return p;
}

/// Pearson's statistic, and whether it is below the 1e-6 point of its distribution (Wilson and Hilferty
/// 1931).
bool fits(const std::vector<int>& counts, const std::vector<double>& wanted) {
  const double n = std::accumulate(counts.begin(), counts.end(), 0);
  double chi2 = 0;
  int degrees = -1;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (wanted[i] == 0) {
      if (counts[i] != 0) return false;
      continue;
    }
    const double expected = n * wanted[i];
    chi2 += (counts[i] - expected) * (counts[i] - expected) / expected;
    ++degrees;
  }
  const double k = 2.0 / (9.0 * degrees), z = 4.75;
  return chi2 < degrees * std::pow(1 - k + z * std::sqrt(k), 3);
}

const std::vector<float> kLogits = {1.0f, 0.5f, -1.0f, 2.0f, 0.0f, 1.5f, -0.5f, 0.25f};

/// The distribution where only `kept` remain.
std::vector<double> only(std::vector<double> p, const std::vector<size_t>& kept) {
  double sum = 0;
  for (const size_t i : kept) sum += p[i];
  for (size_t i = 0; i < p.size(); ++i) p[i] = std::ranges::find(kept, i) == kept.end() ? 0 : p[i] / sum;
  return p;
}

}  // namespace

TEST_CASE("draws follow the softmax at each temperature (chi-squared)") {
  for (const float temperature : {0.5f, 1.0f, 2.0f}) {
    SamplingParameters p = plain(temperature);
    p.seed = test::test_seed();
    CHECK(fits(draw_often(p, kLogits, 200'000), softmax(kLogits, temperature)));
    // The test can fail: a neighbouring temperature is told apart.
    CHECK_FALSE(fits(draw_often(p, kLogits, 200'000), softmax(kLogits, temperature * 1.05)));
  }
}

TEST_CASE("filters keep exactly the tokens they should, and their proportions (chi-squared)") {
  const std::vector<double> all =
      softmax(kLogits, 1.0);  // in order: 3 .38, 5 .23, 0 .14, 1 .084, 7 .066, 4, 6, 2
  SamplingParameters p = plain(1.0f);
  SUBCASE("top-k") {
    p.top_k = 3;
    CHECK(fits(draw_often(p, kLogits, 100'000), only(all, {3, 5, 0})));
  }
  SUBCASE("top-p") {
    p.top_p = 0.7f;
    CHECK(fits(draw_often(p, kLogits, 100'000), only(all, {3, 5, 0})));
  }
  SUBCASE("min-p") {
    p.min_p = 0.2f;  // of .38: .076
    CHECK(fits(draw_often(p, kLogits, 100'000), only(all, {3, 5, 0, 1})));
  }
  SUBCASE("all three") {
    p.top_k = 5;
    p.top_p = 0.9f;
    p.min_p = 0.3f;
    CHECK(fits(draw_often(p, kLogits, 100'000), only(all, {3, 5, 0})));
  }
}

TEST_CASE("greedy takes the largest logit and the lowest id on ties") {
  const float inf = std::numeric_limits<float>::infinity();
  const auto greedy = [](std::vector<float> logits) {
    Sampler sampler(plain(0), static_cast<int32_t>(logits.size()));
    return sampler.sample(logits);
  };
  CHECK(greedy({1, 3, 3, 2}) == 1);
  CHECK(greedy({-inf, -inf, -5}) == 2);
}

TEST_CASE("a logit that is no number is refused at every temperature, wherever it stands") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  for (const float temperature : {0.0f, 1.0f}) {
    const auto refuses = [&](std::vector<float> logits, const std::string& message) {
      Sampler sampler(plain(temperature), static_cast<int32_t>(logits.size()));
      CHECK_THROWS_WITH_AS(sampler.sample(logits), message.c_str(), Error);
    };
    refuses({1, nan, 2}, "the logit of token 1 is NaN");
    refuses({nan, nan}, "the logit of token 0 is NaN");
    refuses({-inf, 0, inf}, "the logit of token 2 is an infinity");
    refuses({-inf, -inf}, "the largest logit is an infinity");
  }
}

TEST_CASE("hostile logits never crash a draw, and impossible tokens are never drawn") {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<std::vector<float>> hostile = {
      {3e38f, -3e38f, 0}, {-3e38f, 0, -inf}, {-inf, -3e38f, -inf}, {1e-45f, 0, 1e-45f}};
  for (const auto& logits : hostile)
    for (const float temperature : {1e-6f, 1.0f, 1e6f})
      for (const float top_p : {1e-6f, 0.5f, 1.0f}) {
        SamplingParameters p = plain(temperature);
        p.top_p = top_p;
        p.min_p = 0.05f;
        p.repeat_penalty = 1.3f;
        Sampler sampler(p, 3);
        sampler.accept(0);
        std::vector<float> copy = logits;
        const int32_t token = sampler.sample(copy);
        CHECK(token >= 0);
        CHECK(token < 3);
      }
  const std::vector<int> counts = draw_often(plain(1), {-inf, 0, -inf, 0}, 1000);
  CHECK(counts[0] == 0);
  CHECK(counts[2] == 0);
}

TEST_CASE("forbidden tokens are never chosen, however likely") {
  const std::vector<int32_t> forbidden = {1, 4};
  for (const float temperature : {0.0f, 1.0f}) {
    Sampler sampler(plain(temperature), 5, forbidden);
    for (int i = 0; i < 100; ++i) {
      std::vector<float> logits = {1, 50, 2, 1, 60};
      const int32_t token = sampler.sample(logits);
      CHECK((token != 1 && token != 4));
      if (temperature == 0) CHECK(token == 2);
    }
  }
}

TEST_CASE("the repetition penalty sees each of the last tokens once") {
  SamplingParameters p = plain(0);
  p.repeat_penalty = 2;
  p.repeat_last = 2;
  Sampler sampler(p, 4);
  for (const int32_t token : {3, 0, 1, 1}) sampler.accept(token);
  std::vector<float> logits = {4, 3, -1, 1};
  CHECK(sampler.sample(logits) == 0);
  CHECK(logits == std::vector<float>{4, 1.5f, -1, 1});
  sampler.accept(2);
  logits = {0, 3, -1, -1.5f};
  CHECK(sampler.sample(logits) == 1);
  CHECK(logits == std::vector<float>{0, 1.5f, -2, -1.5f});
}

TEST_CASE("a seed gives the same tokens everywhere") {
  SamplingParameters p;
  p.seed = 42;
  std::vector<float> logits(1000);
  Random random(7);
  for (float& logit : logits) logit = static_cast<float>(random.normal() * 3);
  Sampler sampler(p, 1000);
  std::vector<int32_t> tokens;
  for (int i = 0; i < 12; ++i) {
    std::vector<float> copy = logits;
    tokens.push_back(sampler.sample(copy));
    sampler.accept(tokens.back());
  }
  CHECK(tokens == std::vector<int32_t>{168, 783, 248, 991, 213, 257, 107, 475, 481, 52, 786, 168});
}

TEST_CASE("parameters out of range are refused by name") {
  const auto refuses = [](auto change) {
    SamplingParameters p;
    change(p);
    CHECK_THROWS_AS(Sampler(p, 10), Error);
  };
  refuses([](auto& p) { p.temperature = -1; });
  refuses([](auto& p) { p.temperature = std::nanf(""); });
  refuses([](auto& p) { p.top_p = 0; });
  refuses([](auto& p) { p.top_p = 1.5f; });
  refuses([](auto& p) { p.top_k = -1; });
  refuses([](auto& p) { p.min_p = 1.5f; });
  refuses([](auto& p) { p.repeat_penalty = 0; });
  refuses([](auto& p) { p.repeat_last = -1; });
}

}  // namespace ruvllm::sample
