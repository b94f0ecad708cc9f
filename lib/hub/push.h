// Uploading files as one commit: create the repository, ask which files are large, send those that the hub
// lacks (whole or in parts, to the addresses it hands out), then commit. Nothing that the hub has is sent
// again: files it lists with the same digest are left out, objects it has are named only, and the parts of a
// cut-off upload are remembered in a state file until its addresses run out. Tested by
// tests/hub/push_test.cpp against a hub on loopback.
#pragma once

#include "hub/hub_client.h"
#include "hub/repo_ref.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace ruvllm::hub {

struct PushFile {
  std::filesystem::path local;
  SafePath path;  ///< in the repository
};

struct PushRequest {
  RepoId repo;
  Revision revision = Revision::main();
  bool is_private = false;  ///< of a repository that is created
  std::string message;      ///< of the commit
  std::vector<PushFile> files;
  std::filesystem::path state_folder;  ///< for what a resumed upload needs to know; made where absent
};

struct PushResult {
  std::string commit_url;  ///< empty where nothing had changed
  uint64_t n_bytes_sent = 0;
  size_t n_unchanged = 0;
};

/// Watches a push, from the caller's thread. First what is large is hashed, then what the hub lacks is sent.
class PushObserver {
 public:
  enum class Doing { hashing, sending };
  virtual ~PushObserver() = default;
  /// So many files are to be hashed, or sent, one after the other.
  virtual void begins(Doing, size_t /*n_files*/, uint64_t /*n_bytes*/) {}
  virtual void file_begins(const SafePath& /*file*/, uint64_t /*n_bytes*/) {}
  /// How much of the file is hashed or sent; the first call tells what an earlier run had sent.
  virtual void file_advances(uint64_t /*n_done*/) {}
  virtual void file_ends() {}
};

/// Throws usage without a token; network, not_found as HubClient does; resumable where it broke off after
/// something had been sent.
PushResult push(HubClient& client, const PushRequest& request, PushObserver& observer);

}  // namespace ruvllm::hub
