// Keys and values of one sequence, behind the interface that paged and tiered caches will take: attention
// asks for page pointers and knows no pool. Tested by tests/kv/.
#pragma once

#include "kernels/kernels.h"

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace ruvllm::kv {

using kernels::KvFormat;

struct KvShape {
  uint32_t n_layers = 0;
  uint32_t n_kv_heads = 0;
  uint32_t key_dimension = 0;  ///< of one head
  uint32_t value_dimension = 0;
  KvFormat key_format = KvFormat::q16;
  KvFormat value_format = KvFormat::q16;

  uint64_t key_stride() const;  ///< bytes between keys of one head in a page
  uint64_t value_stride() const;
  uint64_t token_bytes() const;  ///< of a token in all layers, scales and all
};

/// Tokens in a page: a multiple of the attention kernel's key block.
inline constexpr uint32_t kPageTokens = 64;

class KvCache {
 public:
  virtual ~KvCache() = default;
  virtual const KvShape& shape() const = 0;
  virtual uint32_t n_tokens() const = 0;  ///< tokens stored
  virtual uint32_t capacity() const = 0;  ///< tokens there is room for

  /// Makes room for n more tokens. Throws Errc::no_resources where capacity ends.
  virtual void reserve(uint32_t n_tokens) = 0;
  /// Stores keys and values of n consecutive tokens from n_tokens() on: (n, n_kv_heads, dimension).
  virtual void store(uint32_t layer, uint32_t first, std::span<const float> keys,
                     std::span<const float> values, uint32_t n_tokens) = 0;
  /// Counts tokens stored by store() in every layer.
  virtual void advance(uint32_t n_tokens) = 0;
  /// Forgets all tokens from `n_tokens` on.
  virtual void truncate(uint32_t n_tokens) = 0;

  /// Pages of one KV head in one layer, each with kPageTokens keys (or values), key_stride() apart, after the
  /// scales that the format may have (kernels::kv_scales_bytes).
  virtual std::span<const void* const> key_pages(uint32_t layer, uint32_t head) const = 0;
  virtual std::span<const void* const> value_pages(uint32_t layer, uint32_t head) const = 0;
  virtual uint64_t n_bytes() const = 0;
};

/// The simplest cache: pages of one sequence that grow as needed, up to `capacity` tokens.
std::unique_ptr<KvCache> make_contiguous_cache(const KvShape& shape, uint32_t capacity);

}  // namespace ruvllm::kv
