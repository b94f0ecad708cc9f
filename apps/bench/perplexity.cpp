#include "perplexity.h"

#include "base/error.h"
#include "base/json.h"
#include "base/limits.h"
#include "cli/console.h"
#include "cli/load_model.h"
#include "cli/model_options.h"
#include "cli/progress.h"
#include "cli/resolve_options.h"
#include "engine/perplexity.h"
#include "train/dataset.h"

namespace ruvllm::bench {
namespace {

constexpr const char* kGroup = "Quality";

OrderedJson to_json(const engine::Perplexity& perplexity, const engine::Divergence* divergence) {
  OrderedJson json = {
      {"perplexity", perplexity.perplexity()}, {"nll", perplexity.mean_nll}, {"tokens", perplexity.n_tokens}};
  if (divergence) {
    json["mean_kl"] = divergence->mean_kl;
    json["kl_99"] = divergence->kl_99;
    json["top1_agreement"] = divergence->top1_agreement;
  }
  return json;
}

std::string to_text(const engine::Perplexity& perplexity, const engine::Divergence* divergence) {
  std::string text = fmt::format("perplexity  {:.5f}  ({} tokens, {:.5f} nats each)\n",
                                 perplexity.perplexity(), perplexity.n_tokens, perplexity.mean_nll);
  if (divergence)
    text +=
        fmt::format("KL          {:.6f} mean, {:.6f} for 99 % of tokens; {:.2f} % agree on the likeliest\n",
                    divergence->mean_kl, divergence->kl_99, divergence->top1_agreement * 100);
  return text;
}

/// Perplexity and, where another model is given, the divergence from it. Where a bound is asked for, a model
/// without a figure misses it.
engine::Comparison measure(const std::string& model, const PerplexityOptions& options,
                           const cli::CommonOptions& common) {
  const std::string text = train::read_plain_text(options.file);
  const cli::LoadedModel loaded = cli::load_model(model, common, options.quantize_on_load);
  std::optional<cli::LoadedModel> reference;
  if (!options.reference.empty()) reference = cli::load_model(options.reference, common);
  cli::Progress progress(common, "scoring", cli::ProgressUnit::items);
  engine::EvaluationOptions evaluation;
  evaluation.context = options.context;
  evaluation.kv_format = options.kv_format;
  evaluation.progress = [&](uint64_t done, uint64_t total) {
    cli::throw_if_interrupted();
    progress.update(done, total);
  };
  engine::Comparison result;
  try {
    if (reference)
      result = engine::compare_models(loaded.model, reference->model, *loaded.tokenizer, *loaded.pool, text,
                                      evaluation);
    else
      result.perplexity =
          engine::measure_perplexity(loaded.model, *loaded.tokenizer, *loaded.pool, text, evaluation);
    result.perplexity.perplexity();  // throws where it is no number
  } catch (const Error& error) {
    if (error.code() != Errc::corrupt_file || !(options.max_perplexity || options.max_kl)) throw;
    throw Error(Errc::gate_missed, "{}", error.what());
  }
  progress.finish();
  return result;
}

// "; "-separated findings; empty where every bound holds. NaN misses every bound.
std::string missed_gates(const engine::Comparison& result, const PerplexityOptions& options) {
  std::string missed;
  const auto check = [&](std::string_view what, double value, const std::optional<double>& bound) {
    if (bound && !(value <= *bound))
      missed +=
          fmt::format("{}{} is {:.6g}, more than {:.6g}", missed.empty() ? "" : "; ", what, value, *bound);
  };
  check("perplexity", result.perplexity.perplexity(), options.max_perplexity);
  check("mean KL divergence", result.divergence.mean_kl, options.max_kl);
  return missed;
}

}  // namespace

void add_perplexity_options(CLI::App& command, PerplexityOptions& options) {
  CLI::Option* file =
      command.add_option("--perplexity", options.file, "Measure how well the model predicts this text.")
          ->type_name("FILE")
          ->group(kGroup);
  command.add_option("-c,--ctx", options.context, "Tokens in a window, with the one that opens it.")
      ->type_name("N")
      ->capture_default_str()
      ->check(cli::between(2, static_cast<double>(limits::kContextTokens)))
      ->group(kGroup);
  command.add_option("--kl-against", options.reference, "Compare with the predictions of this model, too.")
      ->type_name("MODEL")
      ->needs(file)
      ->group(kGroup);
  command.add_option("--max-perplexity", options.max_perplexity, "Exit with 7 where it is larger.")
      ->type_name("X")
      ->needs(file)
      ->check(cli::between(0, 1e300))
      ->group(kGroup);
  command.add_option("--max-kl", options.max_kl, "Exit with 7 where the mean divergence is larger.")
      ->type_name("X")
      ->needs("--kl-against")
      ->check(cli::between(0, 1e300))
      ->group(kGroup);
}

int run_perplexity(const std::string& model, const PerplexityOptions& options,
                   const cli::CommonOptions& common) {
  const engine::Comparison result = measure(model, options, common);
  const engine::Divergence* divergence = options.reference.empty() ? nullptr : &result.divergence;
  const std::string missed = missed_gates(result, options);
  if (common.json) {
    OrderedJson json = to_json(result.perplexity, divergence);
    if (!missed.empty()) json["gate_missed"] = missed;
    cli::print(dump_json(json) + "\n");
  } else {
    cli::print(to_text(result.perplexity, divergence));
  }
  cli::flush_output();
  if (!missed.empty()) throw Error(Errc::gate_missed, "{}", missed);
  return 0;
}

}  // namespace ruvllm::bench
