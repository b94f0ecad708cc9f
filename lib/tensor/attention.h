// Attention of a batch over the pages of many sequences: tiles of (sequence, KV head, block of positions)
// that threads take from a shared counter. Knows pages, but no cache. Tested by
// tests/tensor/attention_test.cpp.
#pragma once

#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "tensor/matmul.h"

#include <cstdint>
#include <span>
#include <vector>

namespace ruvllm::tensor {

/// Where the keys and values of one KV head lie, in one layer of one sequence.
struct HeadPages {
  std::span<const void*const> keys, values;
};

/// Consecutive query positions of one sequence, and the pages that hold its keys and values (these positions'
/// too).
struct AttentionSequence {
  uint32_t first_row = 0;  ///< of its queries in the batch
  uint32_t n_positions = 0;
  uint32_t first_position = 0;       ///< absolute
  std::span<const HeadPages> heads;  ///< one a KV head
};

/// What is the same for the whole batch.
struct AttentionShape {
  uint32_t n_heads = 0;
  uint32_t n_kv_heads = 0;      ///< divides n_heads; heads of a group are neighbours
  uint32_t head_dimension = 0;  ///< of queries, keys and values
  kernels::KvFormat key_format = kernels::KvFormat::q16;
  kernels::KvFormat value_format = kernels::KvFormat::q16;
  uint32_t page_tokens = 0;
  uint64_t key_stride = 0;  ///< bytes between keys inside a page
  uint64_t value_stride = 0;
  bool causal = true;
  uint32_t window = 0;  ///< 0: all keys; W: the query's own and W - 1 before it
  float score_scale = 1.0f;
  float soft_cap = 0.0f;                ///< 0: none
  std::span<const float> alibi_slopes;  ///< one a head, or empty
};

/// Owns each worker's scratch memory. One per engine; not thread-safe.
///
/// Fast attention over keys and values in q16 rounds queries as keys are and softmax weights to 13 bits, and
/// multiplies integers (kernels/lanes/q16.h); over others, and where it is to be exact, it is f32.
class Attention {
 public:
  explicit Attention(ThreadPool& pool, ActivationPrecision precision = ActivationPrecision::fast)
      : pool_(pool), precision_(precision) {}

  /// queries, out: (n_rows, n_heads, head_dimension). Allocates nothing once the largest shape has been seen.
  void run(const AttentionShape& shape, std::span<const AttentionSequence> sequences,
           std::span<const float> queries, std::span<float> out);

 private:
  struct Tile {
    uint32_t sequence, kv_head, first, count;  // positions [first, first + count) of the sequence
  };

  ThreadPool& pool_;
  ActivationPrecision precision_;
  std::vector<Tile> tiles_;
  std::vector<WeightBuffer> scratch_;
};

}  // namespace ruvllm::tensor
