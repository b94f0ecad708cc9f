// The README.md that a pushed model gets where it has none: what the file itself says, and figures that are
// given. Tested by tests/hub/push_test.cpp.
#pragma once

#include "format/model_file.h"

#include <string>
#include <utility>
#include <vector>

namespace ruvllm::apps {

struct CardOptions {
  std::string repo;  ///< "ORG/NAME"
  std::string license;
  std::string base_model;
  std::vector<std::pair<std::string, std::string>> evaluations;  ///< "perplexity (WikiText-2)", "6.42"
};

/// Markdown with the hub's YAML header.
std::string model_card(const format::ModelFile& model, const CardOptions& options);

}  // namespace ruvllm::apps
