#include "solvers.h"

#include "cli/progress.h"
#include "engine/calibrate.h"
#include "model/matrix_names.h"
#include "quant/incoherence.h"

#include <set>

namespace ruvllm::quantize {
namespace {

/// A solver is made in the room of four of its matrices.
constexpr uint64_t kBytesPerElement = 4 * sizeof(float);

}  // namespace

Solvers::Solvers(const quant::Plan& plan, const cli::LoadedModel& model, std::string text,
                 uint64_t max_memory, const cli::CommonOptions& common)
    : plan_(plan), model_(model), text_(std::move(text)), max_memory_(max_memory), common_(common) {}

bool Solvers::is_solved(size_t index) const {
  const format::Tensor& tensor = plan_.source->tensors[index];
  return tensor.dimensions.size() == 2 && plan_.tensors[index].format != tensor.format &&
         tensor.name.find("ffn_gate_inp") == std::string::npos && !tensor.name.starts_with("token_embd") &&
         quant::GptqSolver::supports(plan_.tensors[index].format);
}

std::string Solvers::input_of(size_t index) const {
  return model::first_with_input_of(*plan_.source, plan_.tensors[index].name);
}

void Solvers::gather(size_t first_index) {
  std::set<std::string> inputs;
  uint64_t n_bytes = 0;
  for (size_t i = first_index; i < plan_.tensors.size(); ++i) {
    if (!is_solved(i) || inputs.contains(input_of(i))) continue;
    const uint64_t n_columns = plan_.source->tensors[i].n_columns();
    n_bytes += n_columns * n_columns * kBytesPerElement;
    if (!inputs.empty() && n_bytes > max_memory_) break;
    inputs.insert(input_of(i));
  }
  cli::Progress progress(common_, "reading the text", cli::ProgressUnit::items);
  engine::CalibrationOptions how;
  how.progress = [&](uint64_t done, uint64_t total) {
    cli::throw_if_interrupted();
    progress.update(done, total);
  };
  hessians_ = engine::collect_hessians(model_.model, *model_.file, *model_.tokenizer, *model_.pool, text_,
                                       how, inputs);
}

const quant::GptqSolver* Solvers::find(size_t index) {
  if (!is_solved(index)) return nullptr;
  const std::string input = input_of(index);
  const tensor::Rotation* rotation = plan_.rotation_of(index);
  const size_t at_once = quant::GptqSolver::quants_at_once(plan_.tensors[index].format);
  if (current_ != nullptr && current_input_ == input && current_rotation_ == rotation && current_at_once_ == at_once)
    return current_.get();
  current_.reset();
  if (!hessians_.contains(input)) gather(index);
  const auto found = hessians_.find(input);
  if (found == hessians_.end()) return nullptr;  // the model has no such matrix: an unused tensor
  current_ = std::make_unique<quant::GptqSolver>(
      rotation != nullptr ? quant::rotate_hessian(found->second, *rotation) : found->second,
      quant::GptqSolver::quants_at_once(plan_.tensors[index].format), *model_.pool);
  current_input_ = input;
  current_rotation_ = rotation;
  current_at_once_ = at_once;
  return current_.get();
}

}  // namespace ruvllm::quantize
