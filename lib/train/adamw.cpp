#include "train/adamw.h"

#include "base/error.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ruvllm::train {
namespace {

constexpr size_t kValuesInTile = 1 << 16;

}  // namespace

AdamW::AdamW(std::vector<Parameter<float>*> parameters, const AdamWOptions& options)
    : parameters_(std::move(parameters)), options_(options) {
  for (const Parameter<float>* parameter : parameters_) {
    RUVLLM_ASSERT(!parameter->is_frozen());
    first_.emplace_back(parameter->value.size(), 0.0f);
    second_.emplace_back(parameter->value.size(), 0.0f);
  }
}

double AdamW::step(float learning_rate, ThreadPool& pool) {
  // The norm is summed in one order, in double, so that a step is the same for any number of threads.
  double norm = 0;
  for (const Parameter<float>* parameter : parameters_) {
    double sum = 0;
    for (const float g : parameter->gradient) sum += static_cast<double>(g) * g;
    if (!std::isfinite(sum))
      throw Error(Errc::failed, "the gradient of {} is not finite at step {}", parameter->name, n_steps_ + 1);
    norm += sum;
  }
  norm = std::sqrt(norm);
  const float clip = options_.gradient_clip;
  const auto factor = clip > 0 && norm > clip ? static_cast<float>(clip / norm) : 1.0f;
  ++n_steps_;
  const auto t = static_cast<double>(n_steps_);
  const auto correction1 = static_cast<float>(1 / (1 - std::pow(static_cast<double>(options_.beta1), t)));
  const auto correction2 = static_cast<float>(1 / (1 - std::pow(static_cast<double>(options_.beta2), t)));
  for (size_t p = 0; p < parameters_.size(); ++p) {
    Parameter<float>& parameter = *parameters_[p];
    const float decay = parameter.shape.n_rows > 1 ? learning_rate * options_.weight_decay : 0.0f;
    const size_t n_values = parameter.value.size();
    pool.for_each_tile((n_values + kValuesInTile - 1) / kValuesInTile, [&](size_t tile, int) {
      const size_t last = std::min(n_values, (tile + 1) * kValuesInTile);
      for (size_t i = tile * kValuesInTile; i < last; ++i) {
        const float g = parameter.gradient[i] * factor;
        float& m = first_[p][i];
        float& v = second_[p][i];
        m = options_.beta1 * m + (1 - options_.beta1) * g;
        v = options_.beta2 * v + (1 - options_.beta2) * g * g;
        const float update = m * correction1 / (std::sqrt(v * correction2) + options_.epsilon);
        parameter.value[i] -= learning_rate * update + decay * parameter.value[i];
        parameter.gradient[i] = 0;
      }
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
