#include "report.h"

#include "base/strings.h"
#include "base/utf8.h"
#include "cli/console.h"

#include <algorithm>

namespace ruvllm::quantize {
namespace {

std::string shape_text(const std::vector<uint64_t>& dimensions) {
  std::string text;
  for (const uint64_t dimension : dimensions) text += (text.empty() ? "" : "x") + std::to_string(dimension);
  return text;
}

}  // namespace

Report::Report(const quant::Plan& plan, const cli::CommonOptions& common) : plan_(plan), common_(common) {
  for (const format::TensorPlan& tensor : plan.tensors)
    name_width_ = std::max(name_width_, tensor.name.size());
}

void Report::add_tensor(size_t index, std::optional<double> error) {
  const format::Tensor& source = plan_.source->tensors[index];
  const format::TensorPlan& plan = plan_.tensors[index];
  const std::optional<quant::Format> wanted = plan_.choices[index].wanted;
  if (common_.json) {
    Json json = {{"name", to_valid_utf8(plan.name)},
                 {"shape", plan.dimensions},
                 {"from", tensor::format_name(source.format)},
                 {"type", tensor::format_name(plan.format)},
                 {"bytes", plan.n_bytes()}};
    if (error) json["error"] = *error;
    if (wanted) json["wanted"] = tensor::format_name(*wanted);
    if (plan_.rotation_of(index) != nullptr) json["rotated"] = true;
    tensors_.push_back(std::move(json));
    return;
  }
  std::string text = fmt::format("{:<{}}  {:>12}  {:>4} -> {:<7}  {:>10}", printable(plan.name), name_width_,
                                 shape_text(plan.dimensions), tensor::format_name(source.format),
                                 tensor::format_name(plan.format), format_bytes(plan.n_bytes()));
  if (error) text += fmt::format("  error {:.3f} %", 100 * *error);
  if (plan_.rotation_of(index) != nullptr) text += "  rotated";
  if (wanted)
    text += fmt::format("  (rows of {} don't divide into blocks of {})", source.n_columns(),
                        tensor::format_name(*wanted));
  cli::print(text + "\n");
}

void Report::add_comparison(const engine::Comparison& comparison) {
  comparison_ = comparison;
  if (common_.json) return;
  cli::print(
      fmt::format("perplexity {:.4f}; KL divergence from the input {:.5f} on average, {:.4f} at 99 %; "
                  "the same likeliest token in {:.2f} %\n",
                  comparison.perplexity.perplexity(), comparison.divergence.mean_kl,
                  comparison.divergence.kl_99, 100 * comparison.divergence.top1_agreement));
}

void Report::finish(std::string_view type, const std::string& output, double seconds) {
  const uint64_t source_bytes = plan_.source->file_bytes();
  if (!common_.json) {
    const std::string end = output.empty() ? std::string("nothing written")
                                           : fmt::format("{:.1f} s: {}", seconds, printable(output));
    cli::print(fmt::format("{}: {:.2f} bits per weight, {} -> {} ({} bytes), {}\n", type,
                           plan_.bits_per_weight(), format_bytes(source_bytes),
                           format_bytes(plan_.file_bytes()), plan_.file_bytes(), end));
    return;
  }
  Json json = {{"type", type},
               {"output", output.empty() ? Json() : Json(to_valid_utf8(output))},
               {"tensors", tensors_},
               {"bits_per_weight", plan_.bits_per_weight()},
               {"source_bytes", source_bytes},
               {"bytes", plan_.file_bytes()},
               {"seconds", seconds}};
  if (comparison_) {
    json["perplexity"] = comparison_->perplexity.perplexity();
    json["mean_kl"] = comparison_->divergence.mean_kl;
    json["kl_99"] = comparison_->divergence.kl_99;
    json["top1_agreement"] = comparison_->divergence.top1_agreement;
  }
  cli::print(dump_json(json) + "\n");
}

}  // namespace ruvllm::quantize
