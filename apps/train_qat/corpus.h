// The text that a model writes for its own training (--data-free).
#pragma once

#include "cli/app.h"
#include "train/dataset.h"

#include <string>
#include <vector>

namespace ruvllm::train_qat {

/// `n_tokens` tokens in sequences of at most `sequence_tokens`, written by the model that `reference` means.
std::vector<train::Document> write_documents(const std::string& reference, uint64_t n_tokens,
                                             size_t sequence_tokens, uint64_t seed,
                                             const cli::CommonOptions& common);

}  // namespace ruvllm::train_qat
