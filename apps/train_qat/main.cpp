// ruvllm train-qat: train a model, on the grid of the type that it is written in where that type is a
// quantised one.
#include "corpus.h"
#include "options.h"
#include "report.h"

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/machine.h"
#include "base/utf8.h"
#include "cli/console.h"
#include "cli/model_options.h"
#include "engine/written_model.h"
#include "text/describe_model.h"
#include "train/chat_turns.h"
#include "train/fresh_model.h"

#include <csignal>

namespace ruvllm::train_qat {
namespace {

// What the file will say of itself, with a warning where that is not all.
format::Metadata describe(const format::ModelFile& file, const cli::CommonOptions& common) {
  text::ModelDescription description = text::describe_model(file);
  for (const std::string& note : description.notes) cli::warn(common, printable(note));
  description.metadata.erase("general.file_type");
  return std::move(description.metadata);
}

train::ChatRenderer chat_renderer(const format::ModelFile& file, const text::Tokenizer& tokenizer) {
  auto chat_template = text::load_chat_template(file, tokenizer);
  if (!chat_template) return {};
  return train::ChatReader(std::make_shared<const text::ChatTemplate>(std::move(*chat_template)));
}

// Another chat template than a model's own: what it is trained on, and what its file says.
void replace_chat_template(const std::filesystem::path& path, train::Subject& subject) {
  const std::string source = read_file(path, limits::kTemplateBytes);
  subject.render_chat = train::ChatReader(std::make_shared<const text::ChatTemplate>(
      source, path.string(), text::tokenizer_variables(*subject.tokenizer)));
  subject.metadata.erase("tokenizer.chat_template.tool_use");
  subject.metadata.set("tokenizer.chat_template", subject.metadata.keep(source));
}

train::Subject new_subject(const train::Settings& options, const cli::CommonOptions& common) {
  const std::string name = options.from_scratch;
  train::ModelShape shape =
      train::read_model_shape(parse_json(read_file(name, limits::kJsonFileBytes), name), name);
  if (options.tokenizer == "train") {
    train::add_trained_tokenizer(shape, train::read_plain_text(options.run.data));
  } else {
    const auto donor = format::open_model_file(cli::resolve_model(options.tokenizer, common));
    format::ModelFile described;
    described.source = donor->source;
    described.metadata = describe(*donor, common);
    train::copy_tokenizer(shape, described);
  }
  if (!options.chat_template.empty())
    train::set_chat_template(shape, read_file(options.chat_template, limits::kTemplateBytes));
  format::ModelFile file;
  file.source = name;
  file.metadata = shape.metadata;
  train::Subject subject;
  subject.network = std::make_unique<train::Network>(file, shape.tied_head, options.run.seed);
  subject.tokenizer = text::make_tokenizer(file);
  subject.render_chat = chat_renderer(file, *subject.tokenizer);
  subject.metadata = std::move(shape.metadata);
  return subject;
}

train::Subject subject_of(const train::Settings& options, const cli::CommonOptions& common) {
  train::Subject subject;
  std::shared_ptr<const format::ModelFile> file;
  if (!options.from_scratch.empty()) {
    subject = new_subject(options, common);
  } else {
    file = format::open_model_file(cli::resolve_model(options.model, common));
    subject.network = std::make_unique<train::Network>(*file);
    subject.tokenizer = text::make_tokenizer(*file);
    subject.render_chat = chat_renderer(*file, *subject.tokenizer);
    subject.metadata = describe(*file, common);
    subject.file = file;
    if (!options.chat_template.empty()) replace_chat_template(options.chat_template, subject);
  }
  if (options.data_free_tokens > 0)
    subject.written =
        write_documents(options.teacher.empty() ? options.model : options.teacher, options.data_free_tokens,
                        options.run.sequence_tokens, options.run.seed, common);
  const train::LossWeights& weights = options.run.trainer.losses;
  if (weights.distillation > 0 || weights.reasoning > 0) {
    const auto teacher =
        options.teacher.empty() ? file : format::open_model_file(cli::resolve_model(options.teacher, common));
    subject.teacher = std::make_unique<train::Network>(*teacher);
  }
  return subject;
}

void print_result(const train::RunResult& result, const train::Settings& options,
                  const cli::CommonOptions& common) {
  const auto perplexity = [](const std::optional<train::Evaluation>& evaluation) {
    return evaluation ? Json(evaluation->perplexity) : Json();
  };
  if (common.json) {
    cli::print(dump_json(Json{{"file", options.run.output.string()},
                              {"steps", result.n_steps},
                              {"loss", result.last_loss},
                              {"bytes", result.file_bytes},
                              {"bits_per_weight", result.bits_per_weight},
                              {"kept_start", result.kept_start},
                              {"perplexity",
                               {{"full_precision", perplexity(result.full)},
                                {"before", perplexity(result.before)},
                                {"after", perplexity(result.after)},
                                {"exported", perplexity(result.exported)}}},
                              {"peak_memory_bytes", peak_memory_bytes()}}) +
               "\n");
    return;
  }
  cli::print(
      fmt::format("{}: {} steps, loss {:.4f}, {} bytes, {:.3f} bits per weight{}; peak memory {:.0f} MiB\n",
                  options.run.output.string(), result.n_steps, result.last_loss, result.file_bytes,
                  result.bits_per_weight,
                  result.exported ? fmt::format(", perplexity {:.4f}", result.exported->perplexity) : "",
                  static_cast<double>(peak_memory_bytes()) / (1 << 20)));
}

// Jobs are ended by SIGTERM, and limits on file sizes are disks that are full.
void handle_signals() {
  std::signal(SIGTERM, [](int) { cli::interrupt_flag() = true; });
  std::signal(SIGXFSZ, SIG_IGN);
}

int run(train::Settings& options, const cli::CommonOptions& common) {
  handle_signals();
  train::resolve(options);
  for (const std::string& note : options.notes) cli::note(common, note);
  ThreadPool pool(common.threads);
  train::Subject subject = subject_of(options, common);
  Report report(common, options.log, options.plot, options.run.resume);
  report.begin(options.run.trainer);
  options.run.teacher_cache.check = cli::throw_if_interrupted;
  const train::RunResult result =
      train::run_training(subject, options.run, pool, report.observer(), cli::interrupt_flag());
  engine::check_written_model(subject.file.get(), options.run.output);
  report.finish();
  print_result(result, options, common);
  return 0;
}

}  // namespace
}  // namespace ruvllm::train_qat

int main(int argc, char** argv) {
  ruvllm::train::Settings settings;
  const CLI::App* command = nullptr;
  return ruvllm::cli::main_app(
      argc, argv,
      {.name = "train-qat",
       .about = "Train a model, on the grid of the type it will be stored in.",
       .example = "ruvllm train-qat model.gguf --data text.txt --eval held-out.txt --target Q4_0 --lambda-kd "
                  "0.5 --out small.gguf",
       .add_options =
           [&](CLI::App& app) {
             command = &app;
             ruvllm::train_qat::add_options(app, settings);
           },
       .run =
           [&](const ruvllm::cli::CommonOptions& common) {
             ruvllm::train_qat::note_given(*command, settings);
             return ruvllm::train_qat::run(settings, common);
           }});
}
