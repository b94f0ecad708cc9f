#include "corpus.h"

#include "cli/load_model.h"
#include "cli/progress.h"
#include "engine/write_corpus.h"

namespace ruvllm::train_qat {

std::vector<train::Document> write_documents(const std::string& reference, uint64_t n_tokens,
                                             size_t sequence_tokens, uint64_t seed,
                                             const cli::CommonOptions& common) {
  const cli::LoadedModel writer = cli::load_model(reference, common);
  cli::Progress progress(common, "writing", cli::ProgressUnit::items);
  engine::CorpusOptions options;
  options.n_tokens = n_tokens;
  options.sequence_tokens = static_cast<uint32_t>(sequence_tokens);
  options.seed = seed;
  options.progress = [&](uint64_t done, uint64_t total) {
    cli::throw_if_interrupted();
    progress.update(done, total);
  };
  std::vector<train::Document> documents;
  for (std::vector<text::TokenId>& tokens :
       engine::write_corpus(writer.model, *writer.tokenizer, *writer.pool, options)) {
    train::Document& document = documents.emplace_back();
    document.tokens = std::move(tokens);
    document.is_target.assign(document.tokens.size(), 1);
  }
  progress.finish();
  return documents;
}

}  // namespace ruvllm::train_qat
