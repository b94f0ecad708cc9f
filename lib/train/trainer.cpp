#include "train/trainer.h"

#include "base/error.h"
#include "format/gguf.h"

#include <algorithm>
#include <cmath>

namespace ruvllm::train {
namespace {

constexpr const char* kIdentityKey = "ruvllm.checkpoint.identity";
constexpr const char* kStepKey = "ruvllm.checkpoint.step";

std::vector<Parameter<float>*> trained_parameters(Network& network,
                                                  const std::vector<Parameter<float>*>& extra) {
  std::vector<Parameter<float>*> trained;
  for (const auto& parameter : network.parameters())
    if (!parameter->is_frozen()) trained.push_back(parameter.get());
  trained.insert(trained.end(), extra.begin(), extra.end());
  return trained;
}

uint64_t divided_up(uint64_t n, uint64_t unit) { return (n + unit - 1) / unit; }

// A checkpoint holds three tensors a parameter, one after the other: the values and Adam's two moments.
struct StateTensor {
  std::string name;
  std::vector<float>* values;
};

std::vector<StateTensor> state_tensors(const std::vector<Parameter<float>*>& parameters, AdamW& optimiser) {
  std::vector<StateTensor> tensors;
  for (size_t i = 0; i < parameters.size(); ++i) {
    tensors.push_back({fmt::format("{}.value", i), &parameters[i]->value});
    tensors.push_back({fmt::format("{}.first_moment", i), &optimiser.first_moments()[i]});
    tensors.push_back({fmt::format("{}.second_moment", i), &optimiser.second_moments()[i]});
  }
  return tensors;
}

}  // namespace

Trainer::Trainer(Network& network, Network* teacher, BatchMaker& batches, const TrainerOptions& options,
                 ThreadPool& pool, Network::WeightHook hook, std::vector<Parameter<float>*> extra)
    : network_(network),
      teacher_(teacher),
      batches_(batches),
      options_(options),
      pool_(pool),
      hook_(std::move(hook)),
      parameters_(trained_parameters(network, extra)),
      optimiser_(parameters_, options.optimiser),
      tape_(pool),
      teacher_tape_(pool) {
  RUVLLM_ASSERT(teacher_ || options_.losses.distillation == 0);
  steps_in_epoch_ = divided_up(batches_.n_batches(), options_.accumulate);
  n_steps_ = steps_in_epoch_ * options_.n_epochs;
}

Trainer::Losses Trainer::losses_of(const Batch& batch) {
  tape_.clear();
  tape_.set_precision(options_.precision);
  const NetworkOutput output = network_.forward(tape_, batch, hook_, options_.checkpoint_activations);
  Losses losses;
  losses.task = cross_entropy<float>(tape_, output.logits, batch.targets);
  losses.total = losses.task;
  if (options_.losses.distillation == 0) {
    if (options_.losses.task != 1.0f) losses.total = scale(tape_, losses.task, options_.losses.task);
    return losses;
  }
  teacher_tape_.clear();
  const NetworkOutput wanted = teacher_->forward(teacher_tape_, batch);
  std::vector<uint8_t> counts(batch.targets.size());
  std::transform(batch.targets.begin(), batch.targets.end(), counts.begin(),
                 [](int32_t id) { return id >= 0 ? 1 : 0; });
  losses.distillation = distillation<float>(tape_, output.logits, teacher_tape_.value(wanted.logits),
                                            options_.losses.temperature, counts);
  losses.has_distillation = true;
  const Var terms[] = {losses.task, losses.distillation};
  const float weights[] = {options_.losses.task, options_.losses.distillation};
  losses.total = weighted_sum<float>(tape_, terms, weights);
  return losses;
}

StepReport Trainer::step() {
  RUVLLM_ASSERT(!is_done());
  const auto start = std::chrono::steady_clock::now();
  StepReport report;
  report.step = step_ + 1;
  report.n_steps = n_steps_;
  report.epoch = step_ / steps_in_epoch_;
  const std::vector<Batch>& epoch = batches_.epoch(report.epoch);
  const uint64_t first = step_ % steps_in_epoch_ * options_.accumulate;
  const uint64_t last = std::min<uint64_t>(first + options_.accumulate, epoch.size());
  const auto n_batches = static_cast<float>(std::max<uint64_t>(1, last - first));
  for (uint64_t i = first; i < last; ++i) {
    const Losses losses = losses_of(epoch[i]);
    const float loss = tape_.value(losses.total)[0];
    if (!std::isfinite(loss))
      throw Error(Errc::failed, "the loss is not finite at step {}, batch {}", report.step, i);
    report.loss += loss / n_batches;
    report.task_loss += tape_.value(losses.task)[0] / n_batches;
    if (losses.has_distillation) report.distillation_loss += tape_.value(losses.distillation)[0] / n_batches;
    report.n_tokens += epoch[i].tokens.size();
    tape_.backward(losses.total, 1.0f / n_batches);
  }
  const auto warmup = static_cast<uint64_t>(options_.warmup_epochs * static_cast<float>(steps_in_epoch_));
  report.learning_rate = cosine_learning_rate(step_, std::min(warmup, std::max<uint64_t>(1, n_steps_ / 10)),
                                              n_steps_, options_.learning_rate);
  report.gradient_norm = optimiser_.step(report.learning_rate, pool_);
  ++step_;
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

Evaluation Trainer::evaluate(BatchMaker& held_out) {
  Evaluation evaluation;
  double sum = 0;
  tape_.set_precision(tensor::Precision::f32);
  for (const Batch& batch : held_out.epoch(0)) {
    tape_.clear();
    const NetworkOutput output = network_.forward(tape_, batch, hook_);
    const auto n_counted = static_cast<uint64_t>(
        std::count_if(batch.targets.begin(), batch.targets.end(), [](int32_t id) { return id >= 0; }));
    sum += static_cast<double>(tape_.value(cross_entropy<float>(tape_, output.logits, batch.targets))[0]) *
           static_cast<double>(n_counted);
    evaluation.n_tokens += n_counted;
  }
  evaluation.nll = evaluation.n_tokens ? sum / static_cast<double>(evaluation.n_tokens) : 0;
  evaluation.perplexity = std::exp(evaluation.nll);
  return evaluation;
}

void Trainer::save_checkpoint(const std::filesystem::path& path, const std::string& identity) {
  format::Metadata metadata;
  metadata.add("general.architecture", metadata.keep("ruvllm-checkpoint"));
  metadata.add(kIdentityKey, metadata.keep(identity));
  metadata.add(kStepKey, step_);
  std::vector<format::TensorPlan> plans;
  const std::vector<StateTensor> tensors = state_tensors(parameters_, optimiser_);
  for (const StateTensor& tensor : tensors)
    plans.push_back({tensor.name, tensor::Format::F32, {tensor.values->size()}});
  format::GgufWriter writer(path, metadata, plans);
  for (size_t i = 0; i < tensors.size(); ++i)
    writer.write_tensor(i, std::as_bytes(std::span(*tensors[i].values)));
  writer.commit();
}

void Trainer::load_checkpoint(const std::filesystem::path& path, const std::string& identity) {
  const auto file = format::read_gguf(path);
  if (file->metadata.string(kIdentityKey) != identity)
    throw Error(Errc::corrupt_file, "{}: a checkpoint of another run; its options or data differ",
                path.string());
  const auto step = file->metadata.integer(kStepKey);
  if (!step || *step < 0 || static_cast<uint64_t>(*step) > n_steps_)
    throw Error(Errc::corrupt_file, "{}: {} is missing or past the end of the run", path.string(), kStepKey);
  for (const StateTensor& tensor : state_tensors(parameters_, optimiser_)) {
    const format::Tensor* stored = file->find(tensor.name);
    if (!stored || stored->format != tensor::Format::F32 || stored->n_values() != tensor.values->size())
      throw Error(Errc::corrupt_file, "{}: tensor {} is missing or of another size", path.string(),
                  tensor.name);
    std::memcpy(tensor.values->data(), stored->bytes.data(), stored->bytes.size());
  }
  step_ = static_cast<uint64_t>(*step);
  optimiser_.restore_steps(step_);
}

}  // namespace ruvllm::train
