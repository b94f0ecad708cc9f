// The cache of one sequence that owns its pages: page p of every layer and head lies in one allocation, made
// when the sequence reaches it.
#include "kv/kv_cache.h"

#include "base/error.h"
#include "tensor/format.h"

#include <algorithm>

namespace ruvllm::kv {
namespace {

/// Bytes between keys or values of one head, without a scale that stands elsewhere in the page.
uint64_t stride_of(KvFormat format, uint32_t dimension) {
  switch (format) {
    case KvFormat::f32:
      return uint64_t{dimension} * 4;
    case KvFormat::q16:
      return uint64_t{dimension} * 2;
    case KvFormat::q8:
      return tensor::row_bytes(tensor::Format::Q8_0, dimension);
    case KvFormat::q4:
      return tensor::row_bytes(tensor::Format::Q4_0, dimension);
  }
  RUVLLM_ASSERT(false);
}

/// The unit of allocation: a cache line, so that pages are aligned for vector loads.
struct alignas(64) Line {
  std::byte bytes[64];
};

/// Of the keys (or values) of one head: whole lines.
uint64_t page_bytes(KvFormat format, uint64_t stride) {
  const uint64_t n_bytes = kernels::kv_scales_bytes(format, kPageTokens) + kPageTokens * stride;
  return (n_bytes + sizeof(Line) - 1) / sizeof(Line) * sizeof(Line);
}

/// Puts a key or value into slot `slot` of its page.
void store_vector(std::span<const float> x, KvFormat format, kernels::KvRole role, std::byte* page,
                  uint32_t slot, uint64_t stride) {
  kernels::active().store_kv(x.data(), x.size(), format, role,
                             page + kernels::kv_scales_bytes(format, kPageTokens) + slot * stride,
                             reinterpret_cast<float*>(page) + slot);
}

class ContiguousCache final : public KvCache {
 public:
  ContiguousCache(const KvShape& shape, uint32_t capacity)
      : shape_(shape),
        capacity_(capacity),
        key_page_bytes_(page_bytes(shape.key_format, shape.key_stride())),
        value_page_bytes_(page_bytes(shape.value_format, shape.value_stride())),
        key_pages_(size_t{shape.n_layers} * shape.n_kv_heads),
        value_pages_(key_pages_.size()) {}

  const KvShape& shape() const override { return shape_; }
  uint32_t n_tokens() const override { return n_tokens_; }
  uint32_t capacity() const override { return capacity_; }

  void reserve(uint32_t n_tokens) override {
    if (n_tokens > capacity_ - n_tokens_)
      throw Error(Errc::no_resources, "the context is full: {} tokens are there, {} more don't fit in {}",
                  n_tokens_, n_tokens, capacity_);
    while (pages_.size() * uint64_t{kPageTokens} < uint64_t{n_tokens_} + n_tokens) add_page();
  }

  void store(uint32_t layer, uint32_t first, std::span<const float> keys, std::span<const float> values,
             uint32_t n_tokens) override {
    const uint32_t heads = shape_.n_kv_heads;
    const size_t key_width = shape_.key_dimension, value_width = shape_.value_dimension;
    RUVLLM_ASSERT(keys.size() == n_tokens * heads * key_width &&
                  values.size() == n_tokens * heads * value_width);
    RUVLLM_ASSERT(uint64_t{first} + n_tokens <= pages_.size() * uint64_t{kPageTokens});
    for (uint32_t i = 0; i < n_tokens; ++i) {
      const uint32_t page = (first + i) / kPageTokens, slot = (first + i) % kPageTokens;
      for (uint32_t head = 0; head < heads; ++head) {
        std::byte* const at = page_at(page, layer, head);
        store_vector(keys.subspan((i * heads + head) * key_width, key_width), shape_.key_format,
                     kernels::KvRole::key, at, slot, shape_.key_stride());
        store_vector(values.subspan((i * heads + head) * value_width, value_width), shape_.value_format,
                     kernels::KvRole::value, at + key_page_bytes_, slot, shape_.value_stride());
      }
    }
  }

  void advance(uint32_t n_tokens) override { n_tokens_ += n_tokens; }
  void truncate(uint32_t n_tokens) override { n_tokens_ = std::min(n_tokens_, n_tokens); }

  std::span<const void* const> key_pages(uint32_t layer, uint32_t head) const override {
    return key_pages_[size_t{layer} * shape_.n_kv_heads + head];
  }
  std::span<const void* const> value_pages(uint32_t layer, uint32_t head) const override {
    return value_pages_[size_t{layer} * shape_.n_kv_heads + head];
  }
  uint64_t n_bytes() const override {
    return pages_.size() * key_pages_.size() * (key_page_bytes_ + value_page_bytes_);
  }

 private:
  void add_page() {
    const size_t stride = key_page_bytes_ + value_page_bytes_;
    pages_.emplace_back(key_pages_.size() * stride / sizeof(Line));
    std::byte* const memory = pages_.back().data()->bytes;
    for (size_t i = 0; i < key_pages_.size(); ++i) {
      key_pages_[i].push_back(memory + i * stride);
      value_pages_[i].push_back(memory + i * stride + key_page_bytes_);
    }
  }

  /// The keys of one head in one page; its values follow.
  std::byte* page_at(uint32_t page, uint32_t layer, uint32_t head) {
    const size_t index = size_t{layer} * shape_.n_kv_heads + head;
    return pages_[page].data()->bytes + index * (key_page_bytes_ + value_page_bytes_);
  }

  const KvShape shape_;
  const uint32_t capacity_;
  const uint64_t key_page_bytes_, value_page_bytes_;
  uint32_t n_tokens_ = 0;
  std::vector<std::vector<Line>> pages_;
  std::vector<std::vector<const void*>> key_pages_, value_pages_;  // by layer and head
};

}  // namespace

uint64_t KvShape::key_stride() const { return stride_of(key_format, key_dimension); }
uint64_t KvShape::value_stride() const { return stride_of(value_format, value_dimension); }
uint64_t KvShape::token_bytes() const {
  const uint64_t scales = kernels::kv_scales_bytes(key_format, 1) + kernels::kv_scales_bytes(value_format, 1);
  return uint64_t{n_layers} * n_kv_heads * (key_stride() + value_stride() + scales);
}

std::unique_ptr<KvCache> make_contiguous_cache(const KvShape& shape, uint32_t capacity) {
  const auto fits = [](KvFormat format, uint32_t dimension) {
    return (format != KvFormat::q8 && format != KvFormat::q4) || dimension % 32 == 0;
  };
  if (!fits(shape.key_format, shape.key_dimension) || !fits(shape.value_format, shape.value_dimension))
    throw Error(Errc::usage,
                "heads of {} dimensions can't be kept in q8 or q4, which need a multiple of 32; use q16",
                shape.key_dimension);
  return std::make_unique<ContiguousCache>(shape, capacity);
}

}  // namespace ruvllm::kv
