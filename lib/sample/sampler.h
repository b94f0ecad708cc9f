// Choosing a token from logits: repetition penalty, temperature, filters, the draw. A Sampler belongs to one
// sequence.
//
// Probabilities are kept as integers in units of 2^-40 of the likeliest token's. Sums are then exact whatever
// their order, so that a seed gives the same text on every platform. No full sort: only as many candidates
// are put in order as the filters look at. Tested by tests/sample/.
#pragma once

#include "base/random.h"

#include <cstdint>
#include <span>
#include <vector>

namespace ruvllm::sample {

struct SamplingParameters {
  float temperature = 0.7f;  ///< 0: the largest logit, lowest id on ties
  float top_p = 0.9f;        ///< keep the fewest tokens that together are this likely; 1: all
  int top_k = 0;             ///< keep the k likeliest; 0: all
  float min_p = 0.0f;        ///< keep tokens at least this fraction as likely as the likeliest
  float repeat_penalty =
      1.1f;              ///< positive logits of recent tokens are divided by it, negative multiplied; 1: none
  int repeat_last = 64;  ///< how many of the last tokens the penalty sees
  uint64_t seed = 0;
};

class Sampler {
 public:
  /// Tokens of `forbidden` are never chosen. Throws Errc::usage naming the parameter that is out of range.
  Sampler(const SamplingParameters& parameters, int32_t n_vocabulary,
          std::span<const int32_t> forbidden = {});

  /// Chooses the next token: penalty, temperature, then top-k, top-p and min-p in this order. `logits` is
  /// changed. Minus infinity is an impossible token. Throws Errc::corrupt_file for a logit that is NaN or
  /// infinity, and where no token is possible. Allocates nothing after the first call.
  int32_t sample(std::span<float> logits);
  /// Tells of a token that is now part of the text (prompt tokens too), for the penalty.
  void accept(int32_t token);

 private:
  struct Candidate {
    float logit;
    int32_t token;
    uint64_t weight;  // probability, in units of 2^-40 of the largest
  };

  void penalise(std::span<float> logits);
  void collect(std::span<const float> logits, float largest);
  void keep_top_k();
  void weigh(float largest);
  void keep_top_p();
  void keep_min_p();
  int32_t draw();
  void put_in_order(size_t first, size_t last);

  SamplingParameters parameters_;
  Random random_;
  std::vector<int32_t> forbidden_;
  std::vector<int32_t> recent_;  // ring of the last repeat_last tokens
  size_t n_accepted_ = 0;
  std::vector<uint32_t> penalised_;  // by token: the call of sample() that last penalised it
  uint32_t call_ = 0;
  std::vector<Candidate> candidates_;
};

/// The index of the largest logit, the lowest on ties; no logit is NaN.
int32_t largest_logit(std::span<const float> logits);

}  // namespace ruvllm::sample
