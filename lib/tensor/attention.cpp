#include "tensor/attention.h"

#include "base/error.h"

#include <algorithm>

namespace ruvllm::tensor {
namespace {

// Query rows (positions x heads of a group) of a tile: enough that keys are widened and transposed once for
// many, few enough that all threads get some.
constexpr uint32_t kTileRows = 256;

bool is_in_integers(const AttentionShape& shape, ActivationPrecision precision) {
  return precision == ActivationPrecision::fast && shape.key_format == kernels::KvFormat::q16 &&
         shape.value_format == kernels::KvFormat::q16;
}

uint32_t tile_positions(uint32_t group) { return std::clamp(kTileRows / group, 16u, 64u); }

}  // namespace

void Attention::run(const AttentionShape& shape, std::span<const AttentionSequence> sequences,
                    std::span<const float> queries, std::span<float> out) {
  const uint32_t group = shape.n_heads / shape.n_kv_heads;
  const size_t row = size_t{shape.n_heads} * shape.head_dimension;
  RUVLLM_ASSERT(group * shape.n_kv_heads == shape.n_heads && queries.size() == out.size());
  const kernels::KernelSet& set = kernels::active();

  const uint32_t n_positions = tile_positions(group);
  const size_t needed =
      set.attention_scratch_bytes(n_positions, group, shape.head_dimension, shape.head_dimension);
  scratch_.resize(static_cast<size_t>(pool_.n_threads()));
  for (WeightBuffer& buffer : scratch_)
    if (buffer.bytes().size() < needed) buffer = WeightBuffer(needed);

  // The last positions see the most keys: handing them out first leaves small tiles for the end.
  tiles_.clear();
  for (uint32_t s = 0; s < sequences.size(); ++s)
    for (uint32_t end = sequences[s].n_positions; end > 0; end -= std::min(end, n_positions))
      for (uint32_t head = 0; head < shape.n_kv_heads; ++head) {
        const uint32_t count = std::min(end, n_positions);
        tiles_.push_back({s, head, end - count, count});
      }

  pool_.for_each_tile(tiles_.size(), [&](size_t i, int worker) {
    const Tile& tile = tiles_[i];
    const AttentionSequence& sequence = sequences[tile.sequence];
    const HeadPages& pages = sequence.heads[tile.kv_head];
    const size_t first_head = size_t{tile.kv_head} * group;
    const size_t at = (sequence.first_row + tile.first) * row + first_head * shape.head_dimension;
    kernels::KernelSet::AttentionArguments arguments{};
    arguments.queries = &queries[at];
    arguments.n_positions = tile.count;
    arguments.n_queries = group;
    arguments.position_stride = row;
    arguments.key_dimension = shape.head_dimension;
    arguments.value_dimension = shape.head_dimension;
    arguments.key_pages = pages.keys.data();
    arguments.value_pages = pages.values.data();
    arguments.page_tokens = shape.page_tokens;
    arguments.key_stride = shape.key_stride;
    arguments.value_stride = shape.value_stride;
    arguments.key_format = shape.key_format;
    arguments.value_format = shape.value_format;
    arguments.in_integers = is_in_integers(shape, precision_);
    arguments.first_position = sequence.first_position + tile.first;
    arguments.window = shape.window;
    arguments.causal = shape.causal;
    arguments.n_keys = sequence.first_position + sequence.n_positions;
    arguments.score_scale = shape.score_scale;
    arguments.soft_cap = shape.soft_cap;
    arguments.alibi_slopes = shape.alibi_slopes.empty() ? nullptr : &shape.alibi_slopes[first_head];
    arguments.out = &out[at];
    set.attention(arguments, scratch_[static_cast<size_t>(worker)].bytes().data());
  });
}

}  // namespace ruvllm::tensor
