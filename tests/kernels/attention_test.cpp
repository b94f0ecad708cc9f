// Attention in f32 and in pairs of bf16: scalar against the textbook in double precision; every instruction
// set, chunk and grouping against scalar to the bit; all stored formats, windows, caps and slopes; weights in
// pairs against exp; what is no number.
#include <doctest/doctest.h>

#include "base/random.h"
#include "kernels/kernels.h"
#include "test_support.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <span>
#include <vector>

namespace ruvllm::kernels {
namespace {

using Floats = std::vector<float>;
using Arguments = KernelSet::AttentionArguments;

constexpr size_t kPage = 64;
constexpr float kScale = 0.125f;

std::span<const KernelSet* const> sets() {
  size_t n = 0;
  const KernelSet* const* rows = available(&n);
  return {rows, n};
}

size_t stored_bytes(KvFormat format, size_t n) {
  switch (format) {
    case KvFormat::f32:
      return 4 * n;
    case KvFormat::f16:
      return 2 * n;
    case KvFormat::q8:
      return n / 32 * 34;
    case KvFormat::q4:
      return n / 32 * 18;
  }
  return 0;
}

/// As they are stored, and back.
void decode(Floats& values, KvFormat format) {
  if (format == KvFormat::f32) return;
  const Format as = format == KvFormat::f16  ? Format::F16
                    : format == KvFormat::q8 ? Format::Q8_0
                                             : Format::Q4_0;
  std::vector<uint8_t> stored(stored_bytes(format, values.size()));
  sets()[0]->store_kv(values.data(), stored.data(), values.size(), format);
  (*sets()[0])[as].decode(stored.data(), values.data(), values.size());
}

float to_bf16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  return std::bit_cast<float>((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000u);
}

struct Case {
  size_t n_keys, n_positions, n_queries, dimension;
  KvFormat format = KvFormat::f32;
  size_t window = 0;
  bool causal = true;
  float soft_cap = 0;
  bool alibi = false;
  float query_size = 1, value_size = 1;
};

/// The last n_positions of n_keys positions attend to the keys before them.
struct Problem {
  Case c;
  Floats queries, keys, values, slopes;
  std::vector<std::vector<uint8_t>> key_memory, value_memory;
  std::vector<const void*> key_pages, value_pages;

  Problem(const Case& of, Random& random) : c(of) {
    const auto fill = [&](Floats& to, size_t n) {
      to.resize(n);
      for (float& value : to) value = static_cast<float>(random.normal());
    };
    fill(queries, c.n_positions * c.n_queries * c.dimension);
    fill(keys, c.n_keys * c.dimension);
    fill(values, c.n_keys * c.dimension);
    for (float& query : queries) query *= c.query_size;
    for (float& value : values) value *= c.value_size;
    for (size_t i = 0; i < c.n_queries; ++i) slopes.push_back(0.25f / static_cast<float>(i + 1));
    store(keys, key_memory, key_pages);
    store(values, value_memory, value_pages);
  }

  /// Pages that are not full end in bytes that are no numbers: nobody may look at them.
  void store(const Floats& from, std::vector<std::vector<uint8_t>>& memory, std::vector<const void*>& pages) {
    const size_t bytes = stored_bytes(c.format, c.dimension);
    memory.resize((c.n_keys + kPage - 1) / kPage);
    for (size_t key = 0; key < c.n_keys; ++key) {
      std::vector<uint8_t>& page = memory[key / kPage];
      if (page.empty()) page.assign(kPage * bytes, 0xFF);
      sets()[0]->store_kv(&from[key * c.dimension], &page[key % kPage * bytes], c.dimension, c.format);
    }
    for (const std::vector<uint8_t>& page : memory) pages.push_back(page.data());
  }

  Floats attend(const KernelSet& set, size_t chunk, bool in_pairs) const {
    Floats out(queries.size(), -77.0f);
    const size_t stride = c.n_queries * c.dimension;
    for (size_t i = 0; i < c.n_positions; i += chunk) {
      const size_t n = std::min(chunk, c.n_positions - i);
      const size_t bytes = stored_bytes(c.format, c.dimension);
      const Arguments arguments = {.queries = &queries[i * stride],
                                   .n_positions = n,
                                   .n_queries = c.n_queries,
                                   .position_stride = stride,
                                   .key_dimension = c.dimension,
                                   .value_dimension = c.dimension,
                                   .key_pages = key_pages.data(),
                                   .value_pages = value_pages.data(),
                                   .page_tokens = kPage,
                                   .key_stride = bytes,
                                   .value_stride = bytes,
                                   .key_format = c.format,
                                   .value_format = c.format,
                                   .in_pairs = in_pairs,
                                   .first_position = c.n_keys - c.n_positions + i,
                                   .window = c.window,
                                   .causal = c.causal,
                                   .n_keys = c.n_keys,
                                   .score_scale = kScale,
                                   .soft_cap = c.soft_cap,
                                   .alibi_slopes = c.alibi ? slopes.data() : nullptr,
                                   .out = &out[i * stride]};
      std::vector<char> scratch(set.attention_scratch_bytes(n, c.n_queries, c.dimension, c.dimension) + 64);
      set.attention(arguments, scratch.data() + (64 - reinterpret_cast<uintptr_t>(scratch.data()) % 64) % 64);
    }
    return out;
  }

  /// The same with numbers that are what pairs make of them.
  Problem rounded() const {
    Problem out = *this;
    decode(out.keys, c.format);
    decode(out.values, c.format);
    for (Floats* numbers : {&out.queries, &out.keys, &out.values})
      for (float& x : *numbers) x = to_bf16(x);
    return out;
  }

  /// One query in double precision: what comes out, and what would if values had no signs.
  struct Truth {
    std::vector<double> out, sizes;
  };
  Truth truth(size_t position, size_t query) const {
    const size_t at = c.n_keys - c.n_positions + position;
    const size_t end = c.causal ? at + 1 : c.n_keys;
    const size_t begin = c.causal && c.window != 0 && end > c.window ? end - c.window : 0;
    const float* q = &queries[(position * c.n_queries + query) * c.dimension];
    std::vector<double> weights;
    double most = -INFINITY, sum = 0;
    for (size_t key = begin; key < end; ++key) {
      double score = 0;
      for (size_t d = 0; d < c.dimension; ++d)
        score += static_cast<double>(q[d]) * keys[key * c.dimension + d];
      score *= kScale;
      if (c.soft_cap != 0) score = c.soft_cap * std::tanh(score / c.soft_cap);
      if (c.alibi) score -= slopes[query] * static_cast<double>(at - key);
      weights.push_back(score);
      most = std::max(most, score);
    }
    for (double& weight : weights) sum += weight = std::exp(weight - most);
    Truth truth = {std::vector<double>(c.dimension), std::vector<double>(c.dimension)};
    for (size_t key = begin; key < end; ++key)
      for (size_t d = 0; d < c.dimension; ++d) {
        const double part = weights[key - begin] / sum * values[key * c.dimension + d];
        truth.out[d] += part;
        truth.sizes[d] += std::fabs(part);
      }
    return truth;
  }

  /// Compares `out` with the truth, output by output: of size s, within absolute + relative * s, and what
  /// products and sums lose that are below the normal numbers.
  void check(const Floats& out, double absolute, double relative) const {
    for (size_t position = 0; position < c.n_positions; ++position)
      for (size_t query = 0; query < c.n_queries; ++query) {
        const Truth expected = truth(position, query);
        for (size_t d = 0; d < c.dimension; ++d) {
          INFO(c.n_keys, " keys, position ", position, ", query ", query, ", dimension ", d);
          REQUIRE(std::fabs(out[(position * c.n_queries + query) * c.dimension + d] - expected.out[d]) <
                  absolute * c.value_size + static_cast<double>(c.n_keys) * 0x1p-125 +
                      relative * expected.sizes[d]);
        }
      }
  }
};

bool same_bits(const Floats& a, const Floats& b) {
  return std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

const Case kCases[] = {
    {1, 1, 1, 8},
    {63, 63, 2, 8},
    {130, 70, 3, 24},
    {65, 65, 7, 64},
    {200, 9, 4, 128, KvFormat::f16},
    {150, 100, 4, 64, KvFormat::f16, 50},
    {300, 20, 2, 32, KvFormat::f32, 70},
    {129, 129, 1, 80, KvFormat::f16, 0, false},
    {100, 50, 2, 64, KvFormat::f32, 0, true, 5.0f},
    {140, 90, 3, 40, KvFormat::f16, 0, true, 0, true},
    {100, 30, 4, 64, KvFormat::q8},
    {100, 30, 4, 96, KvFormat::q4},
    {90, 20, 2, 7},
    {150, 9, 3, 33, KvFormat::f16, 3},
    {129, 10, 2, 64, KvFormat::q8, 0, false},
    // Weights down to the smallest normal numbers, whose products with values are less.
    {200, 20, 3, 48, KvFormat::f32, 0, true, 0, false, 30.0f, 1e-4f},
    {130, 20, 3, 16, KvFormat::f32, 0, true, 0, false, 30.0f, 1e-37f},
};

}  // namespace

TEST_CASE("attention is the softmax of scores times values") {
  Random random(test::test_seed());
  for (const Case& c : kCases) {
    const Problem problem(c, random);
    const double tolerance = c.format == KvFormat::f32   ? 1e-5 * c.query_size
                             : c.format == KvFormat::f16 ? 3e-3
                             : c.format == KvFormat::q8  ? 0.02
                                                         : 0.3;
    problem.check(problem.attend(*sets()[0], c.n_positions, false), tolerance, 0);
  }
}

TEST_CASE("attention in pairs is that of numbers rounded to bf16, whose weights are rounded") {
  // A weight is off by a factor within 1 + 2^-8, its part of their total as well.
  const double from_weights = 0x1.02p-7;
  Random random(test::test_seed());
  for (const Case& c : kCases) {
    const Problem problem(c, random);
    problem.rounded().check(problem.attend(*sets()[0], c.n_positions, true), 1e-5 * c.query_size,
                            from_weights);
  }
}

TEST_CASE("attention has the same bits in every instruction set and for any chunk of positions") {
  Random random(test::test_seed());
  for (const Case& c : kCases) {
    const Problem problem(c, random);
    for (const bool in_pairs : {false, true}) {
      const Floats expected = problem.attend(*sets()[0], 1, in_pairs);
      for (const KernelSet* set : sets())
        for (size_t chunk : {size_t{1}, size_t{7}, c.n_positions}) {
          INFO(set->name, in_pairs ? ", in pairs, " : ", ", c.n_keys, " keys, ", c.n_queries,
               " queries, chunks of ", chunk);
          REQUIRE(same_bits(problem.attend(*set, chunk, in_pairs), expected));
        }
    }
  }
}

TEST_CASE("weights in pairs are exp, rounded to bf16") {
  // One query of ones and values that are unit vectors: what comes out are weights, divided by their total.
  // Keys are two bf16 numbers whose sum, the score, is exact.
  constexpr double kRoughness = 0x1p-17;  // of lanes/maths.h's rough_exponential
  constexpr size_t kKeys = 64;
  Random random(test::test_seed());
  for (int repetition = 0; repetition < 50; ++repetition) {
    Problem problem({.n_keys = kKeys, .n_positions = 1, .n_queries = 1, .dimension = kKeys}, random);
    std::fill(problem.queries.begin(), problem.queries.end(), 1 / kScale);
    Floats keys(kKeys * kKeys), values(kKeys * kKeys);
    for (size_t key = 0; key < kKeys; ++key) {
      const float score = -80 * std::pow(random.uniform(), 2.0f);
      float* of_key = &keys[key * kKeys];
      of_key[0] = key == 0 ? 0 : key == 1 ? -INFINITY : key == 2 ? -1e6f : to_bf16(score);
      of_key[1] = key < 3 ? 0 : to_bf16(score - of_key[0]);
      values[key * kKeys + key] = 1;
    }
    std::memcpy(problem.key_memory[0].data(), keys.data(), keys.size() * sizeof(float));
    std::memcpy(problem.value_memory[0].data(), values.data(), values.size() * sizeof(float));
    const Floats out = problem.attend(*sets()[0], 1, true);
    CHECK(out[1] == 0.0f);
    CHECK(out[2] == 0.0f);
    for (size_t key = 3; key < kKeys; ++key) {
      const double score = static_cast<double>(keys[key * kKeys]) + keys[key * kKeys + 1];
      const double weight = static_cast<double>(out[key]) / out[0];
      INFO("score ", score, ": ", weight);
      const auto rounded = [&](double factor) {
        return to_bf16(static_cast<float>(std::exp(score) * factor));
      };
      REQUIRE(weight >= rounded(1 - kRoughness) * (1 - 0x1p-22));
      REQUIRE(weight <= rounded(1 + kRoughness) * (1 + 0x1p-22));
    }
    for (const KernelSet* set : sets()) {
      INFO(set->name);
      REQUIRE(same_bits(problem.attend(*set, 1, true), out));
    }
  }
}

TEST_CASE("what is no number among keys and values is none in pairs either, in every instruction set") {
  constexpr size_t kKey = 70;
  Random random(test::test_seed());
  for (KvFormat format : {KvFormat::f32, KvFormat::f16, KvFormat::q8, KvFormat::q4})
    for (const uint32_t half : {0x7E00u, 0x7C01u, 0x7FFFu, 0xFFFFu, 0x7C00u, 0xFC00u})
      for (const bool is_key : {true, false}) {
        const bool is_nan = (half & 0x3FF) != 0, is_f32 = format == KvFormat::f32;
        const Case c = {100, 40, 2, 64, format};
        Problem problem(c, random);
        const uint32_t wide =
            (half & 0x8000) << 16 | 0x7F800000u | (half & 0x3FF) << 13 | (half == 0x7FFF ? 0x1FFF : 0);
        // The first value of a vector, or the first block's scale.
        uint8_t* at = (is_key ? problem.key_memory : problem.value_memory)[kKey / kPage].data() +
                      kKey % kPage * stored_bytes(format, c.dimension);
        std::memcpy(at, is_f32 ? &wide : &half, is_f32 ? 4 : 2);  // little-endian
        const Floats expected = problem.attend(*sets()[0], c.n_positions, true);
        const size_t first = (kKey - (c.n_keys - c.n_positions)) * c.n_queries;  // row that sees the key
        const size_t n_spoilt = is_key ? c.dimension : is_f32 || format == KvFormat::f16 ? 1 : 32;
        for (size_t row = first; is_nan && row < c.n_positions * c.n_queries; ++row)
          for (size_t d = 0; d < c.dimension; ++d)
            REQUIRE(std::isnan(expected[row * c.dimension + d]) == (d < n_spoilt));
        for (const KernelSet* set : sets()) {
          const Floats out = problem.attend(*set, c.n_positions, true);
          INFO(set->name, ", format ", static_cast<int>(format), ", ", half,
               is_key ? " in keys" : " in values");
          for (size_t i = 0; i < out.size(); ++i)
            REQUIRE((std::isnan(expected[i]) ? std::isnan(out[i]) : out[i] == expected[i]));
        }
      }
}

TEST_CASE("keys and values are stored alike by every instruction set") {
  Random random(test::test_seed());
  Floats x(96);
  for (float& value : x) value = static_cast<float>(random.normal() * 100);
  x[0] = 1e-6f, x[1] = 70000.0f, x[2] = -0.0f;
  for (KvFormat format : {KvFormat::f32, KvFormat::f16, KvFormat::q8, KvFormat::q4}) {
    std::vector<uint8_t> expected(stored_bytes(format, 96));
    sets()[0]->store_kv(x.data(), expected.data(), 96, format);
    for (const KernelSet* set : sets()) {
      std::vector<uint8_t> stored(expected.size());
      set->store_kv(x.data(), stored.data(), 96, format);
      CHECK(stored == expected);
    }
  }
}

}  // namespace ruvllm::kernels
