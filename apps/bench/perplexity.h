// `ruvllm bench MODEL --perplexity FILE`: how well a model predicts a text, with gates for CI.
#pragma once

#include "cli/app.h"
#include "kv/kv_cache.h"

#include <optional>
#include <string>

namespace ruvllm::bench {

struct PerplexityOptions {
  std::string file;       ///< empty: not asked for
  std::string reference;  ///< --kl-against
  uint32_t context = 512;
  kv::KvFormat kv_format = kv::KvFormat::q16;
  std::string quantize_on_load;  ///< a type for the model's weights, not for the reference's
  std::optional<double> max_perplexity;
  std::optional<double> max_kl;
};

void add_perplexity_options(CLI::App& command, PerplexityOptions& options);

/// Measures, prints, and throws Errc::gate_missed where a bound is passed.
int run_perplexity(const std::string& model, const PerplexityOptions& options,
                   const cli::CommonOptions& common);

}  // namespace ruvllm::bench
