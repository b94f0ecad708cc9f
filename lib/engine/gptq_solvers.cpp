#include "engine/gptq_solvers.h"

#include "base/error.h"
#include "base/utf8.h"
#include "model/matrix_names.h"
#include "quant/incoherence.h"

#include <set>

namespace ruvllm::engine {
namespace {

/// A solver is made in the room of four of its matrices.
constexpr uint64_t kBytesPerElement = 4 * sizeof(float);

}  // namespace

GptqSolvers::GptqSolvers(SolverSource source, std::vector<bool> is_wanted, ThreadPool& pool)
    : source_(std::move(source)), is_wanted_(std::move(is_wanted)), pool_(pool) {}

bool GptqSolvers::is_solvable(const format::Tensor& tensor) {
  return tensor.dimensions.size() == 2 && tensor.name.ends_with(".weight") &&
         tensor.name.find("ffn_gate_inp") == std::string::npos && !tensor.name.starts_with("token_embd");
}

void GptqSolvers::gather(size_t first_index) {
  std::set<std::string> inputs;
  uint64_t n_bytes = 0;
  for (size_t i = first_index; i < is_wanted_.size(); ++i) {
    const format::Tensor& tensor = source_.file.tensors[i];
    if (!is_wanted_[i] || !is_solvable(tensor)) continue;
    const std::string input = model::first_with_input_of(source_.file, tensor.name);
    if (inputs.contains(input)) continue;
    n_bytes += tensor.n_columns() * tensor.n_columns() * kBytesPerElement;
    if (!inputs.empty() && n_bytes > source_.max_memory) break;
    inputs.insert(input);
  }
  hessians_.clear();
  hessians_ = collect_hessians(source_.model, source_.file, source_.tokenizer, pool_, source_.text,
                               source_.how, inputs);
}

const quant::GptqSolver* GptqSolvers::find(size_t index, size_t at_once, const tensor::Rotation* rotation) {
  const format::Tensor& tensor = source_.file.tensors[index];
  if (at_once == 0 || !is_wanted_[index] || !is_solvable(tensor)) return nullptr;
  const std::string input = model::first_with_input_of(source_.file, tensor.name);
  if (current_ != nullptr && current_input_ == input && current_rotation_ == rotation &&
      current_at_once_ == at_once)
    return current_.get();
  current_.reset();
  if (!hessians_.contains(input)) gather(index);
  const auto found = hessians_.find(input);
  if (found == hessians_.end()) return nullptr;  // an unused tensor
  try {
    current_ = std::make_unique<quant::GptqSolver>(
        rotation != nullptr ? quant::rotate_hessian(found->second, *rotation) : found->second, at_once,
        pool_);
  } catch (const Error& error) {
    throw with_context(error, printable(tensor.name));
  }
  current_input_ = input;
  current_rotation_ = rotation;
  current_at_once_ = at_once;
  return current_.get();
}

}  // namespace ruvllm::engine
