// Attention: project, norm, rotate, store, attend, project back.
#include "model/blocks.h"

#include "base/error.h"
#include "tensor/ops.h"

#include <algorithm>

namespace ruvllm::model {
namespace {

/// Norms heads of (n_rows, n_heads, head_dimension) by what the norm's weights are: of one head, of all heads
/// together, or (layer norm without bias) a list for each head.
void normalise_heads(Pass& pass, const NormWeights& norm, uint32_t n_heads, std::span<float> x) {
  if (!norm) return;
  if (pass.h.arch->qk_norm != QkNorm::head_optional) return normalise(pass, norm, x, x);
  const size_t head = pass.h.head_dimension;
  const std::span<const float> weights = norm.weight;
  for (size_t i = 0; i < x.size() / head; ++i)
    tensor::layer_norm(pass.pool, x.subspan(i * head, head), weights.subspan(i % n_heads * head, head), {},
                       pass.h.layer_epsilon, x.subspan(i * head, head));
}

void rotate(Pass& pass, uint32_t layer, uint32_t n_heads, std::span<float> x) {
  if (!pass.h.has_rotation()) return;
  Rotation& rotation = pass.h.rotates_locally(layer) ? *pass.local_rotation : *pass.global_rotation;
  const size_t n = size_t{pass.n_rows} * rotation.n_pairs;
  tensor::rotate(pass.pool, x, n_heads, pass.h.head_dimension, rotation.cosines.floats(n),
                 rotation.sines.floats(n), rotation.n_pairs,
                 pass.h.arch->positions == Positions::rotary_halves);
}

void store(Pass& pass, uint32_t layer, std::span<const float> key, std::span<const float> value) {
  const size_t width = pass.h.kv_width();
  size_t row = 0;
  for (const Segment& segment : pass.segments) {
    const size_t n = segment.tokens.size();
    segment.cache->store(layer, segment.cache->n_tokens(), key.subspan(row * width, n * width),
                         value.subspan(row * width, n * width), static_cast<uint32_t>(n));
    row += n;
  }
}

/// Where the batch's sequences keep the keys and values of a layer.
void find_pages(Pass& pass, uint32_t layer) {
  const uint32_t n_heads = pass.h.n_kv_heads;
  pass.head_pages.clear();
  for (const Segment& segment : pass.segments)
    for (uint32_t head = 0; head < n_heads; ++head)
      pass.head_pages.push_back(
          {segment.cache->key_pages(layer, head), segment.cache->value_pages(layer, head)});
  pass.sequences.clear();
  uint32_t row = 0;
  for (size_t i = 0; i < pass.segments.size(); ++i) {
    const auto n = static_cast<uint32_t>(pass.segments[i].tokens.size());
    pass.sequences.push_back({row, n, pass.segments[i].cache->n_tokens(),
                              std::span(pass.head_pages).subspan(i * n_heads, n_heads)});
    row += n;
  }
}

tensor::AttentionShape shape_of(const Pass& pass, uint32_t layer) {
  const kv::KvShape& kv = pass.segments[0].cache->shape();
  return {.n_heads = pass.h.n_heads,
          .n_kv_heads = pass.h.n_kv_heads,
          .head_dimension = pass.h.head_dimension,
          .key_format = kv.key_format,
          .value_format = kv.value_format,
          .page_tokens = kv::kPageTokens,
          .key_stride = kv.key_stride(),
          .value_stride = kv.value_stride(),
          .causal = pass.h.causal,
          .window = pass.h.window_of(layer),
          .score_scale = pass.h.score_scale(),
          .soft_cap = pass.h.attention_soft_cap,
          .alibi_slopes = pass.alibi_slopes};
}

}  // namespace

void attention_block(Pass& pass, uint32_t layer, const LayerWeights& weights, std::span<const float> input,
                     std::span<float> out, bool answers_only) {
  const HyperParameters& h = pass.h;
  const size_t n = pass.n_rows;
  const std::span<float> query = pass.query.floats(n * h.query_width());
  const std::span<float> key = pass.key.floats(n * h.kv_width());
  const std::span<float> value = pass.value.floats(n * h.kv_width());

  const tensor::Product projections[] = {{&weights.query.matrix, query, h.query_width(), weights.query.bias},
                                         {&weights.key.matrix, key, h.kv_width(), weights.key.bias},
                                         {&weights.value.matrix, value, h.kv_width(), weights.value.bias}};
  pass.multiplier.multiply(input, n, projections);
  normalise_heads(pass, weights.query_norm, h.n_heads, query);
  normalise_heads(pass, weights.key_norm, h.n_kv_heads, key);
  rotate(pass, layer, h.n_heads, query);
  rotate(pass, layer, h.n_kv_heads, key);
  store(pass, layer, key, value);
  if (out.empty()) return;

  std::span<float> attended = pass.attended.floats(n * h.query_width());
  find_pages(pass, layer);
  pass.attention.run(shape_of(pass, layer), pass.sequences, query, attended);

  size_t n_out = n;
  if (answers_only) {
    n_out = pass.answer_rows.size();
    const std::span<float> wanted = pass.query.floats(n_out * h.query_width());
    gather_rows(attended, pass.answer_rows, h.query_width(), wanted);
    attended = wanted;
  }
  pass.multiplier.multiply(attended, n_out, {&weights.output.matrix, out, pass.width(), weights.output.bias});
}

}  // namespace ruvllm::model
