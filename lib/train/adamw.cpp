#include "train/adamw.h"

#include "base/error.h"
#include "train/ops/vector.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <span>

namespace ruvllm::train {
namespace {

constexpr size_t kValuesInTile = 1 << 16;
constexpr size_t kValuesInSum = 1 << 12;

size_t n_tiles(size_t n_values) { return (n_values + kValuesInTile - 1) / kValuesInTile; }

// In f32 a few thousand at a time, in double where that overflows.
double sum_of_squares(std::span<const float> values) {
  double sum = 0;
  for (size_t first = 0; first < values.size(); first += kValuesInSum) {
    const auto part = values.subspan(first, std::min(kValuesInSum, values.size() - first));
    const float squares = dot(part.data(), part.data(), part.size());
    if (std::isfinite(squares)) {
      sum += static_cast<double>(squares);
    } else {
      for (const float value : part) sum += static_cast<double>(value) * value;
    }
  }
  return sum;
}

}  // namespace

AdamW::AdamW(std::vector<Parameter<float>*> parameters, const AdamWOptions& options)
    : parameters_(std::move(parameters)), options_(options) {
  for (const Parameter<float>* parameter : parameters_) {
    RUVLLM_ASSERT(!parameter->is_frozen());
    first_.emplace_back(parameter->value.size(), 0.0f);
    second_.emplace_back(parameter->value.size(), 0.0f);
  }
}

// Tiles are summed in one order, in double, so that a step is the same for any number of threads.
double AdamW::gradient_norm(ThreadPool& pool) {
  double norm = 0;
  for (const Parameter<float>* parameter : parameters_) {
    const std::span<const float> gradient = parameter->gradient;
    sums_.assign(n_tiles(gradient.size()), 0.0);
    pool.for_each_tile(sums_.size(), [&](size_t tile, int) {
      const size_t first = tile * kValuesInTile;
      sums_[tile] = sum_of_squares(gradient.subspan(first, std::min(kValuesInTile, gradient.size() - first)));
    });
    const double sum = std::accumulate(sums_.begin(), sums_.end(), 0.0);
    if (!std::isfinite(sum))
      throw Error(Errc::failed, "the gradient of {} is not finite at step {}", parameter->name, n_steps_ + 1);
    norm += sum;
  }
  return std::sqrt(norm);
}

double AdamW::step(float learning_rate, ThreadPool& pool) {
  const double norm = gradient_norm(pool);
  const float clip = options_.gradient_clip;
  ++n_steps_;
  const auto t = static_cast<double>(n_steps_);
  const auto correction = [t](float beta) {
    return static_cast<float>(1 / (1 - std::pow(static_cast<double>(beta), t)));
  };
  kernels::AdamWStep step{.gradient_factor = clip > 0 && norm > clip ? static_cast<float>(clip / norm) : 1.0f,
                          .beta1 = options_.beta1,
                          .beta2 = options_.beta2,
                          .correction1 = correction(options_.beta1),
                          .correction2 = correction(options_.beta2),
                          .epsilon = options_.epsilon,
                          .learning_rate = learning_rate,
                          .decay = 0};
  for (size_t p = 0; p < parameters_.size(); ++p) {
    Parameter<float>& parameter = *parameters_[p];
    step.decay = parameter.shape.n_rows > 1 ? learning_rate * options_.weight_decay : 0.0f;
    const size_t n_values = parameter.value.size();
    pool.for_each_tile(n_tiles(n_values), [&](size_t tile, int) {
      const size_t first = tile * kValuesInTile;
      kernels::training().adamw(step, parameter.value.data() + first, parameter.gradient.data() + first,
                                first_[p].data() + first, second_[p].data() + first,
                                std::min(kValuesInTile, n_values - first));
    });
  }
  return norm;
}

float cosine_learning_rate(uint64_t step, uint64_t warmup_steps, uint64_t total_steps, float peak,
                           float final_fraction) {
  if (step < warmup_steps) return peak * static_cast<float>(step + 1) / static_cast<float>(warmup_steps);
  if (step >= total_steps) return peak * final_fraction;
  const double progress = static_cast<double>(step - warmup_steps) /
                          static_cast<double>(std::max<uint64_t>(1, total_steps - warmup_steps));
  const double wave = 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return peak * static_cast<float>(final_fraction + (1 - final_fraction) * wave);
}

}  // namespace ruvllm::train
