#include "train/run.h"

#include "base/error.h"
#include "train/data_file.h"
#include "train/identity.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>

namespace ruvllm::train {
namespace {

constexpr const char* kCheckpointName = "last.ckpt.gguf";
constexpr const char* kFailedName = "failed.ckpt.gguf";
constexpr uint64_t kHeldBackTokens = 16384;

// One run in progress.
class Run {
 public:
  Run(Subject& subject, const RunOptions& options, ThreadPool& pool, const RunObserver& observer)
      : subject_(subject),
        options_(options),
        pool_(pool),
        observer_(observer),
        types_(plan_types(*subject.network, subject.metadata, options.recipe)),
        batches_(read_training(), options.sequence_tokens, options.batch_tokens, options.seed) {
    for (const std::string& line : fall_backs(*subject.network, subject.metadata, options.recipe)) note(line);
    note_cuts(batches_);
    if (options.evaluation)
      held_out_ =
          std::make_unique<BatchMaker>(read_held_out(), options.sequence_tokens, options.batch_tokens, 0);
    if (!held_back_.empty())
      judge_ = std::make_unique<BatchMaker>(std::move(held_back_), options.sequence_tokens,
                                            options.batch_tokens, 0);
    check_weights();
    if (subject_.teacher) teacher_sha256_ = sha256_of(*subject_.teacher);
    identify();
    if (options.qat.enabled) {
      if (options.calibration_tokens > 0) calibrate();
      own_ = plan_own_formats(*subject_.network, subject_.metadata, types_, calibration_.importance,
                              options.own, pool);
      if (options.pi_k != 0) own_.k = options.pi_k;
      note_own_formats();
      quantiser_ = std::make_unique<FakeQuantiser>(*subject_.network, types_, calibration_.importance, own_,
                                                   options.qat, pool);
    }
    Network::WeightHook hook = quantiser_ ? quantiser_->hook() : Network::WeightHook{};
    std::vector<Parameter<float>*> extra =
        quantiser_ ? quantiser_->learned() : std::vector<Parameter<float>*>{};
    if (options.lora_rank > 0) {
      adapter_ = std::make_unique<Adapter>(*subject_.network, options.lora_rank, adapter_use(), options.seed);
      hook = adapter_->hook(std::move(hook));
      std::ranges::copy(adapter_->trained(), std::back_inserter(extra));
    } else {
      subject_.network->set_trainable(true);
    }
    trainer_ = std::make_unique<Trainer>(*subject_.network, subject_.teacher.get(), batches_, options.trainer,
                                         pool, std::move(hook), std::move(extra));
    trainer_->decode_with(
        [this](std::span<const int32_t> tokens) { return subject_.tokenizer->decode(tokens, false); });
    if (options.teacher_cache.k > 0) open_cache();
  }

  RunResult run(const std::atomic<bool>& cancel) {
    RunResult result;
    if (judge_) measure_start();
    if (options_.resume) resume();
    if (quantiser_) result.full = evaluate("full precision", false);
    result.before = evaluate(trainer_->step_number() == 0 ? "before" : "resumed");
    if (quantiser_ && observer_.on_errors) observer_.on_errors("before", quantiser_->errors());
    std::string_view running;
    while (!trainer_->is_done()) {
      if (cancel) stop();
      const auto start = std::chrono::steady_clock::now();
      const bool warms_up = trainer_->is_warming_up();
      const std::string_view now = warms_up ? "warm up" : "train";
      if (now != running) phase(running = now);
      if (quantiser_) {
        quantiser_->set_active(!warms_up);
        if (trainer_->ends_warm_up()) quantiser_->restart_steps();
        if (!warms_up) refresh();
      }
      StepReport report = step();
      report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      if (observer_.on_step) observer_.on_step(report);
      if (options_.checkpoint_folder && report.step % options_.checkpoint_every == 0) save();
    }
    result.n_steps = trainer_->n_steps();
    result.last_loss = trainer_->last_loss();
    refresh();
    if (quantiser_ && observer_.on_errors) observer_.on_errors("after", quantiser_->errors());
    if (options_.checkpoint_folder) save();
    if (judge_) choose_better();
    result.kept_start = keeps_start_;
    result.after = evaluate("after");
    check_teacher();
    phase("export");
    export_network(
        *subject_.network, types_, output_metadata(),
        [&](size_t i, std::span<std::byte> blocks) {
          if (!quantiser_ || !quantiser_->encode(i, blocks)) encode_plain(i, blocks);
        },
        options_.output);
    if (!options_.adapter_output.empty()) adapter_->write(subject_.metadata, options_.adapter_output);
    verify(result);
    return result;
  }

 private:
  void phase(std::string_view name) const {
    if (observer_.on_phase) observer_.on_phase(name);
  }

  void note(const std::string& text) const {
    if (observer_.on_note) observer_.on_note(text);
  }

  std::vector<Document> read(const std::vector<std::filesystem::path>& files) const {
    phase("read");
    DataNotes notes;
    std::vector<Document> documents =
        read_documents(files, *subject_.tokenizer, subject_.render_chat, options_.lines_are_steps, notes);
    for (const std::string& line : notes.lines()) note(line);
    return documents;
  }

  std::vector<Document> read_held_out() const {
    const std::filesystem::path& path = *options_.evaluation;
    if (options_.lines_are_steps) return read({path});
    const DataFile file(path);
    if (file.has_rows()) return read({path});
    phase("read");
    try {
      return window_documents(file.text(), *subject_.tokenizer, options_.sequence_tokens);
    } catch (const Error& error) {
      throw with_context(error, path.string());
    }
  }

  // What the length of a sequence has done to the data.
  void note_cuts(const BatchMaker& batches) const {
    if (batches.n_pieces() == 0)
      throw Error(Errc::corrupt_file, "the data holds nothing to learn: no answer in {} pieces of {} tokens",
                  batches.n_idle_pieces(), options_.sequence_tokens);
    if (batches.n_cut_prompts() > 0)
      note(
          fmt::format("{} prompts are longer than --sequence {}: their answers are learned without all of it",
                      batches.n_cut_prompts(), options_.sequence_tokens));
    if (batches.n_idle_pieces() > 0)
      note(fmt::format("{} pieces, cut at --sequence {}, hold nothing to learn and are left out",
                       batches.n_idle_pieces(), options_.sequence_tokens));
  }

  std::vector<Document> read_all() const {
    std::vector<Document> documents = subject_.written;
    if (options_.data.empty()) return documents;
    std::vector<Document> from_files = read(options_.data);
    std::ranges::move(from_files, std::back_inserter(documents));
    return documents;
  }

  std::vector<Document> read_training() {
    std::vector<Document> documents = read_all();
    if (options_.qat.enabled && options_.keeps_better_start && options_.adapter_output.empty())
      held_back_ = hold_back(documents, options_.sequence_tokens, kHeldBackTokens);
    return documents;
  }

  // What the run has to beat: the weights as they are, quantised with all care.
  void measure_start() {
    phase("evaluate");
    quantiser_->set_active(true);
    quantiser_->refresh_carefully();
    start_.nll = trainer_->evaluate(*judge_).nll;
    start_.matrices = quantiser_->snapshot();
    for (const auto& parameter : subject_.network->parameters())
      start_.plain.push_back(quantiser_->quantises(*parameter) ? std::vector<float>() : parameter->value);
  }

  // After the last step, everything refreshed: the trained matrices, or those of the start where they are
  // better.
  void choose_better() {
    phase("evaluate");
    const double nll = trainer_->evaluate(*judge_).nll;
    if (nll <= start_.nll) return;
    keeps_start_ = true;
    quantiser_->restore(start_.matrices);
    const auto& parameters = subject_.network->parameters();
    for (size_t i = 0; i < parameters.size(); ++i)
      if (!start_.plain[i].empty()) parameters[i]->value = start_.plain[i];
    if (observer_.on_note)
      observer_.on_note(
          fmt::format("training did not help: on text held back from the data the perplexity is "
                      "{:.4f}, without training {:.4f}; that is kept",
                      std::exp(nll), std::exp(start_.nll)));
  }

  void open_cache() {
    phase("teacher");
    TeacherCacheOptions options = options_.teacher_cache;
    options.temperature = options_.trainer.losses.temperature;
    cache_ = std::make_unique<TeacherCache>(*subject_.teacher, teacher_sha256_, batches_, options, pool_);
    trainer_->distil_from(*cache_);
    if (observer_.on_note)
      observer_.on_note(fmt::format("the teacher's {} likeliest tokens are {} {}", options.k,
                                    cache_->was_written() ? "now in" : "read from", options.path.string()));
  }

  void check_weights() const {
    for (const auto& parameter : subject_.network->parameters())
      for (const float value : parameter->value)
        if (!std::isfinite(value))
          throw Error(Errc::corrupt_file, "the model's tensor {} has {} in it", parameter->name,
                      std::isnan(value) ? "a NaN" : "an infinity");
  }

  // Before anything is trained: adapters and steps start from what is identified here.
  void identify() {
    for (const auto& [name, value] : options_.settings) identity_.add(name, value);
    identity_.add("the model", sha256_of(*subject_.network));
    identity_.add("the model's description", sha256_of(subject_.metadata));
    identity_.add("the teacher", teacher_sha256_);
    identity_.add("the data", batches_.sha256());
    identity_.add("the steps in the data", sha256_of_steps(batches_.epoch(0)));
    identity_.add("the data held back", judge_ ? judge_->sha256() : "");
    const bool has_steps =
        std::ranges::any_of(batches_.epoch(0), [](const Batch& b) { return !b.steps.empty(); });
    if (options_.asked_for_reasoning && !has_steps)
      note("the data has no reasoning steps, so --lambda-reasoning weighs nothing");
  }

  // Formats of this suite that were wished for where they help, and help nowhere.
  void note_own_formats() const {
    if (options_.own.rotate && own_.rotated.empty())
      note("--incoherence: a rotation lowers no tensor's error, so none is rotated");
    if (options_.own.learn_levels && own_.codebooks.empty())
      note("--codebook: levels of its own lower no tensor's error, so none has any");
  }

  void calibrate() {
    phase("calibrate");
    calibration_ = train::calibrate(*subject_.network, batches_, options_.calibration_tokens, pool_);
    if (observer_.on_calibration) observer_.on_calibration(calibration_.record);
  }

  void encode_plain(size_t i, std::span<std::byte> blocks) const {
    const Parameter<float>& parameter = *subject_.network->parameters()[i];
    encode_matrix(types_[i], {}, parameter.shape, parameter.value, {}, kernels::Search::fast, blocks, pool_);
  }

  AdapterUse adapter_use() const {
    return options_.adapter_output.empty() ? AdapterUse::merged : AdapterUse::separate;
  }

  // Brings what the network computes with up to date with what is trained.
  void refresh() {
    if (keeps_start_) return;
    if (adapter_ && adapter_use() == AdapterUse::merged) adapter_->merge(pool_);
    if (!quantiser_) return;
    quantiser_->set_active(true);
    quantiser_->refresh();
  }

  // What training must not have touched.
  void check_teacher() const {
    if (subject_.teacher && sha256_of(*subject_.teacher) != teacher_sha256_)
      throw Error(Errc::failed, "the teacher's weights changed during the run; the result is not written");
  }

  // What the file says of its making; the same for a run that was resumed.
  format::Metadata output_metadata() {
    format::Metadata metadata = subject_.metadata;
    metadata.set("general.file_type", options_.recipe.mix->file_type);
    format::erase_own_formats(metadata);
    if (!options_.qat.enabled) return metadata;
    quantiser_->describe(own_);
    format::write_own_formats(own_, metadata);
    metadata.set("ruvllm.qat.steps", keeps_start_ ? uint64_t{0} : trainer_->n_steps());
    if (subject_.teacher) metadata.set("ruvllm.qat.teacher_sha256", metadata.keep(teacher_sha256_));
    const CalibrationRecord& record = calibration_.record;
    if (record.n_tokens == 0) return metadata;
    metadata.set("ruvllm.qat.calibration.data_sha256", metadata.keep(record.data_sha256));
    metadata.set("ruvllm.qat.calibration.documents", record.n_documents);
    metadata.set("ruvllm.qat.calibration.tokens", record.n_tokens);
    return metadata;
  }

  std::optional<Evaluation> evaluate(std::string_view what, bool quantised = true) {
    refresh();
    if (!held_out_) return std::nullopt;
    if (quantiser_) quantiser_->set_active(quantised);
    phase("evaluate");
    const Evaluation evaluation = trainer_->evaluate(*held_out_);
    if (observer_.on_evaluation) observer_.on_evaluation(what, evaluation);
    return evaluation;
  }

  // A step that fails leaves what it failed on beside the last good checkpoint.
  StepReport step() {
    try {
      return trainer_->step();
    } catch (const Error& error) {
      if (error.code() != Errc::failed || !options_.checkpoint_folder) throw;
      std::filesystem::create_directories(*options_.checkpoint_folder);
      const auto path = *options_.checkpoint_folder / kFailedName;
      trainer_->save_checkpoint(path, identity_.text());
      throw Error(Errc::failed, "{}; the state before the step is in {}", error.what(), path.string());
    }
  }

  std::filesystem::path checkpoint() const { return *options_.checkpoint_folder / kCheckpointName; }

  void save() {
    std::filesystem::create_directories(*options_.checkpoint_folder);
    trainer_->save_checkpoint(checkpoint(), identity_.text());
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
    std::unique_ptr<Adapter> adapter;
    if (!options_.adapter_output.empty())
      adapter = std::make_unique<Adapter>(exported, *format::open_model_file(options_.adapter_output));
    Trainer reader(exported, nullptr, batches_, TrainerOptions{}, pool_,
                   adapter ? adapter->hook({}) : Network::WeightHook{});
    result.exported = reader.evaluate(*held_out_);
    if (observer_.on_evaluation) observer_.on_evaluation("exported", *result.exported);
  }

  Subject& subject_;
  const RunOptions& options_;
  ThreadPool& pool_;
  const RunObserver& observer_;
  TypePlan types_;
  std::vector<Document> held_back_;  // emptied into judge_
  BatchMaker batches_;
  std::unique_ptr<BatchMaker> judge_;  // null: nothing to judge the start by
  std::unique_ptr<BatchMaker> held_out_;
  std::unique_ptr<FakeQuantiser> quantiser_;
  std::unique_ptr<TeacherCache> cache_;
  std::unique_ptr<Adapter> adapter_;
  std::unique_ptr<Trainer> trainer_;
  struct Start {
    double nll = 0;
    FakeQuantiser::Snapshot matrices;
    std::vector<std::vector<float>> plain;  // values of what is not quantised; else empty
  } start_;
  bool keeps_start_ = false;
  Calibration calibration_;
  format::OwnFormats own_;
  Identity identity_;
  std::string teacher_sha256_;
};

}  // namespace

RunResult run_training(Subject& subject, const RunOptions& options, ThreadPool& pool,
                       const RunObserver& observer, const std::atomic<bool>& cancel) {
  if ((options.trainer.losses.distillation > 0 || options.trainer.losses.reasoning > 0) && !subject.teacher)
    throw Error(Errc::usage, "distillation and losses on reasoning need a teacher");
  return Run(subject, options, pool, observer).run(cancel);
}

}  // namespace ruvllm::train
