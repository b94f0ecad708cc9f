#include "quant/incoherence.h"

#include <doctest/doctest.h>

#include "base/random.h"
#include "test_support.h"

#include <cmath>
#include <cstring>
#include <vector>

namespace ruvllm::quant {
namespace {

struct Subject {
  format::ModelFile model;
  std::vector<Choice> choices;

  void add(const std::string& name, std::vector<float> values, uint64_t n_columns) {
    auto& bytes = model.made.emplace_back(values.size() * sizeof(float));
    std::memcpy(bytes.data(), values.data(), bytes.size());
    model.tensors.push_back({name, Format::F32, {n_columns, values.size() / n_columns}, bytes});
    choices.push_back({Format::PIQ3, {}, true, false});
  }
};

}  // namespace

TEST_CASE("matrices with outlying columns are rotated, Gaussian ones are not") {
  Random random(test::test_seed());
  constexpr uint64_t n = 512, n_rows = 64;
  Subject subject;
  std::vector<float> gaussian(n * n_rows), outlying(n * n_rows);
  for (size_t i = 0; i < gaussian.size(); ++i) {
    gaussian[i] = static_cast<float>(random.normal());
    outlying[i] = static_cast<float>(random.normal() * (i % 97 == 3 ? 12.0 : 1.0));
  }
  subject.add("gaussian", gaussian, n);
  subject.add("outlying", outlying, n);
  ThreadPool pool(2);
  const auto own = choose_own_formats(subject.model, subject.choices, {}, {}, {true, true}, pool, {});
  CHECK(own.rotated.size() == 1);
  CHECK(own.rotated.contains("outlying"));
  CHECK(own.codebooks.size() == 2);
  const auto plain = choose_own_formats(subject.model, subject.choices, {}, {}, {}, pool, {});
  CHECK(plain.rotated.empty());
  CHECK(plain.codebooks.empty());
}

TEST_CASE("a rotated Hessian costs a rotated error what the plain one costs a plain error") {
  Random random(test::test_seed());
  constexpr uint64_t n = 48;  // three blocks of 16
  Hessian hessian{n, std::vector<float>(n * n, 0.0f)};
  for (int sample = 0; sample < 100; ++sample) {
    std::vector<float> x(n);
    for (float& value : x) value = static_cast<float>(random.normal());
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < n; ++j) hessian.sums[i * n + j] += x[i] * x[j];
  }
  const tensor::Rotation rotation(11, n);
  const Hessian rotated = rotate_hessian(hessian, rotation);
  std::vector<float> error(n);
  for (float& value : error) value = static_cast<float>(random.normal());
  const double cost = hessian.cost_of(error);
  std::vector<float> importance(n);
  for (size_t i = 0; i < n; ++i) importance[i] = hessian.sums[i * n + i];
  rotation.apply(error);
  CHECK(rotated.cost_of(error) == doctest::Approx(cost).epsilon(1e-4));
  // The diagonal where inputs don't depend on each other: the mean over each block.
  rotate_importance(rotation, importance);
  CHECK(importance[0] == importance[15]);
  CHECK(importance[16] != importance[15]);
}

}  // namespace ruvllm::quant
