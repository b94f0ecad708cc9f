#include "train/trainer.h"

#include "base/error.h"
#include "format/gguf.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace ruvllm::train {
namespace {

constexpr const char* kIdentityKey = "ruvllm.checkpoint.identity";
constexpr const char* kStepKey = "ruvllm.checkpoint.step";
constexpr const char* kLossKey = "ruvllm.checkpoint.loss";

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
  RUVLLM_ASSERT(teacher_ || (options_.losses.distillation == 0 && options_.losses.reasoning == 0));
  steps_in_epoch_ = divided_up(batches_.n_batches(), options_.accumulate);
  n_steps_ = steps_in_epoch_ * options_.n_epochs;
  n_warmup_steps_ = static_cast<uint64_t>(options_.warmup_epochs * static_cast<float>(steps_in_epoch_));
}

// What the means of a batch weigh in the means of a whole step: its share in what each is the mean of. So a
// step of several batches is that of one batch in which all of them lie.
struct Trainer::Shares {
  float targets = 0, steps = 0, moves = 0, answers = 0;
};

namespace {

// What the parts of a loss are means of.
struct Counts {
  uint64_t targets = 0, steps = 0, moves = 0, answers = 0;

  explicit Counts(const Batch& batch)
      : targets(
            static_cast<uint64_t>(std::ranges::count_if(batch.targets, [](int32_t id) { return id >= 0; }))),
        steps(batch.steps.size()) {
    for (const Chain& chain : batch.chains) {
      moves += chain.end_step - std::min(chain.end_step, chain.first_step + 1);
      for (uint32_t row = chain.answer_begin; row < chain.answer_end; ++row)
        answers += batch.targets[row] >= 0;
    }
  }
  explicit Counts(std::span<const Batch> batches) {
    for (const Batch& batch : batches) {
      const Counts counts(batch);
      targets += counts.targets, steps += counts.steps, moves += counts.moves, answers += counts.answers;
    }
  }
};

float share(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0.0f : static_cast<float>(static_cast<double>(part) / static_cast<double>(whole));
}

}  // namespace

// The parts of a loss and what they weigh.
struct Trainer::Terms {
  std::vector<Var> terms;
  std::vector<float> weights;
  void add(Var term, float weight) {
    terms.push_back(term);
    weights.push_back(weight);
  }
};

LossWeights LossWeights::normalised() const {
  const float sum = task + distillation + reasoning;
  if (!(sum > 0)) return *this;
  return {task / sum, distillation / sum, reasoning / sum, temperature};
}

Trainer::Losses Trainer::losses_of(const Batch& batch, const Shares& shares) {
  tape_.clear();
  tape_.set_precision(options_.precision);
  const LossWeights& weights = options_.losses;
  const NetworkOutput output = network_.forward(tape_, batch, hook_, options_.checkpoint_activations);
  Losses losses;
  losses.task = cross_entropy<float>(tape_, output.logits, batch.targets);
  Terms terms;
  terms.add(losses.task, weights.task * shares.targets);
  losses.has_distillation = weights.distillation > 0;
  losses.has_reasoning = weights.reasoning > 0 && !batch.steps.empty();
  NetworkOutput wanted;
  if (losses.has_reasoning || (losses.has_distillation && !cache_)) {
    teacher_tape_.clear();
    wanted = teacher_->forward(teacher_tape_, batch);
  }
  if (losses.has_distillation) {
    std::vector<uint8_t> counts(batch.targets.size());
    std::transform(batch.targets.begin(), batch.targets.end(), counts.begin(),
                   [](int32_t id) { return id >= 0 ? 1 : 0; });
    losses.distillation =
        cache_
            ? distillation_top_k<float>(tape_, output.logits, cache_->of(batch), weights.temperature, counts)
            : distillation<float>(tape_, output.logits, teacher_tape_.value(wanted.logits),
                                  weights.temperature, counts);
    terms.add(losses.distillation, weights.distillation * shares.targets);
  }
  if (losses.has_reasoning) add_reasoning(batch, output.hidden, output.logits, wanted, shares, losses, terms);
  losses.total = terms.terms.size() == 1 && terms.weights[0] == 1.0f
                     ? losses.task
                     : weighted_sum<float>(tape_, terms.terms, terms.weights);
  return losses;
}

void Trainer::add_reasoning(const Batch& batch, Var hidden, Var logits, const NetworkOutput& wanted,
                            const Shares& shares, Losses& losses, Terms& terms) {
  const ReasoningOptions& options = options_.reasoning;
  const Var student = step_states(tape_, hidden, batch, options);
  const std::vector<float> teacher = step_states<float>(pool_, teacher_tape_.shape(wanted.hidden),
                                                        teacher_tape_.value(wanted.hidden), batch, options);
  losses.step = step_loss<float>(tape_, student, teacher, batch);
  losses.trajectory = trajectory_loss<float>(tape_, student, teacher, batch);
  const float weight = options_.losses.reasoning;
  terms.add(losses.step, weight * options.step * shares.steps);
  terms.add(losses.trajectory, weight * options.trajectory * shares.moves);
  // The answer's agreement has no gradient; its tokens' cross-entropy has.
  if (shares.answers == 0) return;
  std::vector<int32_t> answers(batch.targets.size(), -1);
  for (const Chain& chain : batch.chains)
    for (uint32_t row = chain.answer_begin; row < chain.answer_end; ++row) answers[row] = batch.targets[row];
  terms.add(cross_entropy<float>(tape_, logits, answers), weight * options.answer * shares.answers);
}

StepReport Trainer::step() {
  RUVLLM_ASSERT(!is_done());
  StepReport report;
  report.step = step_ + 1;
  report.n_steps = n_steps_;
  report.epoch = step_ / steps_in_epoch_;
  const std::vector<Batch>& epoch = batches_.epoch(report.epoch);
  const uint64_t first = step_ % steps_in_epoch_ * options_.accumulate;
  const uint64_t last = std::min<uint64_t>(first + options_.accumulate, epoch.size());
  const Counts whole{std::span<const Batch>(epoch).subspan(first, last - first)};
  for (uint64_t i = first; i < last; ++i) {
    const Counts counts(epoch[i]);
    const Shares shares = {.targets = share(counts.targets, whole.targets),
                           .steps = share(counts.steps, whole.steps),
                           .moves = share(counts.moves, whole.moves),
                           .answers = share(counts.answers, whole.answers)};
    const Losses losses = losses_of(epoch[i], shares);
    const float loss = tape_.value(losses.total)[0];
    if (!std::isfinite(loss))
      throw Error(Errc::failed, "step {}, batch {}: the loss is {}, for {} is not finite", report.step, i,
                  loss, culprit(epoch[i]));
    report.loss += loss;
    report.task_loss += tape_.value(losses.task)[0] * shares.targets;
    if (losses.has_distillation)
      report.distillation_loss += tape_.value(losses.distillation)[0] * shares.targets;
    if (losses.has_reasoning) {
      report.step_loss += tape_.value(losses.step)[0] * shares.steps;
      report.trajectory_loss += tape_.value(losses.trajectory)[0] * shares.moves;
    }
    report.n_tokens += epoch[i].tokens.size();
    tape_.backward(losses.total);
  }
  report.learning_rate = cosine_learning_rate(step_, n_warmup_steps_, n_steps_, options_.learning_rate);
  try {
    report.gradient_norm = optimiser_.step(report.learning_rate, pool_);
  } catch (const Error& error) {
    throw with_context(error, fmt::format("step {}, batch {}", report.step, last - 1));
  }
  ++step_;
  last_loss_ = report.loss;
  return report;
}

std::string Trainer::culprit(const Batch& batch) {
  const auto is_finite = [](std::span<const float> values) {
    return std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
  };
  for (const Parameter<float>* parameter : parameters_)
    if (!is_finite(parameter->value)) return parameter->name;
  std::string found = "the output";
  bool is_first = true;
  network_.observe([&](const Network::MatrixInput& input) {
    if (!is_first || is_finite(input.x)) return;
    is_first = false;
    found = "the input of " + input.weight;
  });
  tape_.clear();
  network_.forward(tape_, batch, hook_);
  network_.observe({});
  return found;
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
    if (teacher_ && !batch.steps.empty()) count_reasoning(batch, output, evaluation.reasoning);
  }
  evaluation.nll = evaluation.n_tokens ? sum / static_cast<double>(evaluation.n_tokens) : 0;
  evaluation.perplexity = std::exp(evaluation.nll);
  return evaluation;
}

void Trainer::count_reasoning(const Batch& batch, const NetworkOutput& output, ReasoningMetrics& metrics) {
  teacher_tape_.clear();
  const NetworkOutput wanted = teacher_->forward(teacher_tape_, batch);
  const ReasoningOptions& options = options_.reasoning;
  const Var student = step_states(tape_, output.hidden, batch, options);
  const std::vector<float> teacher = step_states<float>(pool_, teacher_tape_.shape(wanted.hidden),
                                                        teacher_tape_.value(wanted.hidden), batch, options);
  metrics.add(tape_.value(student), teacher, batch, options.threshold);
  const size_t n = tape_.shape(output.logits).n_columns;
  // What each would say, given the tokens before.
  const auto answer = [&](std::span<const float> logits, const Chain& chain) {
    std::vector<int32_t> tokens;
    for (uint32_t row = chain.answer_begin; row < chain.answer_end; ++row) {
      const auto first = logits.begin() + static_cast<ptrdiff_t>(row * n);
      tokens.push_back(
          static_cast<int32_t>(std::max_element(first, first + static_cast<ptrdiff_t>(n)) - first));
    }
    return decode_ ? decode_(tokens) : fmt::format("{}", fmt::join(tokens, " "));
  };
  for (const Chain& chain : batch.chains) {
    if (chain.answer_begin == chain.answer_end) continue;
    metrics.add_answers(answer(teacher_tape_.value(wanted.logits), chain),
                        answer(tape_.value(output.logits), chain));
  }
}

void Trainer::save_checkpoint(const std::filesystem::path& path, const std::string& identity) {
  format::Metadata metadata;
  metadata.add("general.architecture", metadata.keep("ruvllm-checkpoint"));
  metadata.add(kIdentityKey, metadata.keep(identity));
  metadata.add(kStepKey, step_);
  metadata.add(kLossKey, last_loss_);
  std::vector<format::TensorPlan> plans;
  const std::vector<StateTensor> tensors = state_tensors(parameters_, optimiser_);
  for (const StateTensor& tensor : tensors)
    plans.push_back({tensor.name, tensor::Format::F32, {tensor.values->size()}});
  format::GgufWriter writer(path, metadata, plans);
  for (size_t i = 0; i < tensors.size(); ++i)
    writer.write_tensor(i, std::as_bytes(std::span(*tensors[i].values)));
  writer.commit();
}

void Trainer::load_checkpoint(const std::filesystem::path& path, const Identity& identity) {
  const auto file = format::read_gguf(path);
  const auto kept = file->metadata.string(kIdentityKey);
  if (!kept)
    throw Error(Errc::corrupt_file, "{}: no checkpoint, for {} is missing", path.string(), kIdentityKey);
  if (const std::string differences = identity.differences(*kept); !differences.empty())
    throw Error(Errc::usage, "--resume: {} is a checkpoint of another run: {}", path.string(), differences);
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
  last_loss_ = static_cast<float>(file->metadata.number(kLossKey).value_or(0));
  optimiser_.restore_steps(step_);
}

}  // namespace ruvllm::train
