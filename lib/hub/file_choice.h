// Which files of a repository make the model that was asked for. Pure: a listing and a reference in, files
// out. A projector or an importance matrix is never taken for a model, shards come as whole sets, and where
// several models would do the answer is a list, not the first of them. Tested by tests/hub/choice_test.cpp.
#pragma once

#include "hub/hub_answers.h"
#include "hub/repo_ref.h"

#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::hub {

/// One model that a repository offers as GGUF: a file, or the shards of one in order.
struct Offer {
  std::string quant;  ///< "Q4_K_M", "UD-Q4_K_XL"; empty where the name doesn't tell
  std::vector<HubFile> files;
  uint64_t n_bytes = 0;
  uint32_t n_missing = 0;  ///< shards that the listing lacks
};

struct Choice {
  std::vector<HubFile> files;  ///< everything to fetch, the main file first
  bool is_folder = false;      ///< a safetensors set: the model is the snapshot's folder
  std::string quant;
};

/// The type that a file's name tells, in upper case: "Q4_K_M"; empty where there is none.
std::string quant_of(std::string_view file_name);

/// All GGUF models of a listing, the smallest first.
std::vector<Offer> offers(const Listing& listing);

/// Throws not_found (naming what there is instead, or how many shards are missing) and usage (naming the
/// choices with their sizes).
Choice choose_files(const Listing& listing, const RepoRef& ref);

}  // namespace ruvllm::hub
