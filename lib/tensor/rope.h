// Rotary position embedding (Su et al. 2021, "RoFormer") and its ways of reaching longer contexts.
//
// A Rope is a list of frequencies, one for each pair of dimensions, and a magnitude; all scaling variants
// differ only in how that list is made. Angles are computed in double precision, so that position 100000 is
// as exact as position 1. Tested by tests/tensor/rope_test.cpp.
#pragma once

#include "base/thread_pool.h"

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace ruvllm::tensor {

/// How frequencies are changed for contexts longer than the model was trained with.
enum class RopeScaling {
  none,
  linear,    ///< positions divided by the factor (Chen et al. 2023)
  ntk,       ///< the base raised so that the slowest pair turns as with `linear` (u/bloc97 2023)
  dynamic,   ///< ntk with the factor that the configured context needs
  yarn,      ///< fast pairs kept, slow ones interpolated, and a magnitude (Peng et al. 2023)
  longrope,  ///< a factor for each pair, one list for short and one for long contexts (Ding et al. 2024),
             ///< and as with `linear`
};

/// nullptr-free look-up of the names used in model files ("none", "linear", "ntk", "dynamic", "yarn",
/// "longrope"); false where the name is unknown.
bool find_rope_scaling(std::string_view name, RopeScaling& scaling);

struct RopeParameters {
  uint32_t n_dimensions = 0;  ///< rotated dimensions of a head (even); the rest pass through
  double base = 10000.0;
  RopeScaling scaling = RopeScaling::none;
  double factor = 1.0;
  uint32_t original_context = 0;        ///< context of training, for dynamic, yarn and longrope
  double attention_factor = 1.0;        ///< multiplies the magnitude (longrope files state it)
  double extrapolation_mix = 1.0;       ///< yarn: 1 as published, 0 = linear
  double yarn_log_multiplier = 0.0;     ///< yarn: the magnitude is divided by 1 + 0.1 this log(factor)
  double beta_fast = 32.0;              ///< yarn: turns in the original context above which a pair is kept
  double beta_slow = 1.0;               ///< yarn: turns below which a pair is interpolated
  std::span<const float> factors = {};  ///< divides each frequency: llama 3, or longrope's short list
  std::span<const float> long_factors = {};  ///< longrope's long list
};

class Rope {
 public:
  Rope() = default;
  /// `context`: the tokens the cache is configured for. Only dynamic and longrope look at it.
  Rope(const RopeParameters& parameters, uint32_t context);

  /// Pairs rotated: n_dimensions / 2.
  size_t n_pairs() const { return frequencies_.size(); }
  /// Cosines and sines at a position, n_pairs() of each, magnitude included.
  void angles(uint32_t position, std::span<float> cosines, std::span<float> sines) const;

 private:
  std::vector<double> frequencies_;
  double magnitude_ = 1.0;
};

/// Rotates heads in place. x: (n_rows, n_heads, head_dimension); cosines, sines: (n_rows, n_pairs). Pairs are
/// (i, i + n_pairs) if half_split, else (2i, 2i + 1).
void rotate(ThreadPool& pool, std::span<float> x, uint32_t n_heads, uint32_t head_dimension,
            std::span<const float> cosines, std::span<const float> sines, uint32_t n_pairs, bool half_split);

/// ALiBi's slopes (Press et al. 2022), for any number of heads: slope of head h multiplies -(distance to the
/// key).
std::vector<float> alibi_slopes(uint32_t n_heads, float max_bias);

}  // namespace ruvllm::tensor
