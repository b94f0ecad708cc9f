// Attention over a batch against a plain double-precision softmax, in every variation, and its independence
// of tiling.
#include "tensor/attention.h"

#include "base/random.h"
#include "test_support.h"

#include <doctest/doctest.h>

#include <cmath>

namespace ruvllm::tensor {
namespace {

constexpr uint32_t kPage = 64;

/// Keys and values in f32 of one sequence: pages of 64 tokens for each KV head.
struct Sequence {
  Sequence(Random& random, uint32_t n_keys_in, uint32_t n_queries_in, uint32_t n_kv_heads, uint32_t dimension)
      : n_keys(n_keys_in), n_queries(n_queries_in) {
    for (uint32_t head = 0; head < n_kv_heads; ++head) {
      for (auto* store : {&keys, &values}) {
        store->emplace_back((n_keys + kPage - 1) / kPage * kPage * dimension);
        for (float& value : store->back()) value = static_cast<float>(random.normal());
      }
      key_tables.emplace_back();
      value_tables.emplace_back();
      for (uint32_t at = 0; at < n_keys; at += kPage) {
        key_tables.back().push_back(&keys.back()[size_t{at} * dimension]);
        value_tables.back().push_back(&values.back()[size_t{at} * dimension]);
      }
    }
    for (uint32_t head = 0; head < n_kv_heads; ++head)
      heads.push_back({key_tables[head], value_tables[head]});
  }
  uint32_t n_keys, n_queries;  // the queries are the last n_queries positions
  std::vector<std::vector<float>> keys, values;
  std::vector<std::vector<const void*>> key_tables, value_tables;
  std::vector<HeadPages> heads;
};

double plain_attention(const AttentionShape& shape, const Sequence& s, const float* query, uint32_t head,
                       uint32_t position, uint32_t value_index) {
  const uint32_t dimension = shape.head_dimension, kv = head / (shape.n_heads / shape.n_kv_heads);
  const uint32_t end = shape.causal ? position + 1 : s.n_keys;
  const uint32_t first = shape.window && position + 1 > shape.window ? position + 1 - shape.window : 0;
  double total = 0, sum = 0;
  for (uint32_t key = first; key < end; ++key) {
    double score = 0;
    for (uint32_t i = 0; i < dimension; ++i)
      score += double{query[i]} * s.keys[kv][size_t{key} * dimension + i];
    score *= shape.score_scale;
    if (shape.soft_cap != 0) score = shape.soft_cap * std::tanh(score / shape.soft_cap);
    if (!shape.alibi_slopes.empty()) score -= double{shape.alibi_slopes[head]} * (position - key);
    const double weight = std::exp(score);
    total += weight;
    sum += weight * s.values[kv][size_t{key} * dimension + value_index];
  }
  return sum / total;
}

AttentionShape base_shape() {
  AttentionShape shape;
  shape.n_heads = 6;
  shape.n_kv_heads = 2;
  shape.head_dimension = 32;
  shape.key_format = shape.value_format = kernels::KvFormat::f32;
  shape.page_tokens = kPage;
  shape.key_bytes = shape.value_bytes = 32 * sizeof(float);
  shape.score_scale = 0.2f;
  return shape;
}

}  // namespace

TEST_CASE(
    "attention over a batch is the plain softmax in every variation, and each sequence gets what it gets "
    "alone") {
  Random random(test::test_seed());
  const std::vector<float> slopes = {0.5f, 0.25f, 0.125f, 0.3f, 0.2f, 0.1f};
  std::vector<AttentionShape> shapes(6, base_shape());
  shapes[1].window = 5;
  shapes[2].soft_cap = 1.5f;
  shapes[3].alibi_slopes = slopes;
  shapes[4].causal = false;
  shapes[5].window = 70;
  for (const AttentionShape& shape : shapes) {
    std::vector<Sequence> texts;
    texts.reserve(3);
    texts.emplace_back(random, 1, 1, 2, 32);
    texts.emplace_back(random, 200, shape.causal ? 50 : 200, 2, 32);
    texts.emplace_back(random, 33, 33, 2, 32);
    std::vector<AttentionSequence> sequences;
    uint32_t n_rows = 0;
    for (const Sequence& text : texts) {
      sequences.push_back({n_rows, text.n_queries, text.n_keys - text.n_queries, text.heads});
      n_rows += text.n_queries;
    }
    const size_t row = 6 * 32;
    std::vector<float> queries(n_rows * row), out(n_rows * row), alone(n_rows * row);
    for (float& value : queries) value = static_cast<float>(random.normal());
    ThreadPool pool(3), single(1);
    Attention(pool).run(shape, sequences, queries, out);
    for (const AttentionSequence& sequence : sequences)
      Attention(single).run(shape, {&sequence, 1}, queries, alone);
    CHECK(out == alone);

    double worst = 0;
    for (size_t t = 0; t < texts.size(); ++t)
      for (uint32_t i = 0; i < texts[t].n_queries; i += 3)
        for (uint32_t head = 0; head < 6; ++head) {
          const size_t at = (sequences[t].first_row + i) * row + head * 32;
          const double wanted =
              plain_attention(shape, texts[t], &queries[at], head, sequences[t].first_position + i, 7);
          worst = std::max(worst, std::abs(out[at + 7] - wanted));
        }
    CHECK(worst < 1e-5);
  }
}

}  // namespace ruvllm::tensor
