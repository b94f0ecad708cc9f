// The weights of a model, by role, in the order kernels stream through. Loading first lists every tensor that
// the description asks for and checks its full shape; only then is anything packed. Fused tensors
// (query+key+value, gate+up, all experts) are split by rows, so that the forward pass meets one form only.
// Tested by tests/model/weights_test.cpp.
#pragma once

#include "model/hparams.h"
#include "model/model.h"
#include "tensor/matmul.h"

#include <vector>

namespace ruvllm::model {

struct NormWeights {
  std::vector<float> weight, bias;  ///< bias may be empty; both where the block has no such norm
  explicit operator bool() const { return !weight.empty(); }
};

/// y = x W^T + bias. W: (n_rows outputs, n_columns inputs).
struct Linear {
  tensor::PackedMatrix matrix;
  std::vector<float> bias;  ///< may be empty
  explicit operator bool() const { return static_cast<bool>(matrix); }
};

struct FeedForwardWeights {
  Linear gate;  ///< absent where the feed-forward has no gate
  Linear up;
  Linear down;
};

struct LayerWeights {
  NormWeights attention_norm;       ///< before attention
  NormWeights attention_post_norm;  ///< after it (or after its sum)
  NormWeights query_norm, key_norm;
  Linear query, key, value, output;

  NormWeights ffn_norm;
  NormWeights ffn_post_norm;
  FeedForwardWeights ffn;  ///< absent in layers of experts

  Linear router;  ///< (n_experts, width); absent where there are no experts
  std::vector<FeedForwardWeights> experts;
  FeedForwardWeights shared_expert;  ///< sees every token
  std::vector<float> shared_gate;    ///< (width): the shared expert counts sigmoid(shared_gate . x)
};

struct Weights {
  tensor::PackedMatrix token_embedding;   ///< (n_vocabulary, width)
  std::vector<float> position_embedding;  ///< (n_context, width), learned positions
  std::vector<float> segment_embedding;   ///< (width): of the first segment, which all our tokens are in
  NormWeights embedding_norm;
  std::vector<LayerWeights> layers;
  NormWeights output_norm;
  Linear output;  ///< absent where the head is the token embedding
  std::vector<float> rope_factors, rope_long_factors;

  uint64_t n_parameters = 0;
  uint64_t n_bytes = 0;

  const tensor::PackedMatrix& head() const { return output ? output.matrix : token_embedding; }
};

/// Throws Errc::corrupt_file naming the tensor that is missing, unknown or of the wrong shape.
Weights load_weights(const HyperParameters& hparams, const format::ModelFile& file, ThreadPool& pool,
                     const LoadProgress& progress, const TensorConversion& convert = {});

/// The checks of load_weights() alone: nothing is read or packed.
void check_weights(const HyperParameters& hparams, const format::ModelFile& file);

}  // namespace ruvllm::model
