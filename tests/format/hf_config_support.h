// What tests of Hugging Face configurations share: one that is read, and why one is not.
#pragma once

#include "base/error.h"
#include "base/json.h"
#include "format/hf_config.h"

#include <doctest/doctest.h>

#include <string>

namespace ruvllm::test {

inline Json base_config(const std::string& model_type) {
  return {{"model_type", model_type}, {"hidden_size", 256}, {"num_attention_heads", 4},
          {"num_hidden_layers", 2},   {"rope_theta", 1e6},  {"max_position_embeddings", 4096}};
}

/// What is said of a configuration that is refused; empty where it is read.
inline std::string refusal(const Json& config) {
  try {
    format::read_hf_config(config);
  } catch (const Error& error) {
    CHECK(error.code() == Errc::corrupt_file);
    return error.what();
  }
  return "";
}

}  // namespace ruvllm::test
