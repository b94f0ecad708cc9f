// The blocks of a forward pass: one block, one file. Each reads the rows of a batch from Pass and works in
// its scratch memory; branches are chosen by ArchSpec. Rows of all sequences go through each matrix product
// together; only attention knows which sequence a row belongs to.
#pragma once

#include "model/hparams.h"
#include "model/model.h"
#include "model/weights.h"
#include "tensor/attention.h"

#include <vector>

namespace ruvllm::model {

/// Memory that grows to the largest size asked for and is then reused. Contents are undefined.
class Scratch {
 public:
  std::span<float> floats(size_t n) {
    if (values_.size() < n) values_.resize(n);
    return std::span(values_).first(n);
  }

 private:
  std::vector<float> values_;
};

/// Cosines and sines for the rows of a batch: (n_rows, n_pairs) each.
struct Rotation {
  uint32_t n_pairs = 0;
  Scratch cosines, sines;
};

/// One batch on its way through the layers.
struct Pass {
  const HyperParameters& h;
  ThreadPool& pool;
  tensor::Multiplier& multiplier;
  tensor::Attention& attention;

  std::span<const Segment> segments = {};
  uint32_t n_rows = 0;                         ///< tokens in the batch
  std::span<const uint32_t> answer_rows = {};  ///< those that get an answer
  Rotation* global_rotation = nullptr;
  Rotation* local_rotation = nullptr;
  std::span<const float> alibi_slopes = {};

  // Scratch memory of the blocks, by what it holds.
  Scratch query = {}, key = {}, value = {}, attended = {};  // (n_rows, heads * head_dimension)
  Scratch gate = {}, up = {};                               // (n_rows, feed-forward width)
  Scratch expert_scores = {}, expert_input = {}, expert_output = {}, shared_output = {};
  std::vector<uint32_t> expert_order = {}, expert_rows = {};
  std::vector<tensor::HeadPages> head_pages = {};
  std::vector<tensor::AttentionSequence> sequences = {};

  size_t width() const { return h.width; }
};

/// out = norm(x), rows of norm.weight.size() values. `out` may be `x`.
void normalise(Pass& pass, const NormWeights& norm, std::span<const float> x, std::span<float> out);

/// Stores keys and values of `input` in the caches and attends: out (rows, width). Where only answers matter
/// (the last layer), out has a row for each of pass.answer_rows, else for every row of the batch.
void attention_block(Pass& pass, uint32_t layer, const LayerWeights& weights, std::span<const float> input,
                     std::span<float> out, bool answers_only);

/// input, out: (rows, width), any number of rows.
void ffn_block(Pass& pass, const FeedForwardWeights& weights, std::span<const float> input,
               std::span<float> out);
void moe_block(Pass& pass, const LayerWeights& weights, std::span<const float> input, std::span<float> out);

/// out row i = x row rows[i]
void gather_rows(std::span<const float> x, std::span<const uint32_t> rows, size_t width,
                 std::span<float> out);

}  // namespace ruvllm::model
