// ruvllm inspect embed: texts as vectors, by an encoder or by any language model.
#include "engine/embed.h"
#include "base/error.h"
#include "base/json.h"
#include "cli/console.h"
#include "cli/load_model.h"
#include "cli/model_options.h"
#include "inspect.h"

#include <memory>
#include <string>
#include <vector>

namespace ruvllm::inspect {
namespace {

struct Options {
  std::string model;
  std::vector<std::string> texts;
  std::string pooling;  ///< empty: as the model says
  bool raw = false;
};

int run(const Options& options, const cli::CommonOptions& common) {
  if (options.texts.empty()) throw Error(Errc::usage, "which text? --text TEXT");
  engine::EmbeddingOptions embedding{.normalise = !options.raw,
                                     .precision = tensor::ActivationPrecision::exact};
  if (!options.pooling.empty()) embedding.pooling = engine::find_pooling(options.pooling);
  const cli::LoadedModel loaded = cli::load_model(options.model, common);
  engine::Embedder embedder(loaded.model, loaded.tokenizer, *loaded.pool, embedding);

  Json list = Json::array();
  for (engine::Embedding& found : embedder.embed(options.texts)) {
    if (!common.json) cli::print(fmt::format("{}\n", fmt::join(found.vector, " ")));
    list.push_back({{"tokens", found.n_tokens}, {"embedding", std::move(found.vector)}});
  }
  if (common.json) cli::print(dump_json(Json{{"embeddings", std::move(list)}}) + "\n");
  return 0;
}

}  // namespace

Inspection add_embed(CLI::App& inspect) {
  auto options = std::make_shared<Options>();
  CLI::App* command = inspect.add_subcommand("embed", "Texts as vectors: one line (or JSON entry) a text.");
  cli::add_model_argument(*command, options->model);
  command->add_option("--text", options->texts, "A text; may be given several times.")->type_name("TEXT");
  command->add_option("--pooling", options->pooling, "mean, cls or last token (as the model says).")
      ->type_name("POOLING")
      ->check(CLI::IsMember({"mean", "cls", "last"}).description(""));
  command->add_flag("--raw", options->raw, "Do not scale vectors to length 1.");
  return {command, [options](const cli::CommonOptions& common) { return run(*options, common); }};
}

}  // namespace ruvllm::inspect
