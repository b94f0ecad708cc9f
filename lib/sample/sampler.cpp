#include "sample/sampler.h"

#include "base/error.h"
#include "base/finite.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace ruvllm::sample {
namespace {

constexpr int kWeightBits = 40;
// Tokens less likely than e^-28 of the likeliest weigh nothing in units of 2^-40 of it.
constexpr float kNegligible = 28.0f;

/// 2^40 * e^x for x <= 0, by its Taylor series after reduction to |x| <= ln(2)/2: plain arithmetic, the same
/// on every platform, exact to 2^-40.
uint64_t weight_of(double x) {
  constexpr double kLog2E = 1.4426950408889634, kLn2 = 0.6931471805599453;
  if (!(x > -kNegligible)) return 0;
  const double power = std::nearbyint(x * kLog2E);
  const double r = x - power * kLn2;
  constexpr int kTerms = 13;
  double sum = 1.0;
  for (int i = kTerms; i > 0; --i) sum = 1.0 + sum * r / i;
  return static_cast<uint64_t>(std::ldexp(sum, kWeightBits + static_cast<int>(power)));
}

void require(bool holds, const char* name, double value, const char* wish) {
  if (!holds) throw Error(Errc::usage, "{} is {}, expected {}", name, value, wish);
}

/// Minus infinity aside, which is how a token is ruled out, logits are numbers.
void require_possible(std::span<const float> logits) {
  const auto first = find_non_finite(logits);
  if (!first) return;
  for (size_t i = *first; i < logits.size(); ++i)
    if (!std::isfinite(logits[i]) && !(logits[i] < 0))
      throw Error(Errc::corrupt_file, "the logit of token {} is {}", i, non_finite_name(logits[i]));
}

}  // namespace

int32_t largest_logit(std::span<const float> logits) {
  size_t best = 0;
  float largest = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < logits.size(); ++i)
    if (logits[i] > largest) {
      largest = logits[i];
      best = i;
    }
  return static_cast<int32_t>(best);
}

Sampler::Sampler(const SamplingParameters& parameters, int32_t n_vocabulary,
                 std::span<const int32_t> forbidden)
    : parameters_(parameters),
      random_(parameters.seed),
      forbidden_(forbidden.begin(), forbidden.end()),
      penalised_(static_cast<size_t>(n_vocabulary)) {
  for (const int32_t token : forbidden_) RUVLLM_ASSERT(token >= 0 && token < n_vocabulary);
  require(parameters.temperature >= 0, "temperature", parameters.temperature, "0 or more");
  require(parameters.top_p > 0 && parameters.top_p <= 1, "top-p", parameters.top_p, "more than 0, at most 1");
  require(parameters.top_k >= 0, "top-k", parameters.top_k, "0 or more");
  require(parameters.min_p >= 0 && parameters.min_p <= 1, "min-p", parameters.min_p, "0 to 1");
  require(parameters.repeat_penalty > 0 && std::isfinite(parameters.repeat_penalty), "repeat penalty",
          parameters.repeat_penalty, "more than 0");
  require(parameters.repeat_last >= 0, "repeat last", parameters.repeat_last, "0 or more");
  recent_.reserve(static_cast<size_t>(parameters.repeat_last));
}

void Sampler::accept(int32_t token) {
  RUVLLM_ASSERT(token >= 0 && static_cast<size_t>(token) < penalised_.size());
  const auto room = static_cast<size_t>(parameters_.repeat_last);
  if (room == 0) return;
  if (recent_.size() < room)
    recent_.push_back(token);
  else
    recent_[n_accepted_ % room] = token;
  ++n_accepted_;
}

int32_t Sampler::sample(std::span<float> logits) {
  RUVLLM_ASSERT(logits.size() == penalised_.size());
  require_possible(logits);
  for (const int32_t token : forbidden_)
    logits[static_cast<size_t>(token)] = -std::numeric_limits<float>::infinity();
  penalise(logits);
  const int32_t best = largest_logit(logits);
  const auto largest =
      static_cast<float>(finite_figure(logits[static_cast<size_t>(best)], "the largest logit"));
  if (parameters_.temperature == 0 || parameters_.top_k == 1) return best;
  collect(logits, largest);
  keep_top_k();
  weigh(largest);
  keep_top_p();
  keep_min_p();
  return draw();
}

void Sampler::penalise(std::span<float> logits) {
  if (parameters_.repeat_penalty == 1.0f) return;
  ++call_;
  for (const int32_t token : recent_) {
    const auto i = static_cast<size_t>(token);
    if (std::exchange(penalised_[i], call_) == call_) continue;
    logits[i] =
        logits[i] > 0 ? logits[i] / parameters_.repeat_penalty : logits[i] * parameters_.repeat_penalty;
  }
}

void Sampler::collect(std::span<const float> logits, float largest) {
  candidates_.reserve(logits.size());
  candidates_.clear();
  const float least = largest - kNegligible * parameters_.temperature;
  for (size_t i = 0; i < logits.size(); ++i)
    if (logits[i] >= least) candidates_.push_back({logits[i], static_cast<int32_t>(i), 0});
}

void Sampler::put_in_order(size_t first, size_t last) {
  const auto likelier = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
  };
  const auto begin = candidates_.begin();
  const auto at = [&](size_t i) { return begin + static_cast<std::ptrdiff_t>(i); };
  if (last < candidates_.size()) std::nth_element(at(first), at(last), candidates_.end(), likelier);
  std::sort(at(first), at(last), likelier);
}

void Sampler::keep_top_k() {
  const auto k = static_cast<size_t>(parameters_.top_k);
  if (k == 0 || k >= candidates_.size()) return;
  put_in_order(0, k);
  candidates_.resize(k);
}

void Sampler::weigh(float largest) {
  for (Candidate& candidate : candidates_)
    candidate.weight = weight_of((static_cast<double>(candidate.logit) - largest) / parameters_.temperature);
}

void Sampler::keep_top_p() {
  if (parameters_.top_p >= 1.0f) return;
  uint64_t total = 0;
  for (const Candidate& candidate : candidates_) total += candidate.weight;
  const double wanted = static_cast<double>(parameters_.top_p) * static_cast<double>(total);

  // Order is made in growing steps: the first few dozen usually reach the mass.
  uint64_t mass = 0;
  size_t ordered = 0;
  for (size_t i = 0; i < candidates_.size(); ++i) {
    if (i == ordered) {
      ordered = std::min(candidates_.size(), std::max<size_t>(64, ordered * 4));
      put_in_order(i, ordered);
    }
    mass += candidates_[i].weight;
    if (static_cast<double>(mass) >= wanted) {
      candidates_.resize(i + 1);
      return;
    }
  }
}

void Sampler::keep_min_p() {
  if (parameters_.min_p == 0) return;
  const double least = std::ldexp(static_cast<double>(parameters_.min_p), kWeightBits);
  std::erase_if(candidates_,
                [&](const Candidate& candidate) { return static_cast<double>(candidate.weight) < least; });
}

int32_t Sampler::draw() {
  uint64_t total = 0;
  for (const Candidate& candidate : candidates_) total += candidate.weight;
  uint64_t ticket = random_.below(total);
  for (const Candidate& candidate : candidates_) {
    if (ticket < candidate.weight) return candidate.token;
    ticket -= candidate.weight;
  }
  RUVLLM_ASSERT(false);
}

}  // namespace ruvllm::sample
