// A model ready to run: description, weights in kernel order, and one forward pass for prefill in chunks and
// for decode. Immutable after load; a Runner holds the scratch memory of one engine. Tested by tests/model/.
#pragma once

#include "base/thread_pool.h"
#include "format/model_file.h"
#include "kv/kv_cache.h"
#include "tensor/matmul.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

namespace ruvllm::model {

struct HyperParameters;  // hparams.h
struct Weights;          // weights.h

/// Progress of a load: bytes packed so far, of how many.
using LoadProgress = std::function<void(uint64_t done_bytes, uint64_t total_bytes)>;

/// What to pack in place of a tensor of the file: the same values in any format, valid until the next call.
using TensorConversion = std::function<const format::Tensor&(const format::Tensor& tensor)>;

class Model {
 public:
  /// Checks every tensor's shape against the architecture, then packs the weights, through `convert` where it
  /// is set. Throws Errc::corrupt_file naming the tensor or key.
  static std::shared_ptr<const Model> load(std::shared_ptr<const format::ModelFile> file, ThreadPool& pool,
                                           const LoadProgress& progress = {},
                                           const TensorConversion& convert = {});
  Model(std::unique_ptr<const HyperParameters> hparams, std::unique_ptr<const Weights> weights);
  ~Model();

  const HyperParameters& hparams() const { return *hparams_; }
  const Weights& weights() const { return *weights_; }
  uint64_t n_parameters() const;
  uint64_t weight_bytes() const;

  kv::KvShape kv_shape(kv::KvFormat keys, kv::KvFormat values) const;

 private:
  std::unique_ptr<const HyperParameters> hparams_;
  std::unique_ptr<const Weights> weights_;
};

/// Which tokens of a segment get an answer (logits, or a hidden state).
enum class Answers { none, last, all };

/// A run of consecutive tokens of one sequence, in a batch of several.
struct Segment {
  std::span<const int32_t> tokens;
  kv::KvCache* cache;  ///< holds all tokens before; takes these
  Answers answers = Answers::last;
};

/// Runs batches. One thread at a time; owns scratch memory, allocates nothing once the largest batch has been
/// seen.
class Runner {
 public:
  /// `precision` is exact where exact logits are wanted (`inspect logits`), fast where speed is.
  Runner(std::shared_ptr<const Model> model, ThreadPool& pool,
         tensor::ActivationPrecision precision = tensor::ActivationPrecision::fast);
  ~Runner();

  /// Feeds all segments in one pass and appends them to their caches. Returns logits: (answers,
  /// n_vocabulary), in the order of segments. Valid until the next call. Throws Errc::usage for a token
  /// beyond the vocabulary, no_resources where a cache is full; caches then count no new tokens.
  std::span<const float> forward(std::span<const Segment> segments);

  /// The same, but returns the hidden states that logits are made from: (answers, width), after the last
  /// norm.
  std::span<const float> hidden(std::span<const Segment> segments);

  const Model& model() const;

  /// Calls `observer` before each matrix product, on the thread that runs the batch.
  void observe(tensor::Multiplier::Observer observer);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ruvllm::model
