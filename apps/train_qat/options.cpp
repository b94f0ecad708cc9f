#include "options.h"

#include "base/error.h"
#include "base/strings.h"
#include "cli/model_options.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>

namespace ruvllm::train_qat {
namespace {

struct Rule {
  std::string_view name;
  train::StraightThrough rule;
  double train::StraightThroughArguments::*number;  // what follows a colon; null: nothing may
};

constexpr Rule kRules[] = {
    {"standard", train::StraightThrough::standard, nullptr},
    {"clipped", train::StraightThrough::clipped, &train::StraightThroughArguments::clip},
    {"ewgs", train::StraightThrough::ewgs, &train::StraightThroughArguments::lambda},
    {"ewgs-abs", train::StraightThrough::ewgs_abs, &train::StraightThroughArguments::lambda},
};

train::StraightThroughArguments parse_rule(std::string_view text) {
  const size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  const auto* row =
      std::find_if(std::begin(kRules), std::end(kRules), [&](const Rule& rule) { return rule.name == name; });
  if (row == std::end(kRules))
    throw Error(Errc::usage, "--ste: '{}' is none of standard, clipped[:C], ewgs[:L], ewgs-abs[:L]", text);
  train::StraightThroughArguments arguments{.rule = row->rule};
  if (colon == std::string_view::npos) return arguments;
  const auto number = row->number ? parse_number(text.substr(colon + 1)) : std::nullopt;
  if (!number || !(*number > 0))
    throw Error(Errc::usage,
                "--ste: '{}' wants a number above 0 after the colon, and only clipped and ewgs take one",
                text);
  arguments.*row->number = *number;
  return arguments;
}

void require(bool holds, std::string_view option, double value, std::string_view wish) {
  if (!holds) throw Error(Errc::usage, "{} is {}, {}", option, value, wish);
}

}  // namespace

void add_options(CLI::App& app, Options& options) {
  train::RunOptions& run = options.run;
  train::TrainerOptions& trainer = run.trainer;
  app.add_option("MODEL", options.model, "The model to train: a file, a folder, or a reference.");
  app.add_option("--from-scratch", options.from_scratch, "Train a new model of the shape in this JSON file.")
      ->type_name("SHAPE.json");
  app.add_option("--tokenizer", options.tokenizer,
                 "With --from-scratch: 'train' a vocabulary, or take MODEL's.")
      ->type_name("train|MODEL")
      ->capture_default_str();
  app.add_option("--chat-template", options.chat_template,
                 "With --from-scratch: speak in this template, not in ChatML.")
      ->type_name("FILE.jinja");

  app.option_defaults()->group("Data");
  app.add_option("--data", run.data, "Train on these .txt or .jsonl files.")->type_name("FILE");
  app.add_option("--eval", run.evaluation, "Measure on this text, which is not trained on.")
      ->type_name("FILE");
  app.add_option("--sequence", run.sequence_tokens, "Cut documents at this many tokens.")
      ->type_name("TOKENS")
      ->capture_default_str();
  app.add_option("--batch-tokens", run.batch_tokens, "Put this many tokens in a batch.")
      ->type_name("TOKENS")
      ->capture_default_str();
  app.add_option("--accumulate", trainer.accumulate, "Make one step of this many batches.")
      ->type_name("N")
      ->capture_default_str();

  app.option_defaults()->group("Target");
  app.add_option("--target", run.target,
                 "The type that weight matrices get; below F16 they are trained on its grid.")
      ->type_name("TYPE")
      ->capture_default_str();
  app.add_option("--out", run.output, "Write the trained model here.")->type_name("FILE.gguf");
  app.add_option("--ste", options.rule, "How gradients pass the rounding.")
      ->type_name("standard|clipped[:C]|ewgs[:L]|ewgs-abs[:L]")
      ->capture_default_str();

  app.option_defaults()->group("Training");
  app.add_option("--epochs", trainer.n_epochs, "Go over the data this often.")
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--lr", trainer.learning_rate, "Set the peak learning rate.")
      ->type_name("X")
      ->capture_default_str();
  app.add_option("--warmup-epochs", trainer.warmup_epochs,
                 "Raise the learning rate over this many epochs (a tenth of the run at most).")
      ->type_name("X")
      ->capture_default_str();
  app.add_option("--weight-decay", trainer.optimiser.weight_decay,
                 "Shrink matrices by this at each step, times the learning rate.")
      ->type_name("X")
      ->capture_default_str();
  app.add_option("--grad-clip", trainer.optimiser.gradient_clip, "Clip the gradient's norm here; 0: never.")
      ->type_name("X")
      ->capture_default_str();
  app.add_option("--teacher", options.teacher, "Distil from this model (the model itself where not given).")
      ->type_name("MODEL");
  app.add_option("--lambda-task", trainer.losses.task, "Weigh the loss on the text.")
      ->type_name("X")
      ->capture_default_str();
  app.add_option("--lambda-kd", trainer.losses.distillation, "Weigh the distance from the teacher.")
      ->type_name("X")
      ->capture_default_str();
  app.add_option("--kd-temperature", trainer.losses.temperature, "Soften teacher and student by this.")
      ->type_name("T")
      ->capture_default_str();
  app.add_option("--precision", trainer.precision,
                 "Multiply by weights in f32, or in bf16 with f32 sums, which is faster.")
      ->transform(CLI::CheckedTransformer(std::map<std::string, tensor::Precision>{
          {"f32", tensor::Precision::f32}, {"bf16", tensor::Precision::bf16}}))
      ->type_name("f32|bf16")
      ->default_str("f32");
  app.add_flag("--checkpoint-activations", trainer.checkpoint_activations,
               "Keep less in memory and compute blocks twice.");
  app.add_option("--seed", run.seed, "Choose the random numbers.")->type_name("N")->capture_default_str();

  app.option_defaults()->group("Progress");
  app.add_option("--checkpoint-dir", run.checkpoint_folder, "Write checkpoints here.")->type_name("DIR");
  app.add_option("--checkpoint-every", run.checkpoint_every, "Write one every so many steps.")
      ->type_name("STEPS")
      ->capture_default_str();
  app.add_flag("--resume", run.resume, "Go on from the checkpoint, to the same result.");
  app.add_option("--log", options.log, "Write a JSON line a step.")->type_name("FILE.jsonl");
  app.add_option("--plot", options.plot, "Draw the losses.")->type_name("FILE.svg|FILE.html");
  app.option_defaults()->group("Options");
}

void check_options(Options& options) {
  train::RunOptions& run = options.run;
  const train::TrainerOptions& t = run.trainer;
  if (options.model.empty() == !options.from_scratch)
    throw Error(Errc::usage, "give either a MODEL or --from-scratch SHAPE.json");
  if (run.data.empty()) throw Error(Errc::usage, "--data is missing: which text is to be trained on?");
  if (run.output.empty()) throw Error(Errc::usage, "--out is missing: where is the trained model to go?");
  require(t.n_epochs >= 1, "--epochs", static_cast<double>(t.n_epochs), "expected 1 or more");
  require(t.learning_rate > 0 && std::isfinite(t.learning_rate), "--lr", t.learning_rate,
          "expected more than 0");
  require(t.warmup_epochs >= 0, "--warmup-epochs", t.warmup_epochs, "expected 0 or more");
  require(t.optimiser.weight_decay >= 0, "--weight-decay", t.optimiser.weight_decay, "expected 0 or more");
  require(t.optimiser.gradient_clip >= 0, "--grad-clip", t.optimiser.gradient_clip, "expected 0 or more");
  require(t.losses.task >= 0, "--lambda-task", t.losses.task, "expected 0 or more");
  require(t.losses.distillation >= 0, "--lambda-kd", t.losses.distillation, "expected 0 or more");
  require(t.losses.temperature > 0, "--kd-temperature", t.losses.temperature, "expected more than 0");
  require(t.accumulate >= 1, "--accumulate", static_cast<double>(t.accumulate), "expected 1 or more");
  require(run.checkpoint_every >= 1, "--checkpoint-every", static_cast<double>(run.checkpoint_every),
          "expected 1 or more");
  require(run.sequence_tokens >= 2, "--sequence", static_cast<double>(run.sequence_tokens),
          "expected 2 or more");
  require(run.batch_tokens >= run.sequence_tokens, "--batch-tokens", static_cast<double>(run.batch_tokens),
          "less than --sequence");
  if (run.resume && !run.checkpoint_folder) throw Error(Errc::usage, "--resume needs --checkpoint-dir");
  if (options.from_scratch && t.losses.distillation > 0 && options.teacher.empty())
    throw Error(Errc::usage, "--lambda-kd needs a --teacher where the model is new");
  if (!options.chat_template.empty() && !options.from_scratch)
    throw Error(Errc::usage, "--chat-template goes with --from-scratch; a model that exists has its own");
  const std::string extension = options.plot.extension().string();
  if (!options.plot.empty() && extension != ".svg" && extension != ".html")
    throw Error(Errc::usage, "--plot: '{}' ends neither in .svg nor in .html", options.plot.string());
  run.qat.rule = parse_rule(options.rule);
  const std::string target = to_lower(run.target);
  run.qat.enabled = target != "f32" && target != "f16" && target != "bf16";
}

}  // namespace ruvllm::train_qat
