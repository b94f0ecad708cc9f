// What the cache holds, and taking things out of it. A blob is deleted only when no snapshot links to it any
// more and no other process holds its lock; an interrupted removal is finished by the next one. Tested by
// tests/hub/store_test.cpp.
#pragma once

#include "hub/model_store.h"
#include "hub/repo_ref.h"

#include <cstdint>
#include <ctime>
#include <filesystem>
#include <string>
#include <vector>

namespace ruvllm::hub {

/// A model in the cache: a GGUF file or set of shards, a safetensors folder, or other files.
struct ListedModel {
  RepoId repo;
  Commit commit;
  std::vector<std::string> revisions;  ///< names that mean the commit; empty where it is superseded
  std::string quant;                   ///< "Q4_K_M", "safetensors", "other"
  std::vector<std::string> files;
  uint64_t n_bytes = 0;
  std::time_t last_used = 0;

  /// As a user would ask for it.
  std::string reference() const;
};

struct ListedPartial {
  RepoId repo;
  std::filesystem::path path;
  uint64_t n_bytes = 0;
  std::time_t written = 0;
  bool in_use = false;
  bool superseded = false;  ///< the blob is there meanwhile
};

struct Inventory {
  std::vector<ListedModel> models;  ///< the last used first
  std::vector<ListedPartial> partials;
  uint64_t n_bytes = 0;  ///< of all contents, each counted once
};

Inventory take_inventory(const ModelStore& store);

/// What removing comes to.
struct Removal {
  RepoId repo;
  std::vector<std::filesystem::path> refs;
  std::vector<std::filesystem::path> links;     ///< files in snapshots
  std::vector<std::filesystem::path> blobs;     ///< that nothing else needs
  std::vector<std::filesystem::path> partials;  ///< unfinished files, of other tools too
  uint64_t n_bytes = 0;                         ///< that become free
  bool whole_repo = false;
};

/// Plans to remove what a reference names: a repository, with "@REVISION" one snapshot, with ":QUANT" or
/// "/FILE" these files of it; the repository too where nothing of it would be left. Throws not_found where
/// the cache has no such thing.
Removal plan_removal(const ModelStore& store, const RepoRef& ref);

/// Does it. Returns the bytes freed: what another process is using stays.
uint64_t remove(ModelStore& store, const Removal& removal);

/// Partial files nobody works on that are superseded or older than 30 days.
std::vector<ListedPartial> stale_partials(const Inventory& inventory, std::time_t now);

}  // namespace ruvllm::hub
