// Attention over a batch against a plain double-precision softmax, in every variation and precision, and its
// independence of tiling.
#include "tensor/attention.h"

#include "base/random.h"
#include "test_support.h"

#include <doctest/doctest.h>

#include <cmath>
#include <tuple>

namespace ruvllm::tensor {
namespace {

constexpr uint32_t kPage = 64;

/// A number that bf16 and f16 hold.
float short_normal(Random& random) { return static_cast<float>(std::nearbyint(random.normal() * 32)) / 32; }

/// Keys and values of one sequence, as numbers and as stored: pages of 64 tokens for each KV head.
struct Sequence {
  Sequence(Random& random, uint32_t n_keys_in, uint32_t n_queries_in, uint32_t n_kv_heads, uint32_t dimension,
           kernels::KvFormat format)
      : n_keys(n_keys_in), n_queries(n_queries_in) {
    const size_t page = size_t{kPage} * dimension, stride = dimension * bytes_of(format);
    const size_t scales_bytes = kernels::kv_scales_bytes(format, kPage);
    const size_t page_bytes = scales_bytes + kPage * stride;
    for (uint32_t head = 0; head < n_kv_heads; ++head) {
      for (const auto& [numbers, stored, tables] : {std::tuple(&keys, &stored_keys, &key_tables),
                                                    std::tuple(&values, &stored_values, &value_tables)}) {
        const uint32_t n_pages = (n_keys + kPage - 1) / kPage;
        std::vector<float>& of_head = numbers->emplace_back(n_pages * page);
        for (float& value : of_head) value = short_normal(random);
        std::vector<uint8_t>& bytes = stored->emplace_back(n_pages * page_bytes);
        for (size_t token = 0; token < size_t{n_pages} * kPage; ++token) {
          uint8_t* const at = &bytes[token / kPage * page_bytes];
          kernels::active().store_kv(&of_head[token * dimension], dimension, format,
                                     numbers == &keys ? kernels::KvRole::key : kernels::KvRole::value,
                                     at + scales_bytes + token % kPage * stride,
                                     reinterpret_cast<float*>(at) + token % kPage);
        }
        tables->emplace_back();
        for (uint32_t i = 0; i < n_pages; ++i) tables->back().push_back(&bytes[i * page_bytes]);
      }
    }
    for (uint32_t head = 0; head < n_kv_heads; ++head)
      heads.push_back({key_tables[head], value_tables[head]});
  }
  static size_t bytes_of(kernels::KvFormat format) { return format == kernels::KvFormat::f32 ? 4 : 2; }

  uint32_t n_keys, n_queries;  // the queries are the last n_queries positions
  std::vector<std::vector<float>> keys, values;
  std::vector<std::vector<uint8_t>> stored_keys, stored_values;
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

AttentionShape base_shape(kernels::KvFormat format) {
  AttentionShape shape;
  shape.n_heads = 6;
  shape.n_kv_heads = 2;
  shape.head_dimension = 32;
  shape.key_format = shape.value_format = format;
  shape.page_tokens = kPage;
  shape.key_stride = shape.value_stride = 32 * Sequence::bytes_of(format);
  shape.score_scale = 0.25f;
  return shape;
}

/// A batch of three sequences, and what comes of each by itself.
struct Batch {
  Batch(Random& random, const AttentionShape& shape_in) : shape(shape_in) {
    texts.reserve(3);
    texts.emplace_back(random, 1, 1, 2, 32, shape.key_format);
    texts.emplace_back(random, 200, shape.causal ? 50 : 200, 2, 32, shape.key_format);
    texts.emplace_back(random, 33, 33, 2, 32, shape.key_format);
    uint32_t n_rows = 0;
    for (const Sequence& text : texts) {
      sequences.push_back({n_rows, text.n_queries, text.n_keys - text.n_queries, text.heads});
      n_rows += text.n_queries;
    }
    queries.resize(n_rows * kRow);
    for (float& value : queries) value = short_normal(random);
  }

  std::vector<float> attend(ActivationPrecision precision) const {
    std::vector<float> out(queries.size());
    ThreadPool pool(3);
    Attention(pool, precision).run(shape, sequences, queries, out);
    return out;
  }

  std::vector<float> attend_alone(ActivationPrecision precision) const {
    std::vector<float> out(queries.size());
    ThreadPool single(1);
    Attention attention(single, precision);
    for (const AttentionSequence& sequence : sequences) attention.run(shape, {&sequence, 1}, queries, out);
    return out;
  }

  /// The largest distance of an output from the truth.
  double error(const std::vector<float>& out) const {
    double worst = 0;
    for (size_t t = 0; t < texts.size(); ++t)
      for (uint32_t i = 0; i < texts[t].n_queries; i += 3)
        for (uint32_t head = 0; head < 6; ++head) {
          const size_t at = (sequences[t].first_row + i) * kRow + head * 32;
          const double wanted =
              plain_attention(shape, texts[t], &queries[at], head, sequences[t].first_position + i, 7);
          worst = std::max(worst, std::abs(out[at + 7] - wanted));
        }
    return worst;
  }

  static constexpr size_t kRow = 6 * 32;
  AttentionShape shape;
  std::vector<Sequence> texts;
  std::vector<AttentionSequence> sequences;
  std::vector<float> queries;
};

const std::vector<float> kSlopes = {0.5f, 0.25f, 0.125f, 0.3f, 0.2f, 0.1f};

std::vector<AttentionShape> variations(kernels::KvFormat format) {
  std::vector<AttentionShape> shapes(6, base_shape(format));
  shapes[1].window = 5;
  shapes[2].soft_cap = 1.5f;
  shapes[3].alibi_slopes = kSlopes;
  shapes[4].causal = false;
  shapes[5].window = 70;
  return shapes;
}

}  // namespace

TEST_CASE(
    "attention over a batch is the plain softmax in every variation, and each sequence gets what it gets "
    "alone") {
  Random random(test::test_seed());
  for (const kernels::KvFormat format : {kernels::KvFormat::f32, kernels::KvFormat::q16})
    for (const AttentionShape& shape : variations(format)) {
      const Batch batch(random, shape);
      const std::vector<float> exact = batch.attend(ActivationPrecision::exact);
      const std::vector<float> fast = batch.attend(ActivationPrecision::fast);
      CHECK(exact == batch.attend_alone(ActivationPrecision::exact));
      CHECK(fast == batch.attend_alone(ActivationPrecision::fast));
      // What is stored in f32 is not rounded. In q16 values are, by 1 / 8190 of their largest, and keys by less;
      // fast attention rounds queries as well, and weights, as much as values.
      const bool is_f32 = format == kernels::KvFormat::f32;
      CHECK(batch.error(exact) < (is_f32 ? 1e-5 : 1e-3));
      CHECK((fast == exact) == is_f32);
      CHECK(batch.error(fast) < (is_f32 ? 1e-5 : 1.5e-3));
    }
}

}  // namespace ruvllm::tensor
