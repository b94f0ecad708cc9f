// Training's kernels: scalar against double precision, every other instruction set against scalar to the bit,
// at all lengths around a vector's.
#include <doctest/doctest.h>

#include "base/random.h"
#include "kernels/training.h"
#include "test_support.h"

#include <cmath>
#include <cstring>
#include <functional>
#include <vector>

namespace ruvllm::kernels {
namespace {

using Floats = std::vector<float>;

Floats random_floats(Random& random, size_t n, double spread = 1) {
  Floats values(n);
  for (float& value : values) value = static_cast<float>(random.normal() * spread);
  return values;
}

/// What a kernel may read and write: four rows.
struct Rows {
  Floats a, b, c, d;
  size_t n() const { return a.size(); }
  bool operator==(const Rows& other) const {
    return std::memcmp(a.data(), other.a.data(), 4 * n()) == 0 &&
           std::memcmp(b.data(), other.b.data(), 4 * n()) == 0 &&
           std::memcmp(c.data(), other.c.data(), 4 * n()) == 0 &&
           std::memcmp(d.data(), other.d.data(), 4 * n()) == 0;
  }
};

using Apply = std::function<void(const TrainingKernels&, Rows&)>;

struct Case {
  const char* name;
  Apply apply;
};

constexpr AdamWStep kStep = {.gradient_factor = 0.7f,
                             .beta1 = 0.9f,
                             .beta2 = 0.95f,
                             .correction1 = 1.4f,
                             .correction2 = 2.2f,
                             .epsilon = 1e-8f,
                             .learning_rate = 1e-3f,
                             .decay = 1e-5f};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"dot", [](const auto& k, Rows& r) { r.c[0] = k.dot(r.a.data(), r.b.data(), r.n()); }},
      {"largest", [](const auto& k, Rows& r) { r.c[0] = k.largest(r.a.data(), r.n()); }},
      {"add_scaled", [](const auto& k, Rows& r) { k.add_scaled(r.c.data(), r.a.data(), 0.3f, r.n()); }},
      {"silu", [](const auto& k,
                  Rows& r) { k.activate(Activation::silu, 0, r.a.data(), r.b.data(), r.c.data(), r.n()); }},
      {"gelu", [](const auto& k,
                  Rows& r) { k.activate(Activation::gelu, 0, r.a.data(), nullptr, r.c.data(), r.n()); }},
      {"silu backward",
       [](const auto& k, Rows& r) {
         const Floats dy = r.c;
         k.activate_backward(Activation::silu, 0, r.a.data(), r.b.data(), dy.data(), r.c.data(), r.d.data(),
                             r.n());
       }},
      {"gelu backward",
       [](const auto& k, Rows& r) {
         k.activate_backward(Activation::gelu, 0, r.a.data(), r.b.data(), r.c.data(), r.d.data(), nullptr,
                             r.n());
       }},
      {"soft cap backward",
       [](const auto& k, Rows& r) {
         k.activate_backward(Activation::soft_cap, 3, r.a.data(), nullptr, r.b.data(), r.c.data(), nullptr,
                             r.n());
       }},
      {"exponentials",
       [](const auto& k, Rows& r) { r.d[0] = k.exponentials(r.a.data(), 0.5f, 2, r.c.data(), r.n()); }},
      {"add_exponentials",
       [](const auto& k, Rows& r) { k.add_exponentials(r.c.data(), r.a.data(), 2, 0.3f, r.n()); }},
      {"score_gradient",
       [](const auto& k, Rows& r) {
         k.score_gradient({1.5f, 0.2f, 0.125f, 0.1f}, r.a.data(), r.b.data(), r.n());
       }},
      {"norm_row",
       [](const auto& k, Rows& r) { k.norm_row(r.a.data(), r.b.data(), 0.6f, r.c.data(), r.n()); }},
      {"norm_row_backward",
       [](const auto& k, Rows& r) {
         k.norm_row_backward(r.a.data(), r.b.data(), r.c.data(), 0.6f, r.d.data(), r.n());
       }},
      {"norm_weight_backward",
       [](const auto& k, Rows& r) {
         k.norm_weight_backward(r.a.data(), r.b.data(), 0.6f, r.c.data(), r.n());
       }},
      {"adamw",
       [](const auto& k, Rows& r) {
         for (float& value : r.d) value = std::abs(value);
         k.adamw(kStep, r.a.data(), r.b.data(), r.c.data(), r.d.data(), r.n());
       }},
  };
  return all;
}

}  // namespace

TEST_CASE("every instruction set computes training's rows to the scalar bits, at every length") {
  Random random(test::test_seed());
  size_t n_tables = 0;
  const TrainingKernels* const* tables = available_training(&n_tables);
  for (size_t n = 1; n < 70; ++n) {
    const Rows input{random_floats(random, n, 3), random_floats(random, n), random_floats(random, n),
                     random_floats(random, n)};
    for (const Case& test : cases()) {
      Rows expected = input;
      test.apply(*tables[0], expected);
      CHECK_FALSE(expected == input);
      for (size_t t = 1; t < n_tables; ++t) {
        INFO(test.name, ", table ", t, ", ", n, " values");
        Rows got = input;
        test.apply(*tables[t], got);
        REQUIRE(got == expected);
      }
    }
  }
}

TEST_CASE("activations, their slopes and exponentials are those of double precision") {
  const TrainingKernels& kernels = training();
  Floats x;
  for (float at = -20; at < 20; at += 0.0137f) x.push_back(at);
  const size_t n = x.size();
  const Floats ones(n, 1.0f);
  const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
  const auto check = [&](Activation activation, auto value) {
    Floats values(n), slopes(n, 0.0f);
    kernels.activate(activation, 5.0f, x.data(), nullptr, values.data(), n);
    kernels.activate_backward(activation, 5.0f, x.data(), nullptr, ones.data(), slopes.data(), nullptr, n);
    for (size_t i = 0; i < n; ++i) {
      const double at = x[i], slope = (value(at + 1e-5) - value(at - 1e-5)) / 2e-5;
      INFO("x = ", at);
      REQUIRE(values[i] == doctest::Approx(value(at)).epsilon(1e-6));
      REQUIRE(std::abs(slopes[i] - slope) < 2e-6);
    }
  };
  check(Activation::silu, [&](double v) { return v * sigmoid(v); });
  check(Activation::gelu,
        [](double v) { return 0.5 * v * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v))); });
  check(Activation::soft_cap, [](double v) { return 5 * std::tanh(v / 5); });
  double sum = 0;
  for (const float v : x) sum += std::exp(0.5 * static_cast<double>(v) - 1);
  CHECK(kernels.exponentials(x.data(), 0.5f, 1.0f, nullptr, n) == doctest::Approx(sum).epsilon(1e-6));
}

TEST_CASE("a strip is packed lane by lane, edges filled with zeros, whichever way it lies in memory") {
  Random random(test::test_seed());
  size_t n_sets = 0;
  const KernelSet* const* sets = available(&n_sets);
  for (size_t s = 0; s < n_sets; ++s) {
    for (const bool is_rows : {true, false}) {
      const size_t width = is_rows ? sets[s]->gemm.n_rows : sets[s]->gemm.n_columns;
      const auto pack = is_rows ? training_of(*sets[s]).pack.rows : training_of(*sets[s]).pack.columns;
      for (size_t n_lanes = 1; n_lanes <= width; ++n_lanes)
        for (const size_t n_k : {1u, 15u, 16u, 17u, 32u, 45u})
          for (const bool lies_along_k : {true, false}) {
            const size_t stride = (lies_along_k ? n_k : n_lanes) + 3;
            // Exactly what may be read, so that reading beyond it is caught.
            const Floats data = random_floats(
                random, (lies_along_k ? n_lanes - 1 : n_k - 1) * stride + (lies_along_k ? n_k : n_lanes));
            const size_t lane_stride = lies_along_k ? stride : 1, k_stride = lies_along_k ? 1 : stride;
            constexpr float kGuard = 7;
            Floats strip(n_k * width + 16, kGuard);
            pack({data.data(), lane_stride, k_stride, n_lanes, n_k}, strip.data());
            INFO(sets[s]->name, ", ", n_lanes, " of ", width, " lanes, ", n_k,
                 " steps, along k: ", lies_along_k);
            bool is_right = true;
            for (size_t k = 0; k < n_k; ++k)
              for (size_t lane = 0; lane < width; ++lane)
                is_right &= strip[k * width + lane] ==
                            (lane < n_lanes ? data[lane * lane_stride + k * k_stride] : 0.0f);
            for (size_t i = n_k * width; i < strip.size(); ++i) is_right &= strip[i] == kGuard;
            REQUIRE(is_right);
          }
    }
  }
}

// What kernels/training.h says of a pair, one step after the other.
float add_pair(float sum, const float (&a)[2], const float (&b)[2]) {
  for (const int half : {1, 0}) {
    const float before = sum;
    sum = std::fmaf(a[half], b[half], before);
    const bool is_near = std::fabs(sum) <= 0x1p-126f;  // rounded too far up, perhaps
    if (is_near && std::fabs(std::fmaf(a[half] * 0x1p64f, b[half], before * 0x1p64f)) < 0x1p-62f)
      sum = std::copysign(0.0f, sum);
  }
  return sum;
}

float unpack(float word, int half) {
  uint32_t bits;
  std::memcpy(&bits, &word, sizeof bits);
  bits = half ? bits & 0xFFFF0000u : bits << 16;
  std::memcpy(&word, &bits, sizeof word);
  return word;
}

TEST_CASE("packing for bf16 rounds to nearest even, and keeps infinities and NaN what they are") {
  struct Example {
    uint32_t from, to;
  };
  constexpr Example kExamples[] = {{0x3F800000, 0x3F80}, {0x3F808000, 0x3F80}, {0x3F818000, 0x3F82},
                                   {0x3F808001, 0x3F81}, {0xBF80FFFF, 0xBF81}, {0x7F7FFFFF, 0x7F80},
                                   {0x7F800000, 0x7F80}, {0xFF800000, 0xFF80}, {0x007FFFFF, 0x0000},
                                   {0x807FFFFF, 0x8000}, {0x00000000, 0x0000}, {0x80000000, 0x8000},
                                   {0x00800000, 0x0080}, {0x7F800001, 0x7FC0}, {0x7FFFFFFF, 0x7FFF}};
  size_t n_tables = 0;
  const TrainingKernels* const* tables = available_training(&n_tables);
  for (size_t t = 0; t < n_tables; ++t)
    for (const Example& example : kExamples) {
      float value;
      std::memcpy(&value, &example.from, sizeof value);
      const Floats even = {value, 0.0f}, odd = {0.0f, value};
      Floats strip(tables[t]->gemm_bf16.n_columns);
      uint32_t word;
      INFO("table ", t, ", bits ", example.from);
      tables[t]->pack_bf16.columns({even.data(), 2, 1, 1, 2}, strip.data());
      std::memcpy(&word, strip.data(), sizeof word);
      CHECK(word == example.to);
      tables[t]->pack_bf16.columns({odd.data(), 2, 1, 1, 2}, strip.data());
      std::memcpy(&word, strip.data(), sizeof word);
      CHECK(word == example.to << 16);
      tables[t]->pack_bf16.columns({&value, 1, 1, 1, 1}, strip.data());  // an odd number of steps
      std::memcpy(&word, strip.data(), sizeof word);
      CHECK(word == example.to);
    }
}

TEST_CASE("the tile of bf16 products is the same chain of sums in every instruction set") {
  Random random(test::test_seed());
  size_t n_tables = 0;
  const TrainingKernels* const* tables = available_training(&n_tables);
  constexpr size_t kDepth = 75;
  for (const double spread : {1.0, 1e-19}) {  // the second makes sums below the normal numbers
    for (size_t t = 0; t < n_tables; ++t) {
      const GemmKernel& kernel = tables[t]->gemm_bf16;
      const Floats a = random_floats(random, kDepth * kernel.n_rows, spread);
      const Floats b = random_floats(random, kDepth * kernel.n_columns, spread);
      constexpr size_t kPairs = (kDepth + 1) / 2;
      Floats rows(kPairs * kernel.n_rows), columns(kPairs * kernel.n_columns);
      tables[t]->pack_bf16.rows({a.data(), kDepth, 1, kernel.n_rows, kDepth}, rows.data());
      tables[t]->pack_bf16.columns({b.data(), 1, kernel.n_columns, kernel.n_columns, kDepth}, columns.data());
      Floats c(kernel.n_rows * kernel.n_columns, 0.5f);
      kernel.tile(kPairs, rows.data(), columns.data(), c.data(), kernel.n_columns, false);
      for (size_t i = 0; i < kernel.n_rows; ++i)
        for (size_t j = 0; j < kernel.n_columns; ++j) {
          float sum = 0;
          double truth = 0;
          for (size_t k = 0; k < kDepth; ++k)
            truth += static_cast<double>(a[i * kDepth + k]) * b[k * kernel.n_columns + j];
          for (size_t p = 0; p < kPairs; ++p) {
            const float x = rows[p * kernel.n_rows + i], y = columns[p * kernel.n_columns + j];
            sum = add_pair(sum, {unpack(x, 0), unpack(x, 1)}, {unpack(y, 0), unpack(y, 1)});
          }
          INFO("table ", t, ", element ", i, ", ", j);
          REQUIRE(c[i * kernel.n_columns + j] == sum);
          REQUIRE(std::abs(sum - truth) <= 0.1 * spread * spread + 1e-36);
        }
    }
  }
}

}  // namespace ruvllm::kernels
