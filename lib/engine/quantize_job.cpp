#include "engine/quantize_job.h"

#include "base/error.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "engine/written_model.h"
#include "quant/budget.h"
#include "quant/held_back.h"
#include "quant/incoherence.h"
#include "quant/partial_file.h"

#include <algorithm>
#include <span>

namespace ruvllm::engine {
namespace {

/// general.file_type of files that are a mix of their own.
constexpr uint32_t kFileTypeOfNoName = 1024;

quant::Importance importance_of(const format::ImatrixFile& file) {
  quant::Importance importance;
  for (const auto& [tensor, entry] : file.entries) importance.set(tensor, entry.means());
  return importance;
}

std::string_view name_of(QuantizeMethod method) {
  switch (method) {
    case QuantizeMethod::rtn:
      return "rtn";
    case QuantizeMethod::awq:
      return "awq";
    case QuantizeMethod::gptq:
      return "gptq";
  }
  return "";
}

}  // namespace

QuantizeJob::QuantizeJob(std::shared_ptr<const format::ModelFile> source, QuantizeOptions options,
                         QuantizeEvents events, ThreadPool& pool)
    : source_(std::move(source)), options_(std::move(options)), events_(std::move(events)), pool_(pool) {
  const bool has_text = !options_.calibration_text.empty();
  if (options_.method == QuantizeMethod::gptq && !has_text)
    throw Error(Errc::usage, "--method gptq needs a text to learn from; give --calibrate TEXT");
  if (options_.method == QuantizeMethod::awq && !has_text && !options_.imatrix)
    throw Error(Errc::usage, "--method awq needs importance; give --calibrate TEXT or --imatrix FILE");
  description_ = text::describe_model(*source_);
  if (events_.warn)
    for (const std::string& note : description_.notes) events_.warn(printable(note));
}

std::function<void(uint64_t, uint64_t)> QuantizeJob::progress_of(std::string_view stage) const {
  return [this, stage = std::string(stage)](uint64_t done, uint64_t total) {
    if (events_.progress) events_.progress(stage, done, total);
  };
}

// ------------------------------------------------------------------------------------------------ the model

QuantizeJob::Loaded QuantizeJob::load(const std::shared_ptr<const format::ModelFile>& file,
                                      std::string_view stage) const {
  Loaded loaded;
  loaded.tokenizer = text::make_tokenizer(*file);
  if (!loaded.tokenizer->warning().empty() && events_.warn)
    events_.warn(printable(loaded.tokenizer->warning()));
  loaded.model = model::Model::load(file, pool_, progress_of(stage));
  return loaded;
}

const QuantizeJob::Loaded& QuantizeJob::source_model() {
  if (!loaded_) loaded_ = load(source_, "loading");
  return *loaded_;
}

CalibrationOptions QuantizeJob::calibration_options(std::string_view stage) const {
  CalibrationOptions how;
  how.held_back_bytes = options_.max_memory / 8;
  how.progress = progress_of(stage);
  return how;
}

// ---------------------------------------------------------------------------------------- calibrate, choose

void QuantizeJob::gather() {
  if (options_.imatrix) {
    importance_ = activity_ = importance_of(*options_.imatrix);
    provenance_ = {options_.imatrix_name, options_.imatrix->dataset, options_.imatrix->n_chunks};
  }
  if (options_.calibration_text.empty()) return;
  const Loaded& loaded = source_model();
  Calibration found = calibrate(loaded.model, *source_, *loaded.tokenizer, pool_, options_.calibration_text,
                                calibration_options("calibrating"));
  found.whole.dataset = options_.calibration_name;
  if (!options_.imatrix_out.empty()) format::write_imatrix(options_.imatrix_out, found.whole);
  fitted_ = importance_of(found.fitted);
  importance_ = activity_ = importance_of(found.whole);
  held_back_ = std::move(found.held_back);
  provenance_ = {options_.imatrix_out.filename().string(), found.whole.dataset, found.whole.n_chunks};
}

bool QuantizeJob::is_solved(size_t index, quant::Format format) const {
  const format::Tensor& tensor = source_->tensors[index];
  return options_.method == QuantizeMethod::gptq && format != tensor.format &&
         quant::GptqSolver::supports(format) && GptqSolvers::is_solvable(tensor);
}

std::unique_ptr<GptqSolvers> QuantizeJob::make_solvers(std::vector<bool> is_wanted, bool skip_held_back) {
  const Loaded& loaded = source_model();
  CalibrationOptions how = calibration_options("reading the text");
  how.skip_held_back = skip_held_back;
  return std::make_unique<GptqSolvers>(
      SolverSource{*source_, loaded.model, *loaded.tokenizer, options_.calibration_text, std::move(how),
                   options_.max_memory},
      std::move(is_wanted), pool_);
}

/// The bytes that tensors may take, for the target given.
uint64_t QuantizeJob::tensor_budget(uint32_t file_type) const {
  if (options_.target_bits > 0) {
    uint64_t n_values = 0;
    for (const format::Tensor& tensor : source_->tensors) n_values += tensor.n_values();
    return static_cast<uint64_t>(options_.target_bits * static_cast<double>(n_values) / 8);
  }
  quant::PlanOptions how = {file_type, options_.allow_requantize, options_.max_file_bytes};
  how.metadata = &description_.metadata;
  const quant::Plan plan = quant::plan_model(*source_, quant::choose_formats(*source_, options_.recipe), how,
                                             importance_, provenance_);
  const uint64_t rest = plan.header_bytes() + plan.tensors.size() * format::kGgufDefaultAlignment;
  if (rest > options_.target_bytes)
    throw Error(Errc::usage, "--target-size {}: metadata alone takes {}", format_bytes(options_.target_bytes),
                format_bytes(rest));
  return options_.target_bytes - rest;
}

std::vector<quant::Choice> QuantizeJob::choose_for_size() {
  const bool is_gptq = options_.method == QuantizeMethod::gptq;
  std::unique_ptr<GptqSolvers> solvers;
  if (is_gptq && !held_back_.empty())
    solvers = make_solvers(std::vector<bool>(source_->tensors.size(), true), true);
  const auto meter_of = [&](size_t index) -> quant::ErrorMeter {
    const format::Tensor& tensor = source_->tensors[index];
    const auto held = held_back_.find(tensor.name);
    if (held == held_back_.end())
      return [&](quant::Format format) { return quant::weight_error(tensor, format, activity_); };
    // What rounds all formats alike: columns that some choose together stay together for the others, too.
    const quant::GptqSolver* solver = solvers != nullptr ? solvers->find(index, 8, nullptr) : nullptr;
    return [this, &tensor, solver, inputs = held->second](quant::Format format) {
      return quant::output_error(tensor, *inputs,
                                 {format, quant::Search::fast, fitted_.of_tensor(tensor), {}, solver});
    };
  };
  return quant::choose_formats_for_size(*source_, options_.recipe, tensor_budget(kFileTypeOfNoName), meter_of,
                                        pool_, progress_of("measuring"));
}

void QuantizeJob::refuse_what_gptq_cannot(std::span<const quant::Choice> choices) const {
  size_t n_solved = 0, n_experts = 0;
  for (size_t i = 0; i < choices.size(); ++i) {
    const format::Tensor& tensor = source_->tensors[i];
    const quant::Format format = choices[i].format;
    if (format == tensor.format || !tensor::traits(format).is_quantised) continue;
    n_solved += is_solved(i, format);
    n_experts += tensor.dimensions.size() > 2;
    if (GptqSolvers::is_solvable(tensor) && !quant::GptqSolver::supports(format))
      throw Error(Errc::usage,
                  "--method gptq cannot choose the quants of {}, which {} becomes; take another type",
                  tensor::format_name(format), printable(tensor.name));
  }
  if (n_solved == 0)
    throw Error(Errc::usage, "--method gptq has no matrix to round: none becomes a quantised type");
  if (n_experts > 0 && events_.warn)
    events_.warn(fmt::format(
        "gptq rounds matrices that every token meets; {} of experts are rounded to nearest", n_experts));
}

std::vector<quant::Choice> QuantizeJob::choose() {
  options_.recipe.guided = !importance_.empty();
  std::vector<quant::Choice> choices =
      options_.has_target() ? choose_for_size() : quant::choose_formats(*source_, options_.recipe);
  if (options_.method == QuantizeMethod::gptq) refuse_what_gptq_cannot(choices);
  return choices;
}

// ----------------------------------------------------------------------------------------------- fold, plan

const quant::Plan& QuantizeJob::plan() {
  if (plan_) return *plan_;
  gather();
  importance_.check_shapes(*source_);
  std::vector<quant::Choice> choices = choose();
  if (!held_back_.empty())
    importance_ = quant::choose_importance(*source_, choices, fitted_, activity_, held_back_, options_.search,
                                           pool_, progress_of("weighing"));
  if (options_.method == QuantizeMethod::awq) {
    folding_ = quant::choose_folding(*source_, choices, {activity_, importance_, held_back_, options_.search},
                                     pool_, progress_of("looking for scales"));
    if (folding_.empty() && events_.warn)
      events_.warn("awq: no scales lower the error; the output is that of --method rtn");
  }
  const bool is_any_own = std::ranges::any_of(
      choices, [](const quant::Choice& choice) { return tensor::traits(choice.format).has_grid; });
  if (options_.incoherence && !is_any_own)
    throw Error(Errc::usage, "--incoherence is for the types PIQ2 and PIQ3, and no tensor becomes one");
  quant::PlanOptions how = {options_.has_target() ? kFileTypeOfNoName : options_.recipe.mix->file_type,
                            options_.allow_requantize, options_.max_file_bytes};
  how.metadata = &description_.metadata;
  how.own = quant::choose_own_formats(*source_, choices, folding_, importance_,
                                      {options_.incoherence, options_.search == quant::Search::best}, pool_,
                                      progress_of("measuring rotations"));
  plan_ = quant::plan_model(*source_, std::move(choices), how, activity_, provenance_);
  return *plan_;
}

// ------------------------------------------------------------------------------------ solve, write, verify

void QuantizeJob::write(const std::filesystem::path& output) {
  const quant::Plan& plan = this->plan();
  quant::RunOptions how;
  how.effort = options_.search;
  how.max_memory = options_.max_memory;
  how.resume = options_.resume;
  how.progress = progress_of("writing");
  how.check = events_.check;
  how.on_tensor = events_.on_tensor;
  how.folding = &folding_;
  how.method = name_of(options_.method);
  if (!options_.calibration_text.empty())
    how.method += fmt::format(" {:x}", quant::checksum(std::as_bytes(std::span(options_.calibration_text))));
  std::unique_ptr<GptqSolvers> solvers;
  if (options_.method == QuantizeMethod::gptq) {
    std::vector<bool> is_wanted;
    for (size_t i = 0; i < plan.tensors.size(); ++i)
      is_wanted.push_back(is_solved(i, plan.tensors[i].format));
    solvers = make_solvers(std::move(is_wanted), false);
    how.solver_for = [&](size_t index) {
      return solvers->find(index, quant::GptqSolver::quants_at_once(plan.tensors[index].format),
                           plan.rotation_of(index));
    };
  } else {
    loaded_.reset();  // the text has been read; its memory is for buffers
  }
  quant::write_model(plan, importance_, output, pool_, how);
  check_written_model(source_.get(), plan.paths(output).front());
}

std::vector<double> QuantizeJob::verify(const std::filesystem::path& output) {
  return quant::compare_tensors(*source_, *format::open_model_file(plan().paths(output).front()), folding_,
                                pool_);
}

Comparison QuantizeJob::compare(const std::filesystem::path& output, std::string_view text) {
  const Loaded& source = source_model();
  const Loaded written = load(format::open_model_file(plan().paths(output).front()), "loading the output");
  EvaluationOptions how;
  how.progress = progress_of("comparing");
  return compare_models(written.model, source.model, *source.tokenizer, pool_, text, how);
}

}  // namespace ruvllm::engine
