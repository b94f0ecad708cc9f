#include "train/run.h"

#include "base/error.h"
#include "base/json.h"
#include "kernels/kernels.h"

#include <algorithm>

namespace ruvllm::train {
namespace {

constexpr const char* kCheckpointName = "last.ckpt.gguf";

// What a checkpoint is a checkpoint of: a run with other options or data is another run.
std::string identity_of(const RunOptions& options, const Network& network, const BatchMaker& batches) {
  const TrainerOptions& t = options.trainer;
  const Json identity = {{"target", options.target},
                         {"architecture", network.hparams().arch->name},
                         {"parameters", network.n_values()},
                         {"data_tokens", batches.n_tokens()},
                         {"sequence_tokens", options.sequence_tokens},
                         {"batch_tokens", options.batch_tokens},
                         {"seed", options.seed},
                         {"epochs", t.n_epochs},
                         {"learning_rate", t.learning_rate},
                         {"warmup_epochs", t.warmup_epochs},
                         {"accumulate", t.accumulate},
                         {"weight_decay", t.optimiser.weight_decay},
                         {"gradient_clip", t.optimiser.gradient_clip},
                         {"lambda_task", t.losses.task},
                         {"lambda_kd", t.losses.distillation},
                         {"kd_temperature", t.losses.temperature},
                         {"precision", static_cast<int>(t.precision)},
                         {"qat", options.qat.enabled},
                         {"rule", static_cast<int>(options.qat.rule.rule)},
                         {"clip", options.qat.rule.clip},
                         {"lambda", options.qat.rule.lambda}};
  return dump_json(identity);
}

tensor::Format format_of(const std::string& name) {
  const kernels::Traits* traits = kernels::find_format(name.c_str());
  if (!traits || !kernels::active().encode[static_cast<size_t>(traits->format)])
    throw Error(Errc::usage, "--target: '{}' is no type that weights can be written in", name);
  return traits->format;
}

// One run in progress.
class Run {
 public:
  Run(Subject& subject, const RunOptions& options, ThreadPool& pool, const RunObserver& observer)
      : subject_(subject),
        options_(options),
        pool_(pool),
        observer_(observer),
        types_(plan_types(*subject.network, format_of(options.target))),
        batches_(read(options.data), options.sequence_tokens, options.batch_tokens, options.seed) {
    if (options.evaluation)
      held_out_ = std::make_unique<BatchMaker>(read({*options.evaluation}), options.sequence_tokens,
                                               options.batch_tokens, 0);
    subject_.network->set_trainable(true);
    if (options.qat.enabled)
      quantiser_ = std::make_unique<FakeQuantiser>(*subject_.network, types_, options.qat.rule, pool);
    trainer_ = std::make_unique<Trainer>(*subject_.network, subject_.teacher.get(), batches_, options.trainer,
                                         pool, quantiser_ ? quantiser_->hook() : Network::WeightHook{});
    identity_ = identity_of(options, *subject_.network, batches_);
  }

  RunResult run(const std::atomic<bool>& cancel) {
    RunResult result;
    if (options_.resume) resume();
    result.before = evaluate(trainer_->step_number() == 0 ? "before" : "resumed");
    phase("train");
    while (!trainer_->is_done()) {
      if (cancel) stop();
      if (quantiser_) quantiser_->refresh();
      const StepReport report = trainer_->step();
      result.last_loss = report.loss;
      if (observer_.on_step) observer_.on_step(report);
      if (options_.checkpoint_folder && report.step % options_.checkpoint_every == 0) save();
    }
    result.n_steps = trainer_->n_steps();
    result.after = evaluate("after");
    phase("export");
    if (options_.checkpoint_folder) save();
    export_network(*subject_.network, types_, subject_.metadata, options_.output, pool_);
    verify(result);
    return result;
  }

 private:
  void phase(std::string_view name) const {
    if (observer_.on_phase) observer_.on_phase(name);
  }

  std::vector<Document> read(const std::vector<std::filesystem::path>& files) const {
    phase("read");
    return read_documents(files, *subject_.tokenizer, subject_.render_chat);
  }

  std::optional<Evaluation> evaluate(std::string_view what) {
    if (!held_out_) return std::nullopt;
    phase("evaluate");
    if (quantiser_) quantiser_->refresh();
    const Evaluation evaluation = trainer_->evaluate(*held_out_);
    if (observer_.on_evaluation) observer_.on_evaluation(what, evaluation);
    return evaluation;
  }

  std::filesystem::path checkpoint() const { return *options_.checkpoint_folder / kCheckpointName; }

  void save() {
    std::filesystem::create_directories(*options_.checkpoint_folder);
    trainer_->save_checkpoint(checkpoint(), identity_);
  }

  void resume() {
    if (!options_.checkpoint_folder || !std::filesystem::exists(checkpoint())) {
      if (observer_.on_note) observer_.on_note("no checkpoint to resume from; starting at the beginning");
      return;
    }
    trainer_->load_checkpoint(checkpoint(), identity_);
  }

  [[noreturn]] void stop() {
    if (!options_.checkpoint_folder)
      throw Error(Errc::interrupted, "interrupted at step {}", trainer_->step_number());
    save();
    throw Error(Errc::resumable, "interrupted at step {} of {}; run the same command with --resume to go on",
                trainer_->step_number(), trainer_->n_steps());
  }

  // Reads the file back: what it holds must be what was evaluated.
  void verify(RunResult& result) {
    phase("verify");
    const auto file = format::open_model_file(options_.output);
    result.file_bytes = file->file_bytes();
    uint64_t weight_bytes = 0, n_values = 0;
    for (const format::Tensor& tensor : file->tensors)
      weight_bytes += tensor.bytes.size(), n_values += tensor.n_values();
    result.bits_per_weight = 8.0 * static_cast<double>(weight_bytes) / static_cast<double>(n_values);
    if (!held_out_) return;
    Network exported(*file);
    Trainer reader(exported, nullptr, batches_, TrainerOptions{}, pool_);
    result.exported = reader.evaluate(*held_out_);
    if (observer_.on_evaluation) observer_.on_evaluation("exported", *result.exported);
  }

  Subject& subject_;
  const RunOptions& options_;
  ThreadPool& pool_;
  const RunObserver& observer_;
  TypePlan types_;
  BatchMaker batches_;
  std::unique_ptr<BatchMaker> held_out_;
  std::unique_ptr<FakeQuantiser> quantiser_;
  std::unique_ptr<Trainer> trainer_;
  std::string identity_;
};

}  // namespace

RunResult run_training(Subject& subject, const RunOptions& options, ThreadPool& pool,
                       const RunObserver& observer, const std::atomic<bool>& cancel) {
  if (options.trainer.losses.distillation > 0 && !subject.teacher)
    throw Error(Errc::usage, "distillation needs a teacher");
  return Run(subject, options, pool, observer).run(cancel);
}

}  // namespace ruvllm::train
