#include "options.h"

#include "cli/model_options.h"

#include <map>

namespace ruvllm::train_qat {
void add_options(CLI::App& app, Options& options) {
  train::RunOptions& run = options.run;
  train::TrainerOptions& trainer = run.trainer;
  options.command = &app;
  app.add_option("MODEL", options.model, "The model to train: a file, a folder, or a reference.")
      ->type_name("[MODEL]");
  app.add_option("--from-scratch", options.from_scratch, "Train a new model of the shape in this JSON file.")
      ->type_name("SHAPE.json");
  app.add_option("--tokenizer", options.tokenizer,
                 "With --from-scratch: 'train' a vocabulary, or take MODEL's.")
      ->type_name("train|MODEL")
      ->capture_default_str();
  app.add_option("--chat-template", options.chat_template,
                 "Speak in this template, not in the model's own (a new one's: ChatML).")
      ->type_name("FILE.jinja");

  app.add_option("--recipe", options.recipe, "Take what is not given here from a JSON or TOML file.")
      ->type_name("FILE");
  app.add_option("--recipe-out", options.recipe_out, "Write such a file of this run.")->type_name("FILE");

  app.option_defaults()->group("Data");
  app.add_option("--data", run.data, "Train on these files: plain text, or rows of JSON.")->type_name("FILE");
  app.add_option(
         "--data-free", options.data_free_tokens,
         "Let the teacher write this many tokens to train on, beside --data or instead of it (200000 on "
         "quantised targets without --data).")
      ->type_name("TOKENS");
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
                 "The type that weight matrices get; below F16 they are trained on its grid (F32 with "
                 "--from-scratch, else --bits 4).")
      ->type_name("TYPE");
  app.add_option("-o,--out", run.output, "Write the trained model here.")->type_name("FILE.gguf");
  app.add_option("--ste", options.rule, "How gradients pass the rounding.")
      ->type_name("standard|clipped[:C]|lsq|ewgs[:L]|ewgs-abs[:L]")
      ->capture_default_str();
  app.add_option("--preset", options.preset,
                 "piq3: 3 bits, learned steps; piq2: 2 bits, learned steps, incoherence.")
      ->type_name("piq3|piq2");
  app.add_option("--bits", options.bits, "Train on a uniform grid of so many bits, instead of --target.")
      ->type_name("2|3|4|5|8");
  app.add_option("--granularity", options.granularity,
                 "Let these weights share a step, on uniform grids; unset: each block has its own.")
      ->type_name("tensor|channel|token|block:N");
  app.add_option("--pi-k", run.pi_k, "On PIQ grids, let steps be alpha * pi / K.")->type_name("2|3|4|5");
  app.add_flag("--incoherence", run.own.rotate, "On PIQ targets, rotate tensors whose error that lowers.");
  app.add_flag("--codebook", run.own.learn_levels,
               "On PIQ targets, learn levels from the weights where they help.");
  app.add_flag("--asymmetric", options.asymmetric, "With --bits 4 or 5, give each block a minimum as well.");
  app.add_option("--tensor", options.tensor_rules,
                 "Type of tensors whose names match; the first match counts.")
      ->type_name("REGEX=TYPE")
      ->expected(1)
      ->take_all();
  app.add_option("--output-type", options.output_type, "Type of the output matrix.")->type_name("TYPE");
  app.add_option("--embedding-type", options.embedding_type, "Type of the token embedding.")
      ->type_name("TYPE");
  app.add_flag("--pure", options.pure, "Use the target's base type for every matrix.");
  app.add_option("--calibration-tokens", run.calibration_tokens,
                 "Measure on this many tokens of the data which weights matter; 0: don't.")
      ->type_name("N")
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
  app.add_option("--weights", options.weights, "Weigh the losses by a preset.")
      ->type_name("distillation-heavy|reasoning-focused");
  app.add_option("--lambda-task", trainer.losses.task,
                 "Weigh the loss on the text (1, or 0 where all of it is --data-free).")
      ->type_name("X");
  app.add_option(
         "--lambda-kd", trainer.losses.distillation,
         "Weigh the distance from the teacher (on quantised targets 0.5, or 1 where all text is --data-free; "
         "else 0).")
      ->type_name("X");
  app.add_option(
         "--lambda-reasoning", trainer.losses.reasoning,
         "Weigh how far states at the ends of reasoning steps are from the teacher's (0.2 on quantised "
         "targets).")
      ->type_name("X");
  app.add_option("--reasoning", options.reasoning, "How the parts of that loss are weighed.")
      ->type_name("default|math|code")
      ->capture_default_str();
  app.add_flag("--line-steps", run.lines_are_steps, "Take the lines of plain text for reasoning steps.");
  app.add_option("--kd-temperature", trainer.losses.temperature, "Soften teacher and student by this.")
      ->type_name("T")
      ->capture_default_str();
  app.add_option("--precision", trainer.precision,
                 "Multiply by weights in f32, or in bf16 with f32 sums, which is faster.")
      ->transform(
          CLI::CheckedTransformer(std::map<std::string, tensor::Precision>{{"f32", tensor::Precision::f32},
                                                                           {"bf16", tensor::Precision::bf16}})
              .description(""))
      ->type_name("f32|bf16")
      ->default_str("f32");
  app.add_option("--teacher-cache", run.teacher_cache.path,
                 "Ask the teacher once, and keep what it says in this file for the epochs and runs to come.")
      ->type_name("FILE");
  app.add_option(
         "--teacher-top-k", run.teacher_cache.k,
         "Keep this many tokens of each place there, the rest as one bucket (64 with --teacher-cache).")
      ->type_name("K");
  app.add_option("--lora-rank", run.lora_rank, "Train adapters of this rank, everything else frozen.")
      ->type_name("R");
  app.add_option("--adapter-out", run.adapter_output,
                 "Write the adapter here as GGUF, and the frozen base to --out; unset: it is merged.")
      ->type_name("FILE.gguf");
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

}  // namespace ruvllm::train_qat
