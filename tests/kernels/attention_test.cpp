// Attention: scalar against the textbook in double precision; every instruction set, chunk and grouping
// against scalar to the bit; all stored formats, windows, caps and slopes.
#include <doctest/doctest.h>

#include "base/random.h"
#include "kernels/kernels.h"
#include "test_support.h"

#include <cmath>
#include <cstring>
#include <span>
#include <vector>

namespace ruvllm::kernels {
namespace {

using Floats = std::vector<float>;
using Arguments = KernelSet::AttentionArguments;

constexpr size_t kPage = 64;

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

struct Case {
  size_t n_keys, n_positions, n_queries, dimension;
  KvFormat format = KvFormat::f32;
  size_t window = 0;
  bool causal = true;
  float soft_cap = 0;
  bool alibi = false;
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
    for (size_t i = 0; i < c.n_queries; ++i) slopes.push_back(0.25f / static_cast<float>(i + 1));
    store(keys, key_memory, key_pages);
    store(values, value_memory, value_pages);
  }

  /// Pages that are not full end in bytes that are no numbers: nobody may look at them.
  void store(Floats& from, std::vector<std::vector<uint8_t>>& memory, std::vector<const void*>& pages) {
    const size_t bytes = stored_bytes(c.format, c.dimension);
    memory.resize((c.n_keys + kPage - 1) / kPage);
    for (size_t key = 0; key < c.n_keys; ++key) {
      std::vector<uint8_t>& page = memory[key / kPage];
      if (page.empty()) page.assign(kPage * bytes, 0xFF);
      sets()[0]->store_kv(&from[key * c.dimension], &page[key % kPage * bytes], c.dimension, c.format);
    }
    for (const std::vector<uint8_t>& page : memory) pages.push_back(page.data());
  }

  Floats attend(const KernelSet& set, size_t chunk) const {
    Floats out(queries.size(), -77.0f);
    const size_t stride = c.n_queries * c.dimension;
    for (size_t i = 0; i < c.n_positions; i += chunk) {
      const size_t n = std::min(chunk, c.n_positions - i);
      const size_t bytes = stored_bytes(c.format, c.dimension);
      const Arguments arguments = {&queries[i * stride],
                                   n,
                                   c.n_queries,
                                   stride,
                                   c.dimension,
                                   c.dimension,
                                   key_pages.data(),
                                   value_pages.data(),
                                   kPage,
                                   bytes,
                                   bytes,
                                   c.format,
                                   c.format,
                                   c.n_keys - c.n_positions + i,
                                   c.window,
                                   c.causal,
                                   c.n_keys,
                                   0.125f,
                                   c.soft_cap,
                                   c.alibi ? slopes.data() : nullptr,
                                   &out[i * stride]};
      std::vector<char> scratch(set.attention_scratch_bytes(n, c.n_queries, c.dimension, c.dimension) + 64);
      set.attention(arguments, scratch.data() + (64 - reinterpret_cast<uintptr_t>(scratch.data()) % 64) % 64);
    }
    return out;
  }

  /// One query in double precision.
  std::vector<double> truth(size_t position, size_t query) const {
    const size_t at = c.n_keys - c.n_positions + position;
    const size_t end = c.causal ? at + 1 : c.n_keys;
    const size_t begin = c.causal && c.window != 0 && end > c.window ? end - c.window : 0;
    const float* q = &queries[(position * c.n_queries + query) * c.dimension];
    std::vector<double> weights, out(c.dimension);
    double sum = 0;
    for (size_t key = begin; key < end; ++key) {
      double score = 0;
      for (size_t d = 0; d < c.dimension; ++d)
        score += static_cast<double>(q[d]) * keys[key * c.dimension + d];
      score *= 0.125;
      if (c.soft_cap != 0) score = c.soft_cap * std::tanh(score / c.soft_cap);
      if (c.alibi) score -= slopes[query] * static_cast<double>(at - key);
      weights.push_back(std::exp(score));
      sum += weights.back();
    }
    for (size_t key = begin; key < end; ++key)
      for (size_t d = 0; d < c.dimension; ++d)
        out[d] += weights[key - begin] / sum * values[key * c.dimension + d];
    return out;
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
};

}  // namespace

TEST_CASE("attention is the softmax of scores times values") {
  Random random(test::test_seed());
  for (const Case& c : kCases) {
    const Problem problem(c, random);
    const Floats out = problem.attend(*sets()[0], c.n_positions);
    const double tolerance = c.format == KvFormat::f32   ? 1e-5
                             : c.format == KvFormat::f16 ? 3e-3
                             : c.format == KvFormat::q8  ? 0.02
                                                         : 0.3;
    for (size_t position = 0; position < c.n_positions; ++position)
      for (size_t query = 0; query < c.n_queries; ++query) {
        const std::vector<double> expected = problem.truth(position, query);
        for (size_t d = 0; d < c.dimension; ++d) {
          INFO(c.n_keys, " keys, position ", position, ", query ", query, ", dimension ", d);
          REQUIRE(std::fabs(out[(position * c.n_queries + query) * c.dimension + d] - expected[d]) <
                  tolerance);
        }
      }
  }
}

TEST_CASE("attention has the same bits in every instruction set and for any chunk of positions") {
  Random random(test::test_seed());
  for (const Case& c : kCases) {
    const Problem problem(c, random);
    const Floats expected = problem.attend(*sets()[0], 1);
    for (const KernelSet* set : sets())
      for (size_t chunk : {size_t{1}, size_t{7}, c.n_positions}) {
        INFO(set->name, ", ", c.n_keys, " keys, ", c.n_queries, " queries, chunks of ", chunk);
        REQUIRE(same_bits(problem.attend(*set, chunk), expected));
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
