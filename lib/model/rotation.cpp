// How a model's numbers become a rotation: shared by the inference pass and the training pass.
#include "model/hparams.h"

#include <cmath>

namespace ruvllm::model {
namespace {

/// What longrope multiplies queries and keys with where the file doesn't say (Ding et al. 2024, section 3.2).
double longrope_attention_factor(const HyperParameters& h) {
  const double stretch = static_cast<double>(h.n_context) / h.original_context;
  return stretch <= 1.0 ? 1.0 : std::sqrt(1.0 + std::log(stretch) / std::log(h.original_context));
}

}  // namespace

tensor::RopeParameters rope_parameters(const HyperParameters& h, std::span<const float> factors,
                                       std::span<const float> long_factors) {
  tensor::RopeParameters p{.n_dimensions = h.rope_dimensions,
                           .base = h.rope_base,
                           .scaling = h.rope_scaling,
                           .factor = h.rope_factor,
                           .original_context = h.original_context,
                           .extrapolation_mix = h.yarn_mix,
                           .beta_fast = h.yarn_beta_fast,
                           .beta_slow = h.yarn_beta_slow,
                           .factors = factors,
                           .long_factors = long_factors};
  p.yarn_log_multiplier = h.yarn_log_multiplier;
  if (h.rope_attention_factor != 0)
    p.attention_factor = h.rope_attention_factor;
  else if (!long_factors.empty())
    p.attention_factor = longrope_attention_factor(h);
  return p;
}

tensor::RopeParameters local_rope_parameters(const HyperParameters& h) {
  return {.n_dimensions = h.rope_dimensions, .base = h.local_rope_base};
}

}  // namespace ruvllm::model
