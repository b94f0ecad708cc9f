#include "report.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/machine.h"
#include "cli/console.h"

#include <unistd.h>
#include <cmath>

namespace ruvllm::train_qat {
namespace {

constexpr auto kBetweenLines = std::chrono::seconds(10);

std::string time_left(double seconds) {
  const auto whole = static_cast<long>(seconds);
  return whole >= 3600 ? fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
                       : fmt::format("{}:{:02}", whole / 60, whole % 60);
}

}  // namespace

Report::Report(const cli::CommonOptions& common, const std::filesystem::path& log,
               const std::filesystem::path& plot, bool append)
    : common_(common), plot_(plot), live_(!common.quiet && cli::is_terminal(STDERR_FILENO)) {
  curves_ = {{"loss", {}}, {"text", {}}, {"teacher", {}}};
  if (log.empty()) return;
  log_.open(log, append ? std::ios::app : std::ios::trunc);
  if (!log_) throw Error(Errc::failed, "{}: can't be written", log.string());
}

train::RunObserver Report::observer() {
  return {.on_phase = [this](std::string_view phase) { on_phase(phase); },
          .on_step = [this](const train::StepReport& report) { on_step(report); },
          .on_evaluation = [this](std::string_view what,
                                  const train::Evaluation& evaluation) { on_evaluation(what, evaluation); },
          .on_calibration = [this](const train::CalibrationRecord& record) { on_calibration(record); },
          .on_errors =
              [this](std::string_view what, const std::vector<train::FakeQuantiser::MatrixError>& errors) {
                on_errors(what, errors);
              },
          .on_note = [this](std::string_view text) { clear_line(), cli::note(common_, text); }};
}

void Report::begin(const train::TrainerOptions& options) {
  reasoning_ = options.reasoning;
  const train::LossWeights shares = options.losses.normalised();
  write_log(Json{{"weights",
                  {{"task", shares.task},
                   {"kd", shares.distillation},
                   {"reasoning", shares.reasoning},
                   {"temperature", shares.temperature}}}});
}

void Report::clear_line() {
  if (drawn_) std::fputs("\r\033[K", stderr);
  drawn_ = false;
}

void Report::on_step(const train::StepReport& report) {
  const auto now = std::chrono::steady_clock::now();
  if (first_step_ == 0)
    first_step_ = report.step, start_ = now - std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                                                  std::chrono::duration<double>(report.seconds));
  curves_[0].points.emplace_back(report.step, report.loss);
  curves_[1].points.emplace_back(report.step, report.task_loss);
  if (report.distillation_loss != 0) curves_[2].points.emplace_back(report.step, report.distillation_loss);
  const double tokens_per_second = static_cast<double>(report.n_tokens) / report.seconds;
  write_log(Json{{"step", report.step},
                 {"epoch", report.epoch},
                 {"loss", report.loss},
                 {"task", report.task_loss},
                 {"kd", report.distillation_loss},
                 {"reasoning_step", report.step_loss},
                 {"reasoning_trajectory", report.trajectory_loss},
                 {"learning_rate", report.learning_rate},
                 {"gradient_norm", report.gradient_norm},
                 {"tokens", report.n_tokens},
                 {"tokens_per_second", tokens_per_second},
                 {"peak_memory_bytes", peak_memory_bytes()}});
  if (common_.quiet || (!live_ && now < next_line_ && report.step != report.n_steps)) return;
  next_line_ = now + kBetweenLines;
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const double each = elapsed / static_cast<double>(report.step - first_step_ + 1);
  const std::string line = fmt::format(
      "step {}/{}  loss {:.4f}{}  {:.0f} tok/s  {} left", report.step, report.n_steps, report.loss,
      report.distillation_loss != 0
          ? fmt::format(" (text {:.4f}, teacher {:.4f})", report.task_loss, report.distillation_loss)
          : "",
      tokens_per_second, time_left(each * static_cast<double>(report.n_steps - report.step)));
  if (live_) {
    fmt::print(stderr, "\r{}\033[K", line);
    std::fflush(stderr);
    drawn_ = true;
  } else {
    fmt::print(stderr, "{}\n", line);
  }
}

void Report::on_evaluation(std::string_view what, const train::Evaluation& evaluation) {
  clear_line();
  cli::note(common_, fmt::format("{}: perplexity {:.4f} over {} tokens", what, evaluation.perplexity,
                                 evaluation.n_tokens));
  Json line = {{"evaluation", what},
               {"nll", evaluation.nll},
               {"perplexity", evaluation.perplexity},
               {"tokens", evaluation.n_tokens}};
  const train::ReasoningMetrics& r = evaluation.reasoning;
  if (r.n_chains > 0) {
    cli::note(common_, fmt::format("{}: {} chains, quality {:.4f}: steps {:.4f} similar, {} of {} below the "
                                   "threshold; answers agree in {} of {}, answer loss {:.4f}",
                                   what, r.n_chains, r.quality(), r.similarity(), r.n_below, r.n_steps,
                                   r.n_agreed, r.n_answers, r.answer_loss()));
    line["reasoning"] = {{"chains", r.n_chains},         {"steps", r.n_steps},
                         {"similarity", r.similarity()}, {"trajectory_loss", r.trajectory()},
                         {"answers", r.n_answers},       {"agreement", r.agreement()},
                         {"steps_below", r.n_below},     {"quality", r.quality()},
                         {"step_loss", r.step_loss()},   {"answer_loss", r.answer_loss()},
                         {"loss", r.loss(reasoning_)}};
  }
  write_log(line);
}

void Report::on_phase(std::string_view phase) {
  clear_line();
  cli::detail(common_, phase);
  write_log(Json{{"phase", phase}});
}

void Report::on_calibration(const train::CalibrationRecord& record) {
  const auto now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch());
  write_log(Json{{"calibration",
                  {{"data_sha256", record.data_sha256},
                   {"documents", record.n_documents},
                   {"tokens", record.n_tokens},
                   {"unix_time", now.count()}}}});
}

void Report::on_errors(std::string_view what, const std::vector<train::FakeQuantiser::MatrixError>& errors) {
  train::Curve curve{std::string(what), {}};
  Json by_name = Json::object();
  for (const auto& [name, relative] : errors) {
    by_name[name] = relative;
    curve.points.emplace_back(curve.points.size(), relative);
  }
  error_curves_.push_back(std::move(curve));
  write_log(Json{{"errors", what}, {"relative", by_name}});
}

void Report::write_log(const Json& line) {
  if (!log_.is_open()) return;
  log_ << dump_json(line) << std::endl;
  if (!log_) throw Error(Errc::no_resources, "the log can't be written");
}

void Report::finish() {
  clear_line();
  if (plot_.empty()) return;
  std::erase_if(curves_, [](const train::Curve& curve) { return curve.points.empty(); });
  std::vector<std::string> pictures = {train::plot_svg("Training loss", "step", "loss", curves_)};
  if (plot_.extension() != ".html") return write_file_atomically(plot_, pictures.front());
  if (!error_curves_.empty())
    pictures.push_back(train::plot_svg("Error of each quantised matrix, relative to its weights", "matrix",
                                       "error", error_curves_));
  write_file_atomically(plot_, train::plot_page("ruvllm train-qat", pictures));
}

}  // namespace ruvllm::train_qat
