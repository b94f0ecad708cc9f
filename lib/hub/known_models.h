// Short names for models that are known to run: what `ruvllm chat qwen` means, and what such a model needs.
// The table is in known_models.cpp; users add names of their own in the config file. Tested by
// tests/hub/names_test.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace ruvllm::hub {

struct KnownModel {
  std::string_view alias;
  std::string_view reference;  ///< as parse_repo_ref() takes it
  std::string_view about;
  uint64_t file_bytes;          ///< of the file, rounded
  uint64_t kv_bytes_per_token;  ///< f16: layers x KV heads x head size x 2 (K and V) x 2 bytes

  /// What it takes in memory with a context of so many tokens.
  uint64_t memory_bytes(uint64_t n_tokens) const { return file_bytes + kv_bytes_per_token * n_tokens; }
};

std::span<const KnownModel> known_models();

/// The row of an alias, or nullptr.
const KnownModel* find_known_model(std::string_view alias);

}  // namespace ruvllm::hub
