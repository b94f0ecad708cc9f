// ruvllm quantize: a model into another format. Tested by tests/cli/quantize_test.cpp.
#include "base/error.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "cli/app.h"
#include "cli/console.h"
#include "cli/model_options.h"
#include "cli/progress.h"
#include "engine/quantize_job.h"
#include "format/split_file.h"
#include "options.h"
#include "quant/quantize_model.h"
#include "report.h"
#include "train/dataset.h"

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

namespace ruvllm::quantize {
namespace {

uint64_t parse_size(std::string_view option, const std::string& text) {
  const std::optional<uint64_t> n_bytes = parse_bytes(text);
  if (!n_bytes) throw Error(Errc::usage, "{} {}: not a size such as 2G or 512M", option, printable(text));
  return *n_bytes;
}

/// "dir/model-F16.gguf" becomes "dir/model-Q4_K_M.gguf", and so does a shard of it; a folder "dir/model",
/// "dir/model-Q4_K_M.gguf".
std::filesystem::path default_output(const std::filesystem::path& input, std::string_view type) {
  const bool ends_with_slash = input.filename().empty();
  const std::filesystem::path path = ends_with_slash ? input.parent_path() : input;
  std::string stem = path.filename().string();
  if (const auto shard = format::parse_split_name(stem)) stem = shard->stem;
  if (stem.ends_with(".gguf")) stem.resize(stem.size() - 5);
  for (const std::string_view suffix : {"-F32", "-F16", "-BF16", "-f32", "-f16", "-bf16"})
    if (stem.ends_with(suffix)) stem.resize(stem.size() - suffix.size());
  return path.parent_path() / fmt::format("{}-{}.gguf", stem, type);
}

quant::Recipe make_recipe(const Options& options) {
  quant::Recipe recipe;
  recipe.mix = &quant::find_mix(options.type);
  recipe.pure = options.pure;
  if (!options.output_type.empty()) recipe.output_format = quant::find_format(options.output_type);
  if (!options.embedding_type.empty()) recipe.embedding_format = quant::find_format(options.embedding_type);
  for (const std::string& rule : options.tensor_rules) recipe.rules.push_back(quant::parse_tensor_rule(rule));
  return recipe;
}

/// A file that would be called "Q4_K" is a slip: other programs take the type in its place.
void refuse_type_as_output(const std::string& output) {
  if (output.empty() || quant::find_mix_or_null(output) == nullptr) return;
  throw Error(Errc::usage,
              "{} is a type, and stands where the output does; did you mean --type {}? (for a file "
              "of that name: ./{})",
              output, output, output);
}

engine::QuantizeOptions make_options(const Options& options) {
  engine::QuantizeOptions how;
  how.recipe = make_recipe(options);
  if (!options.target_size.empty()) how.target_bytes = parse_size("--target-size", options.target_size);
  how.target_bits = options.target_bpw;
  how.allow_requantize = options.allow_requantize;
  how.incoherence = options.incoherence;
  how.method = options.method == "gptq"  ? engine::QuantizeMethod::gptq
               : options.method == "awq" ? engine::QuantizeMethod::awq
                                         : engine::QuantizeMethod::rtn;
  how.search = options.search == "fast" ? quant::Search::fast : quant::Search::best;
  if (!options.calibrate.empty()) {
    how.calibration_text = train::read_plain_text(options.calibrate);
    if (how.calibration_text.empty())
      throw Error(Errc::usage, "--calibrate {}: the file is empty", printable(options.calibrate));
    how.calibration_name = std::filesystem::path(options.calibrate).filename().string();
    how.imatrix_out = options.imatrix_out;
  }
  if (!options.imatrix.empty()) {
    how.imatrix = format::read_imatrix(options.imatrix);
    how.imatrix_name = std::filesystem::path(options.imatrix).filename().string();
  }
  how.max_memory = parse_size("--max-memory", options.max_memory);
  if (!options.split_max_size.empty())
    how.max_file_bytes = parse_size("--split-max-size", options.split_max_size);
  how.resume = options.resume;
  return how;
}

/// Draws the job's progress, a stage after the other.
class Stages {
 public:
  explicit Stages(const cli::CommonOptions& common) : common_(common) {}

  void update(std::string_view stage, uint64_t done, uint64_t total) {
    cli::throw_if_interrupted();
    if (!progress_ || stage != stage_) {
      progress_.reset();
      stage_ = stage;
      const bool is_bytes = stage == "writing" || stage.starts_with("loading");
      progress_.emplace(common_, stage_, is_bytes ? cli::ProgressUnit::bytes : cli::ProgressUnit::items);
    }
    progress_->update(done, total);
  }
  void finish() { progress_.reset(); }

 private:
  const cli::CommonOptions& common_;
  std::string stage_;
  std::optional<cli::Progress> progress_;
};

int run(const Options& options, const cli::CommonOptions& common) {
  refuse_type_as_output(options.output);
  const auto start = std::chrono::steady_clock::now();
  const std::filesystem::path input = cli::resolve_model(options.input, common);
  ThreadPool pool(common.threads);
  Stages stages(common);
  std::optional<Report> report;
  engine::QuantizeEvents events;
  events.progress = [&](std::string_view stage, uint64_t done, uint64_t total) {
    stages.update(stage, done, total);
  };
  events.check = cli::throw_if_interrupted;
  events.warn = [&](const std::string& message) { cli::warn(common, message); };
  events.on_tensor = [&](const quant::TensorReport& tensor) {
    if (options.verify) return;  // told from the file instead
    stages.finish();
    report->add_tensor(tensor.index, tensor.resumed ? std::nullopt : std::optional(tensor.relative_error));
  };
  engine::QuantizeJob job(format::open_model_file(input), make_options(options), std::move(events), pool);
  const quant::Plan& plan = job.plan();
  const double bits = plan.bits_per_weight();
  if (!job.is_guided() && bits < 3.5)
    cli::warn(common, fmt::format("{:.2f} bits per weight lose much without importance; give --calibrate or "
                                  "--imatrix",
                                  bits));
  const std::string type =
      options.has_target() ? fmt::format("{:.2f}bpw", bits) : std::string(quant::find_mix(options.type).name);
  const std::filesystem::path output =
      options.output.empty() ? default_output(input, type) : std::filesystem::path(options.output);
  report.emplace(plan, common);
  if (options.dry_run) {
    for (size_t i = 0; i < plan.tensors.size(); ++i) report->add_tensor(i, std::nullopt);
  } else {
    job.write(output);
    if (options.verify) {
      const std::vector<double> errors = job.verify(output);
      for (size_t i = 0; i < errors.size(); ++i) report->add_tensor(i, errors[i]);
    }
    if (!options.verify_text.empty())
      report->add_comparison(job.compare(output, train::read_plain_text(options.verify_text)));
  }
  stages.finish();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  report->finish(type, options.dry_run ? "" : plan.paths(output).front().string(), seconds);
  return 0;
}

}  // namespace
}  // namespace ruvllm::quantize

int main(int argc, char** argv) {
  using namespace ruvllm;
  quantize::Options options;
  cli::App app;
  app.name = "quantize";
  app.about = "Write a model with smaller weights: GGUF or a Hugging Face folder in, GGUF out.";
  app.example =
      "ruvllm quantize model-F16.gguf --type Q4_K_M\n"
      "ruvllm quantize model-F16.gguf small.gguf --target-size 350M --calibrate text.txt --verify";
  app.add_options = [&](CLI::App& command) { quantize::add_options(command, options); };
  app.run = [&](const cli::CommonOptions& common) { return quantize::run(options, common); };
  return cli::main_app(argc, argv, app);
}
