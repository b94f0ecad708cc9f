#include "options.h"

#include "cli/resolve_options.h"
#include "quant/recipe.h"

namespace ruvllm::quantize {
namespace {

void add_what(CLI::App& command, Options& options) {
  const char* group = "What to make";
  std::string types;
  for (const quant::Mix& mix : quant::all_mixes())
    types += (types.empty() ? "" : " ") + std::string(mix.name);
  auto* type = command.add_option("--type", options.type, "Type of the weights: " + types + ".")
                   ->type_name("TYPE")
                   ->capture_default_str()
                   ->group(group);
  auto* size = command
                   .add_option("--target-size", options.target_size,
                               "Choose each tensor's format so that the file fits.")
                   ->type_name("SIZE")
                   ->excludes(type)
                   ->group(group);
  command.add_option("--target-bpw", options.target_bpw, "The same, for so many bits per weight.")
      ->type_name("BITS")
      ->check(cli::between(1.5, 16))
      ->excludes(type)
      ->excludes(size)
      ->group(group);
  command
      .add_option("--tensor", options.tensor_rules,
                  "Format of tensors whose names match; the first match counts.")
      ->type_name("REGEX=FORMAT")
      ->expected(1)
      ->take_all()
      ->group(group);
  command.add_option("--output-type", options.output_type, "Format of the output matrix.")
      ->type_name("FORMAT")
      ->group(group);
  command.add_option("--embedding-type", options.embedding_type, "Format of the token embedding.")
      ->type_name("FORMAT")
      ->group(group);
  command.add_flag("--pure", options.pure, "Use the type's base format for every matrix.")->group(group);
  command
      .add_flag("--allow-requantize", options.allow_requantize, "Accept tensors that are quantised already.")
      ->group(group);
}

void add_how(CLI::App& command, Options& options) {
  const char* group = "How to make it";
  auto* imatrix = command
                      .add_option("--imatrix", options.imatrix,
                                  "Importance matrix (GGUF or .dat): errors go where they matter least.")
                      ->type_name("FILE")
                      ->group(group);
  auto* calibrate =
      command.add_option("--calibrate", options.calibrate, "Gather importance from this text first.")
          ->type_name("TEXT")
          ->excludes(imatrix)
          ->group(group);
  command
      .add_option("--imatrix-out", options.imatrix_out, "Keep what --calibrate gathered, as GGUF or .dat.")
      ->type_name("FILE")
      ->needs(calibrate)
      ->group(group);
  command
      .add_option("--method", options.method,
                  "Round to nearest; awq: scale columns that matter first; gptq: let columns make up for "
                  "each other's errors.")
      ->type_name("rtn|awq|gptq")
      ->check(CLI::IsMember({"rtn", "awq", "gptq"}).description(""))
      ->capture_default_str()
      ->group(group);
  command
      .add_flag("--incoherence", options.incoherence,
                "Rotate PIQ2 and PIQ3 matrices at random where that lowers their error.")
      ->group(group);
  command.add_option("--search", options.search, "How long to look for the best scales: fast or best.")
      ->type_name("fast|best")
      ->check(CLI::IsMember({"fast", "best"}).description(""))
      ->capture_default_str()
      ->group(group);
  command.add_option("--max-memory", options.max_memory, "Bound on the memory for buffers.")
      ->type_name("SIZE")
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--split-max-size", options.split_max_size,
                  "Split the output into files of at most this size.")
      ->type_name("SIZE")
      ->group(group);
  command.add_flag("--resume", options.resume, "Go on with a run that was interrupted.")->group(group);
}

void add_proof(CLI::App& command, Options& options) {
  const char* group = "Before and after";
  auto* dry_run =
      command.add_flag("--dry-run", options.dry_run, "Print the plan and the exact size, and write nothing.")
          ->group(group);
  command
      .add_flag("--verify", options.verify, "Read the written file again and measure every tensor's error.")
      ->excludes(dry_run)
      ->group(group);
  command
      .add_option("--verify-text", options.verify_text,
                  "Measure perplexity and KL divergence against INPUT on this text.")
      ->type_name("TEXT")
      ->excludes(dry_run)
      ->group(group);
}

}  // namespace

void add_options(CLI::App& command, Options& options) {
  command
      .add_option("INPUT", options.input, "Model: a GGUF file, a folder in Hugging Face layout, a reference.")
      ->type_name("INPUT");
  command
      .add_option("OUTPUT", options.output,
                  "GGUF file to write; INPUT's name with the type in it where not given.")
      ->type_name("[OUTPUT]");
  add_what(command, options);
  add_how(command, options);
  add_proof(command, options);
}

}  // namespace ruvllm::quantize
