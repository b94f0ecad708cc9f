// ruvllm quantize: a model into another format. Tested by tests/cli/quantize_test.cpp.
#include "base/error.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "cli/app.h"
#include "cli/console.h"
#include "cli/load_model.h"
#include "cli/model_options.h"
#include "cli/progress.h"
#include "engine/calibrate.h"
#include "engine/written_model.h"
#include "format/split_file.h"
#include "options.h"
#include "quant/budget.h"
#include "quant/incoherence.h"
#include "quant/partial_file.h"
#include "quant/quantize_model.h"
#include "report.h"
#include "solvers.h"
#include "text/describe_model.h"
#include "train/dataset.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

namespace ruvllm::quantize {
namespace {

/// general.file_type of files that are a mix of their own.
constexpr uint32_t kFileTypeOfNoName = 1024;

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

/// Other programs take the type where the output stands here.
void refuse_type_as_output(const std::string& output) {
  const auto same_name = [&](const quant::Mix& mix) { return to_lower(mix.name) == to_lower(output); };
  if (std::ranges::any_of(quant::all_mixes(), same_name))
    throw Error(Errc::usage, "OUTPUT {} is the name of a type; give --type {}, or ./{} for a file", output,
                output, output);
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

/// What is known of importance, and from where.
struct Guide {
  quant::Importance importance;
  quant::Provenance provenance;
};

Guide make_guide(const format::ImatrixFile& file, const std::string& name) {
  Guide guide;
  for (const auto& [tensor, entry] : file.entries) guide.importance.set(tensor, entry.means());
  guide.provenance = {name, file.dataset, file.n_chunks};
  return guide;
}

format::ImatrixFile calibrate(const Options& options, const cli::CommonOptions& common) {
  const std::string text = train::read_plain_text(options.calibrate);
  const cli::LoadedModel loaded = cli::load_model(options.input, common);
  cli::Progress progress(common, "calibrating", cli::ProgressUnit::items);
  engine::CalibrationOptions how;
  how.progress = [&](uint64_t done, uint64_t total) {
    cli::throw_if_interrupted();
    progress.update(done, total);
  };
  format::ImatrixFile file =
      engine::collect_importance(loaded.model, *loaded.file, *loaded.tokenizer, *loaded.pool, text, how);
  progress.finish();
  file.dataset = std::filesystem::path(options.calibrate).filename().string();
  if (!options.imatrix_out.empty()) format::write_imatrix(options.imatrix_out, file);
  return file;
}

Guide read_guide(const Options& options, const cli::CommonOptions& common) {
  if (!options.calibrate.empty())
    return make_guide(calibrate(options, common),
                      std::filesystem::path(options.imatrix_out).filename().string());
  if (options.imatrix.empty()) return {};
  return make_guide(format::read_imatrix(options.imatrix),
                    std::filesystem::path(options.imatrix).filename().string());
}

/// The bytes that tensors may take, for the target given.
uint64_t tensor_budget(const Options& options, const format::ModelFile& source, const quant::Plan& plan) {
  if (options.target_bpw > 0) {
    uint64_t n_values = 0;
    for (const format::Tensor& tensor : source.tensors) n_values += tensor.n_values();
    return static_cast<uint64_t>(options.target_bpw * static_cast<double>(n_values) / 8);
  }
  const uint64_t target = parse_size("--target-size", options.target_size);
  const uint64_t rest = plan.header_bytes() + plan.tensors.size() * format::kGgufDefaultAlignment;
  if (rest > target)
    throw Error(Errc::usage, "--target-size {}: metadata alone takes {}", options.target_size,
                format_bytes(rest));
  return target - rest;
}

/// The scales of --method awq.
quant::Folding make_folding(const Options& options, const cli::CommonOptions& common,
                            const format::ModelFile& source, std::span<const quant::Choice> choices,
                            const Guide& guide, ThreadPool& pool) {
  if (options.method != "awq") return {};
  cli::Progress progress(common, "looking for scales", cli::ProgressUnit::items);
  return quant::choose_folding(source, choices, guide.importance, pool, [&](uint64_t done, uint64_t total) {
    cli::throw_if_interrupted();
    progress.update(done, total);
  });
}

/// How matrices in our own formats are to be stored.
format::OwnFormats make_own_formats(const Options& options, const cli::CommonOptions& common,
                                    const format::ModelFile& source, std::span<const quant::Choice> choices,
                                    const quant::Folding& folding, const Guide& guide, ThreadPool& pool) {
  const bool is_any = std::ranges::any_of(
      choices, [](const quant::Choice& choice) { return tensor::traits(choice.format).has_grid; });
  if (options.incoherence && !is_any)
    throw Error(Errc::usage, "--incoherence is for the types PIQ2 and PIQ3, and no tensor becomes one");
  cli::Progress progress(common, "measuring rotations", cli::ProgressUnit::items);
  return quant::choose_own_formats(source, choices, folding, guide.importance,
                                   {options.incoherence, options.search == "best"}, pool,
                                   [&](uint64_t done, uint64_t total) {
                                     cli::throw_if_interrupted();
                                     progress.update(done, total);
                                   });
}

/// The plan, and what its tensors are multiplied by first.
struct Job {
  quant::Plan plan;
  quant::Folding folding;
};

Job make_job(const Options& options, const cli::CommonOptions& common, const format::ModelFile& source,
             const format::Metadata& metadata, const Guide& guide, ThreadPool& pool) {
  quant::Recipe recipe = make_recipe(options);
  recipe.guided = !guide.importance.empty();
  const uint64_t max_file_bytes =
      options.split_max_size.empty() ? 0 : parse_size("--split-max-size", options.split_max_size);
  const auto job_for = [&](std::vector<quant::Choice> choices, uint32_t file_type) -> Job {
    quant::Folding folding = make_folding(options, common, source, choices, guide, pool);
    quant::PlanOptions how = {file_type, options.allow_requantize, max_file_bytes};
    how.metadata = &metadata;
    how.own = make_own_formats(options, common, source, choices, folding, guide, pool);
    return {quant::plan_model(source, std::move(choices), how, guide.importance, guide.provenance),
            std::move(folding)};
  };
  if (!options.has_target()) return job_for(quant::choose_formats(source, recipe), recipe.mix->file_type);
  quant::PlanOptions how = {recipe.mix->file_type, options.allow_requantize, max_file_bytes};
  how.metadata = &metadata;
  const quant::Plan plan = quant::plan_model(source, quant::choose_formats(source, recipe), how,
                                             guide.importance, guide.provenance);
  cli::Progress progress(common, "measuring", cli::ProgressUnit::items);
  const uint64_t budget = tensor_budget(options, source, plan);
  return job_for(quant::choose_formats_for_size(source, recipe, guide.importance, budget, pool,
                                                [&](uint64_t done, uint64_t total) {
                                                  cli::throw_if_interrupted();
                                                  progress.update(done, total);
                                                }),
                 kFileTypeOfNoName);
}

void write(const Options& options, const cli::CommonOptions& common, const Job& job, const Guide& guide,
           const std::filesystem::path& output, ThreadPool& pool, Report& report) {
  const quant::Plan& plan = job.plan;
  cli::Progress progress(common, output.filename().string());
  quant::RunOptions how;
  how.effort = options.search == "best" ? quant::Search::best : quant::Search::fast;
  how.max_memory = parse_size("--max-memory", options.max_memory);
  how.resume = options.resume;
  how.progress = [&](uint64_t done, uint64_t total) { progress.update(done, total); };
  how.check = cli::throw_if_interrupted;
  how.on_tensor = [&](const quant::TensorReport& tensor) {
    if (options.verify) return;  // told from the file instead
    progress.finish();
    report.add_tensor(tensor.index, tensor.resumed ? std::nullopt : std::optional(tensor.relative_error));
  };
  how.folding = &job.folding;
  how.method = options.method;
  std::optional<cli::LoadedModel> model;
  std::optional<Solvers> solvers;
  if (options.method == "gptq") {
    const std::string text = train::read_plain_text(options.calibrate);
    model = cli::load_model(options.input, common);
    solvers.emplace(plan, *model, text, how.max_memory, common);
    how.method = fmt::format("gptq {:x}", quant::checksum(std::as_bytes(std::span(text))));
    how.solver_for = [&](size_t index) { return solvers->find(index); };
  }
  quant::write_model(plan, guide.importance, output, pool, how);
  progress.finish();
  if (!options.verify) return;
  const std::vector<double> errors = quant::compare_tensors(
      *plan.source, *format::open_model_file(plan.paths(output).front()), job.folding, pool);
  for (size_t i = 0; i < errors.size(); ++i) report.add_tensor(i, errors[i]);
}

/// Perplexity of the output, and its divergence from the input.
engine::Comparison compare(const Options& options, const cli::CommonOptions& common,
                           const std::filesystem::path& output) {
  const std::string text = train::read_plain_text(options.verify_text);
  const cli::LoadedModel source = cli::load_model(options.input, common);
  const cli::LoadedModel written = cli::load_model(output.string(), common);
  cli::Progress progress(common, "comparing", cli::ProgressUnit::items);
  engine::EvaluationOptions how;
  how.progress = [&](uint64_t done, uint64_t total) {
    cli::throw_if_interrupted();
    progress.update(done, total);
  };
  return engine::compare_models(written.model, source.model, *source.tokenizer, *source.pool, text, how);
}

int run(const Options& options, const cli::CommonOptions& common) {
  if (options.method == "gptq" && options.calibrate.empty())
    throw Error(Errc::usage, "--method gptq needs a text to learn from; give --calibrate TEXT");
  if (options.method == "awq" && options.calibrate.empty() && options.imatrix.empty())
    throw Error(Errc::usage, "--method awq needs importance; give --calibrate TEXT or --imatrix FILE");
  refuse_type_as_output(options.output);
  const auto start = std::chrono::steady_clock::now();
  const std::filesystem::path input = cli::resolve_model(options.input, common);
  const std::shared_ptr<const format::ModelFile> source = format::open_model_file(input);
  const text::ModelDescription description = text::describe_model(*source);
  for (const std::string& note : description.notes) cli::warn(common, printable(note));
  const Guide guide = read_guide(options, common);
  ThreadPool pool(common.threads);
  const Job job = make_job(options, common, *source, description.metadata, guide, pool);
  const quant::Plan& plan = job.plan;
  const double bits = plan.bits_per_weight();
  if (guide.importance.empty() && bits < 3.5)
    cli::warn(
        common,
        fmt::format("{:.2f} bits per weight lose much without importance; give --calibrate or --imatrix",
                    bits));

  const std::string type =
      options.has_target() ? fmt::format("{:.2f}bpw", bits) : std::string(quant::find_mix(options.type).name);
  const std::filesystem::path output =
      options.output.empty() ? default_output(input, type) : std::filesystem::path(options.output);
  Report report(plan, common);
  if (options.dry_run) {
    for (size_t i = 0; i < plan.tensors.size(); ++i) report.add_tensor(i, std::nullopt);
  } else {
    write(options, common, job, guide, output, pool, report);
    engine::check_written_model(source.get(), plan.paths(output).front());
    if (!options.verify_text.empty())
      report.add_comparison(compare(options, common, plan.paths(output).front()));
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  report.finish(type, options.dry_run ? "" : plan.paths(output).front().string(), seconds);
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
