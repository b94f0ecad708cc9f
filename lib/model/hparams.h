// The numbers of a model, read once from its metadata and range-checked, so that nothing after this point
// meets a zero it divides by or a count it can't afford. Tested by tests/model/hparams_test.cpp.
#pragma once

#include "base/limits.h"
#include "format/model_file.h"
#include "model/arch.h"
#include "tensor/rope.h"

#include <cstdint>
#include <span>
#include <vector>

namespace ruvllm::model {

/// How the hidden states of a text become one embedding, with the numbers that files use.
enum class Pooling { mean = 1, cls = 2, last = 3 };

struct HyperParameters {
  const ArchSpec* arch = nullptr;
  uint32_t n_vocabulary = 0;
  tensor::RopeScaling rope_scaling = tensor::RopeScaling::none;

#define INTEGER(field, key, least, most, fallback) uint32_t field = 0;
#define NUMBER(field, key, least, most, fallback) float field = 0;
#define FLAG(field, key, fallback) bool field = false;
#include "model/hparams.def"
#undef INTEGER
#undef NUMBER
#undef FLAG

  std::vector<bool> windowed_layers;  ///< which layers have windows

  /// Keys that layer `layer` lets a token see: 0 for all.
  uint32_t window_of(uint32_t layer) const {
    return layer < windowed_layers.size() && windowed_layers[layer] ? window : 0;
  }
  /// Whether a layer rotates with local_rope_base.
  bool rotates_locally(uint32_t layer) const { return local_rope_base != 0 && window_of(layer) != 0; }
  bool has_rotation() const {
    return arch->positions == Positions::rotary_adjacent || arch->positions == Positions::rotary_halves;
  }
  float epsilon() const { return arch->norm == NormKind::rms ? rms_epsilon : layer_epsilon; }
  /// What multiplies q.k.
  float score_scale() const;
  /// What multiplies rows of the token embedding.
  float input_scale() const;
  /// The file's pooling; for those that name none (or that of rankers), what is usual for the architecture.
  Pooling pooling() const {
    if (pooling_type >= 1 && pooling_type <= 3) return static_cast<Pooling>(pooling_type);
    return causal ? Pooling::last : Pooling::mean;
  }
  uint32_t query_width() const { return n_heads * head_dimension; }
  uint32_t kv_width() const { return n_kv_heads * head_dimension; }
};

/// Reads and checks. Throws Errc::corrupt_file naming the key.
HyperParameters read_hyper_parameters(const format::ModelFile& file);

/// The rotation of layers, with the frequency factors that the file has (both may be empty).
tensor::RopeParameters rope_parameters(const HyperParameters& h, std::span<const float> factors,
                                       std::span<const float> long_factors);
/// The rotation of layers with a base of their own: never scaled.
tensor::RopeParameters local_rope_parameters(const HyperParameters& h);

}  // namespace ruvllm::model
