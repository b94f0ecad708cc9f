// Attention in f32 and in integers: scalar against the textbook in double precision; every instruction set,
// chunk and grouping against scalar to the bit; all stored formats, windows, caps and slopes; weights in
// integers against exp; what is no number; vectors in q16.
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
    case KvFormat::q16:
      return 2 * n;
    case KvFormat::q8:
      return n / 32 * 34;
    case KvFormat::q4:
      return n / 32 * 18;
  }
  return 0;
}

size_t page_bytes(KvFormat format, size_t n) {
  return kv_scales_bytes(format, kPage) + kPage * stored_bytes(format, n);
}

/// Vectors of n as they are stored in q16, and back.
void round_q16(Floats& values, size_t n, KvRole role) {
  std::vector<int16_t> integers(n);
  for (size_t i = 0; i < values.size(); i += n) {
    float scale = 0;
    sets()[0]->store_kv(&values[i], n, KvFormat::q16, role, integers.data(), &scale);
    for (size_t d = 0; d < n; ++d) values[i + d] = scale * static_cast<float>(integers[d]);
  }
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
    store(keys, KvRole::key, key_memory, key_pages);
    store(values, KvRole::value, value_memory, value_pages);
  }

  /// Pages that are not full end in bytes that are no numbers: nobody may look at them.
  void store(const Floats& from, KvRole role, std::vector<std::vector<uint8_t>>& memory,
             std::vector<const void*>& pages) {
    memory.resize((c.n_keys + kPage - 1) / kPage);
    for (size_t key = 0; key < c.n_keys; ++key) {
      std::vector<uint8_t>& page = memory[key / kPage];
      if (page.empty()) page.assign(page_bytes(c.format, c.dimension), 0xFF);
      sets()[0]->store_kv(&from[key * c.dimension], c.dimension, c.format, role, vector_at(page, key),
                          reinterpret_cast<float*>(page.data()) + key % kPage);
    }
    for (const std::vector<uint8_t>& page : memory) pages.push_back(page.data());
  }

  uint8_t* vector_at(std::vector<uint8_t>& page, size_t key) const {
    return page.data() + kv_scales_bytes(c.format, kPage) + key % kPage * stored_bytes(c.format, c.dimension);
  }

  Floats attend(const KernelSet& set, size_t chunk, bool in_integers) const {
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
                                   .in_integers = in_integers,
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

  /// The same with numbers that are what q16 makes of them.
  Problem rounded() const {
    Problem out = *this;
    round_q16(out.queries, c.dimension, KvRole::key);
    round_q16(out.keys, c.dimension, KvRole::key);
    round_q16(out.values, c.dimension, KvRole::value);
    return out;
  }

  /// One query in double precision: what comes out, what would if values had no signs, and how far it may be
  /// off where each weight times its value's largest is rounded to halves of 1 / 8191 of the most in its
  /// block.
  struct Truth {
    std::vector<double> out, sizes, roundings;
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
    Truth truth = {std::vector<double>(c.dimension), std::vector<double>(c.dimension),
                   std::vector<double>(c.dimension)};
    std::vector<double> largest, block_most((end + 63) / 64);  // of a value; of weight times that
    for (size_t key = begin; key < end; ++key) {
      double most_value = 0;
      for (size_t d = 0; d < c.dimension; ++d)
        most_value = std::max(most_value, std::fabs(static_cast<double>(values[key * c.dimension + d])));
      largest.push_back(most_value);
      double& of_block = block_most[key / 64];
      of_block = std::max(of_block, weights[key - begin] / sum * most_value);
    }
    for (size_t key = begin; key < end; ++key)
      for (size_t d = 0; d < c.dimension; ++d) {
        const double value = values[key * c.dimension + d], part = weights[key - begin] / sum * value;
        truth.out[d] += part;
        truth.sizes[d] += std::fabs(part);
        if (value != 0)
          truth.roundings[d] += 0.5 / 8191 * block_most[key / 64] * std::fabs(value) / largest[key - begin];
      }
    return truth;
  }

  /// Compares `out` with the truth, output by output: of size s, within absolute + relative * s + roundings,
  /// where weights were rounded, and what products and sums lose that are below the normal numbers.
  void check(const Floats& out, double absolute, double relative, bool are_rounded) const {
    for (size_t position = 0; position < c.n_positions; ++position)
      for (size_t query = 0; query < c.n_queries; ++query) {
        const Truth expected = truth(position, query);
        for (size_t d = 0; d < c.dimension; ++d) {
          INFO(c.n_keys, " keys, position ", position, ", query ", query, ", dimension ", d);
          REQUIRE(std::fabs(out[(position * c.n_queries + query) * c.dimension + d] - expected.out[d]) <
                  absolute * c.value_size + static_cast<double>(c.n_keys) * 0x1p-125 +
                      relative * expected.sizes[d] + (are_rounded ? expected.roundings[d] : 0.0));
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
    {200, 9, 4, 128, KvFormat::q16},
    {150, 100, 4, 64, KvFormat::q16, 50},
    {300, 20, 2, 32, KvFormat::f32, 70},
    {129, 129, 1, 80, KvFormat::q16, 0, false},
    {100, 50, 2, 64, KvFormat::f32, 0, true, 5.0f},
    {140, 90, 3, 40, KvFormat::q16, 0, true, 0, true},
    {100, 30, 4, 64, KvFormat::q8},
    {100, 30, 4, 96, KvFormat::q4},
    {90, 20, 2, 7},
    {150, 9, 3, 33, KvFormat::q16, 3},
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
                             : c.format == KvFormat::q16 ? 2e-3
                             : c.format == KvFormat::q8  ? 0.02
                                                         : 0.3;
    problem.check(problem.attend(*sets()[0], c.n_positions, false), tolerance, 0, false);
  }
}

TEST_CASE("attention in integers is that of vectors in q16, whose weights are rounded") {
  const double from_exponentials = 0x1p-16;  // of a weight, and of their total
  Random random(test::test_seed());
  for (Case c : kCases) {
    c.format = KvFormat::q16;
    const Problem problem(c, random);
    problem.rounded().check(problem.attend(*sets()[0], c.n_positions, true), 1e-5 * c.query_size,
                            from_exponentials, true);
  }
}

TEST_CASE("attention has the same bits in every instruction set and for any chunk of positions") {
  Random random(test::test_seed());
  for (const Case& c : kCases) {
    const Problem problem(c, random);
    for (const bool in_integers : {false, true}) {
      if (in_integers && c.format != KvFormat::q16) continue;
      const Floats expected = problem.attend(*sets()[0], 1, in_integers);
      for (const KernelSet* set : sets())
        for (size_t chunk : {size_t{1}, size_t{7}, c.n_positions}) {
          INFO(set->name, in_integers ? ", in integers, " : ", ", c.n_keys, " keys, ", c.n_queries,
               " queries, chunks of ", chunk);
          REQUIRE(same_bits(problem.attend(*set, chunk, in_integers), expected));
        }
    }
  }
}

TEST_CASE("weights in integers are exp, rounded to parts of the largest") {
  // One query and keys of one number, which q16 holds, and values that are unit vectors: what comes out are
  // weights, divided by their total.
  constexpr double kRoughness = 0x1p-17;  // of lanes/maths.h's rough_exponential
  constexpr size_t kKeys = 64;
  Random random(test::test_seed());
  for (int repetition = 0; repetition < 50; ++repetition) {
    Problem problem(
        {.n_keys = kKeys, .n_positions = 1, .n_queries = 1, .dimension = kKeys, .format = KvFormat::q16},
        random);
    std::fill(problem.queries.begin(), problem.queries.end(), 0.0f);
    problem.queries[0] = 1 / kScale;
    Floats keys(kKeys * kKeys), values(kKeys * kKeys);
    for (size_t key = 0; key < kKeys; ++key) {
      const auto part = static_cast<float>(random.uniform());
      keys[key * kKeys] = key == 0 ? 0.0f : key == 1 ? -1e6f : -20 * part * part;
      values[key * kKeys + key] = 1;
    }
    problem.key_memory.clear(), problem.value_memory.clear();
    problem.key_pages.clear(), problem.value_pages.clear();
    problem.store(keys, KvRole::key, problem.key_memory, problem.key_pages);
    problem.store(values, KvRole::value, problem.value_memory, problem.value_pages);
    const Floats out = problem.attend(*sets()[0], 1, true);
    CHECK(out[1] == 0.0f);
    for (size_t key = 2; key < kKeys; ++key) {
      const double truth = std::exp(static_cast<double>(keys[key * kKeys]));
      const double weight = static_cast<double>(out[key]) / out[0];
      INFO("score ", keys[key * kKeys], ": ", weight, ", expected ", truth);
      REQUIRE(std::fabs(weight - truth) <= 0.5 / 8191 + truth * (kRoughness + 1e-5));
    }
    for (const KernelSet* set : sets()) {
      INFO(set->name);
      REQUIRE(same_bits(problem.attend(*set, 1, true), out));
    }
  }
}

TEST_CASE("what is no number among keys and values is none in any row that sees it, in every column") {
  constexpr size_t kKey = 70;
  Random random(test::test_seed());
  for (KvFormat format : {KvFormat::f32, KvFormat::q16, KvFormat::q8, KvFormat::q4})
    for (const uint32_t half : {0x7E00u, 0x7C01u, 0x7FFFu, 0xFFFFu, 0x7C00u, 0xFC00u})
      for (const bool is_key : {true, false}) {
        const bool is_nan = (half & 0x3FF) != 0, is_f32 = format == KvFormat::f32;
        const bool in_integers = format == KvFormat::q16;
        const Case c = {100, 40, 2, 64, format};
        Problem problem(c, random);
        const uint32_t wide =
            (half & 0x8000) << 16 | 0x7F800000u | (half & 0x3FF) << 13 | (half == 0x7FFF ? 0x1FFF : 0);
        std::vector<uint8_t>& page = (is_key ? problem.key_memory : problem.value_memory)[kKey / kPage];
        if (in_integers) {  // as it comes into the cache
          float* x = &(is_key ? problem.keys : problem.values)[kKey * c.dimension];
          std::memcpy(x + 3, &wide, 4);
          sets()[0]->store_kv(x, c.dimension, format, is_key ? KvRole::key : KvRole::value,
                              problem.vector_at(page, kKey),
                              reinterpret_cast<float*>(page.data()) + kKey % kPage);
        } else {  // the first value of a vector, or the first block's scale; little-endian
          std::memcpy(problem.vector_at(page, kKey), is_f32 ? &wide : &half, is_f32 ? 4 : 2);
        }
        const Floats expected = problem.attend(*sets()[0], c.n_positions, in_integers);
        const size_t first = (kKey - (c.n_keys - c.n_positions)) * c.n_queries;  // row that sees the key
        const size_t n_spoilt = is_key || in_integers ? c.dimension : is_f32 ? 1 : 32;
        for (size_t row = 0; (is_nan || in_integers) && row < c.n_positions * c.n_queries; ++row)
          for (size_t d = 0; d < c.dimension; ++d)
            if (row >= first || in_integers)
              REQUIRE(std::isnan(expected[row * c.dimension + d]) == (row >= first && d < n_spoilt));
        for (const KernelSet* set : sets()) {
          const Floats out = problem.attend(*set, c.n_positions, in_integers);
          INFO(set->name, ", format ", static_cast<int>(format), ", ", half,
               is_key ? " in keys" : " in values");
          for (size_t i = 0; i < out.size(); ++i)
            REQUIRE((std::isnan(expected[i]) ? std::isnan(out[i]) : out[i] == expected[i]));
        }
      }
}

TEST_CASE("vectors in q16 are near, and no sum of their products overflows") {
  Random random(test::test_seed());
  for (const size_t n : {1u, 2u, 7u, 64u, 128u, 256u, 1000u})
    for (const double outlier : {1.0, 50.0, 1e4}) {
      Floats x(n);
      for (float& value : x) value = static_cast<float>(random.normal() * 1e-3);
      x[n / 2] *= static_cast<float>(outlier);
      for (const KvRole role : {KvRole::key, KvRole::value}) {
        std::vector<int16_t> integers(n);
        float scale = 0;
        sets()[0]->store_kv(x.data(), n, KvFormat::q16, role, integers.data(), &scale);
        double squares = 0;
        for (size_t i = 0; i < n; ++i) {
          squares += static_cast<double>(integers[i]) * integers[i];
          REQUIRE(std::abs(integers[i]) <= (role == KvRole::key ? 32767 : 4095));
          REQUIRE(std::fabs(scale * static_cast<double>(integers[i]) - x[i]) <= 0.501 * scale);
        }
        if (role == KvRole::key) CHECK(squares < 0x1p31);
      }
    }
  CHECK(64.0 * 4095 * 8191 < 0x1p31);
}

TEST_CASE("keys and values are stored alike by every instruction set") {
  Random random(test::test_seed());
  Floats x(96);
  for (float& value : x) value = static_cast<float>(random.normal() * 100);
  x[0] = 1e-6f, x[1] = 70000.0f, x[2] = -0.0f;
  for (KvFormat format : {KvFormat::f32, KvFormat::q16, KvFormat::q8, KvFormat::q4})
    for (const KvRole role : {KvRole::key, KvRole::value})
      for (const size_t n : {size_t{96}, size_t{77}}) {
        if (n % 32 != 0 && (format == KvFormat::q8 || format == KvFormat::q4)) continue;
        std::vector<uint8_t> expected(stored_bytes(format, n));
        float expected_scale = 0;
        sets()[0]->store_kv(x.data(), n, format, role, expected.data(), &expected_scale);
        for (const KernelSet* set : sets()) {
          std::vector<uint8_t> stored(expected.size());
          float scale = 0;
          set->store_kv(x.data(), n, format, role, stored.data(), &scale);
          CHECK(stored == expected);
          CHECK(scale == expected_scale);
        }
      }
}

}  // namespace ruvllm::kernels
