// From a reference to files in the cache: ask the hub what the revision is and holds, choose, fetch what is
// missing, link it, and last of all write the ref, so that a cache never points at what is not there yet.
// Tested by tests/hub/ through the programs, against a hub with faults.
#pragma once

#include "hub/file_choice.h"
#include "hub/hub_client.h"
#include "hub/model_store.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace ruvllm::hub {

/// A file of a pull, and whether the cache has it already.
struct PlannedFile {
  HubFile file;
  bool cached = false;
};

struct PullPlan {
  RepoRef ref;
  Commit commit;
  std::vector<PlannedFile> files;  ///< the main file first
  bool is_folder = false;
  std::string quant;
  bool from_cache = false;  ///< the hub was not asked, or could not be

  uint64_t n_bytes() const;
  uint64_t n_bytes_missing() const;
};

/// Watches a pull, from the caller's thread.
class PullObserver {
 public:
  virtual ~PullObserver() = default;
  /// So many files are to be fetched (or hashed), one after the other.
  virtual void begins(size_t /*n_files*/, uint64_t /*n_bytes*/) {}
  virtual void file_begins(const PullPlan&, size_t /*index*/) {}
  /// How many bytes of the file are there (or hashed); the first call tells what an earlier run had left.
  virtual void file_advances(uint64_t /*n_present*/) {}
  virtual void file_ends() {}
};

/// What of a reference the cache holds whole, or nothing. Asks nobody.
std::optional<PullPlan> plan_from_cache(const ModelStore& store, const RepoRef& ref);

/// Asks the hub; where the hub can't answer (no network, 401, 429, 5xx) but the cache holds it, that is the
/// plan, and the settings' note says so. Offline it is the cache or not_found. A full commit that is cached
/// needs no asking.
PullPlan plan_pull(HubClient& client, ModelStore& store, const RepoRef& ref);

/// Fetches what a plan misses. Throws no_resources before a byte is fetched where the disk is too full; else
/// as download_blob().
void pull(HubClient& client, ModelStore& store, const PullPlan& plan, PullObserver& observer);

/// Where the model of a finished plan lies: its first file, or the folder of a safetensors set.
std::filesystem::path model_path(const ModelStore& store, const PullPlan& plan);

/// Hashes every file of a plan that lies in the cache; those that are wrong are deleted and returned.
std::vector<HubFile> verify(ModelStore& store, PullPlan& plan, PullObserver& observer);

/// The path of a model that is cached, else pulled first. What every verb's MODEL comes to when it is no
/// path.
std::filesystem::path find_or_pull(HubClient& client, ModelStore& store, const RepoRef& ref,
                                   PullObserver& observer);

}  // namespace ruvllm::hub
