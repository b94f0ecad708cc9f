// What is told of a quantisation: a line a tensor and a sum, for people or as JSON.
#pragma once

#include "base/json.h"
#include "cli/app.h"
#include "engine/perplexity.h"
#include "quant/quantize_model.h"

#include <optional>
#include <string>

namespace ruvllm::quantize {

class Report {
 public:
  Report(const quant::Plan& plan, const cli::CommonOptions& common);

  /// `error` where it was measured.
  void add_tensor(size_t index, std::optional<double> error);
  void add_comparison(const engine::Comparison& comparison);
  /// `output` empty: a dry run.
  void finish(std::string_view type, const std::string& output, double seconds);

 private:
  const quant::Plan& plan_;
  const cli::CommonOptions& common_;
  size_t name_width_ = 0;
  Json tensors_ = Json::array();
  std::optional<engine::Comparison> comparison_;
};

}  // namespace ruvllm::quantize
