// What can differ between architectures, as enums and small numbers. The forward pass and the weight list
// branch on these and never on a name: a new architecture made of known parts is one row in archs.cpp.
#pragma once

#include "tensor/ops.h"

#include <cstdint>
#include <span>
#include <string_view>

namespace ruvllm::model {

enum class NormKind { rms, layer };

/// Where norms stand around the two branches (attention, feed-forward) of a block.
enum class NormPlace {
  before,            ///< x += f(norm(x))
  before_and_after,  ///< x += norm(f(norm(x)))
  after,             ///< x += norm(f(x))
  after_sum,         ///< x = norm(x + f(x))
};

enum class Residual {
  sequential,            ///< attention, then feed-forward
  parallel,              ///< both from one norm of x, both added to x
  parallel_if_one_norm,  ///< parallel where the file has no second norm
};

enum class Positions { rotary_adjacent, rotary_halves, learned, alibi };

/// Norms of queries and keys before rotation.
enum class QkNorm {
  none,
  head,           ///< each head alone, one weight for all
  head_optional,  ///< each head alone with weights of its own, where the file has them
  row,            ///< all heads together
};

enum class Bias { optional, required };

struct ArchSpec {
  std::string_view name;  ///< general.architecture

  NormKind norm = NormKind::rms;
  NormPlace norm_place = NormPlace::before;
  Residual residual = Residual::sequential;
  Positions positions = Positions::rotary_halves;
  QkNorm qk_norm = QkNorm::none;
  Bias qkv_bias = Bias::optional;
  Bias other_bias = Bias::optional;  ///< of norms, attention output and feed-forward
  Bias head_bias = Bias::optional;

  tensor::Activation activation = tensor::Activation::silu;
  bool gated = true;                ///< feed-forward is down(f(gate(x)) * up(x)), else down(f(up(x)))
  bool renormalise_experts = true;  ///< weights of the chosen experts sum to 1; `expert_weights_norm` wins

  bool embedding_times_sqrt_width = false;
  uint32_t window_period = 0;  ///< where no key says it: 0: no windows; 1: all layers; n: all but every n-th
  uint32_t window = 0;         ///< tokens a window has where no key says it
  float local_rope_base = 0.0f;   ///< if not 0, the base in windowed layers, which are then unscaled
  bool unscaled_windows = false;  ///< windowed layers are unscaled, with the base of all
  float attention_soft_cap = 0.0f, final_soft_cap = 0.0f;  ///< where no key says them; 0: none
  uint32_t wide_query_layers =
      0;                 ///< the size (by layers) that scales queries by width / heads: no key says so
  bool causal = true;    ///< where no key says it
  bool has_head = true;  ///< false: an encoder, whose answer is its hidden state
};

/// Every architecture there is.
std::span<const ArchSpec> architectures();
/// By general.architecture. Throws Errc::corrupt_file listing the known ones.
const ArchSpec& find_architecture(std::string_view name);

}  // namespace ruvllm::model
