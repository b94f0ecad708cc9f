// The options of `ruvllm chat`.
#pragma once

#include "cli/app.h"
#include "cli/sampling_options.h"
#include "engine/generate.h"
#include "kv/kv_cache.h"

#include <optional>
#include <string>
#include <vector>

namespace ruvllm::chat {

struct Options {
  std::string model;
  std::optional<std::string> prompt;
  std::string file;  ///< "-" is standard input
  std::string system;
  bool raw = false;
  std::string chat_format;  ///< of the built-in ones; empty: the model's own template
  int max_tokens = 256;     ///< -1: until the context is full
  uint32_t n_context = 0;   ///< 0: what the model was trained for
  bool ignore_eos = false;
  std::vector<std::string> stop;
  kv::KvFormat kv_format = kv::KvFormat::q16;
  std::string quantize_on_load;  ///< a type; empty: weights as they are
  uint32_t chunk = 512;
  cli::SamplingOptions sampling;

  /// Everything but the prompt.
  engine::GenerationRequest request() const;
};

void add_options(CLI::App& command, Options& options);
/// The part that /set can change while a conversation goes on.
void add_answer_options(CLI::App& command, Options& options);

}  // namespace ruvllm::chat
