#include "base/error.h"
#include "base/random.h"
#include "kv/kv_cache.h"
#include "test_support.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>

namespace ruvllm::kv {
namespace {

constexpr KvShape kShape{.n_layers = 3,
                         .n_kv_heads = 2,
                         .key_dimension = 32,
                         .value_dimension = 32,
                         .key_format = KvFormat::f32,
                         .value_format = KvFormat::f32};

/// What key `position` of a head holds, read through the pages.
std::span<const float> stored(std::span<const void* const> pages, uint32_t position) {
  return {static_cast<const float*>(pages[position / kPageTokens]) + position % kPageTokens * 32, 32};
}

std::vector<float> vectors(Random& random, uint32_t n_tokens) {
  std::vector<float> values(size_t{n_tokens} * 64);
  for (float& value : values) value = static_cast<float>(random.normal());
  return values;
}

}  // namespace

TEST_CASE("what is stored in runs of any length is found on its pages") {
  Random random(test::test_seed());
  const auto cache = make_contiguous_cache(kShape, 300);
  std::vector<float> keys, values;  // of layer 1
  while (cache->n_tokens() < 300) {
    const uint32_t first = cache->n_tokens(),
                   n = std::min<uint32_t>(300 - first, 1 + static_cast<uint32_t>(random.below(90)));
    cache->reserve(n);
    for (uint32_t layer = 0; layer < 3; ++layer) {
      const std::vector<float> k = vectors(random, n), v = vectors(random, n);
      cache->store(layer, first, k, v, n);
      if (layer != 1) continue;
      keys.insert(keys.end(), k.begin(), k.end());
      values.insert(values.end(), v.begin(), v.end());
    }
    CHECK(cache->n_tokens() == first);  // store() alone counts nothing
    cache->advance(n);
  }
  for (uint32_t head = 0; head < 2; ++head)
    for (uint32_t position = 0; position < 300; ++position) {
      const size_t at = (position * 2 + head) * 32;
      CHECK(std::ranges::equal(stored(cache->key_pages(1, head), position), std::span(keys).subspan(at, 32)));
      CHECK(std::ranges::equal(stored(cache->value_pages(1, head), position),
                               std::span(values).subspan(at, 32)));
    }
}

TEST_CASE("a full cache refuses, a truncated one has room again") {
  const auto cache = make_contiguous_cache(kShape, 100);
  cache->reserve(100);
  cache->advance(100);
  CHECK_THROWS_AS(cache->reserve(1), Error);
  cache->truncate(200);
  CHECK(cache->n_tokens() == 100);
  cache->truncate(60);
  CHECK(cache->n_tokens() == 60);
  cache->reserve(40);
  CHECK_THROWS_AS(cache->reserve(41), Error);
  CHECK_THROWS_AS(cache->reserve(UINT32_MAX), Error);
}

TEST_CASE("memory grows with the tokens, not with the capacity") {
  const auto cache = make_contiguous_cache(kShape, 1u << 31);
  CHECK(cache->n_bytes() == 0);
  cache->reserve(1);
  CHECK(cache->n_bytes() == kPageTokens * kShape.token_bytes());
  cache->reserve(65);
  CHECK(cache->n_bytes() == 2 * kPageTokens * kShape.token_bytes());
}

TEST_CASE("sizes are those of the formats, and heads that don't fit blocks are refused") {
  KvShape shape = kShape;
  CHECK(shape.token_bytes() == 3 * 2 * (32 + 32) * 4);
  shape.key_format = KvFormat::q8;
  shape.value_format = KvFormat::q4;
  CHECK(shape.key_stride() == 34);
  CHECK(shape.value_stride() == 18);
  shape.key_format = shape.value_format = KvFormat::q16;
  CHECK(shape.token_bytes() == 3 * 2 * ((32 + 32) * 2 + 2 * 4));
  shape.key_dimension = shape.value_dimension = 48;
  CHECK_NOTHROW(make_contiguous_cache(shape, 10));
  shape.value_format = KvFormat::q4;
  CHECK_THROWS_AS(make_contiguous_cache(shape, 10), Error);
}

}  // namespace ruvllm::kv
