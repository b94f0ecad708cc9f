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
#include <functional>
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

/// Called with the file at work, how much of it is sent, and its size.
using PushProgress = std::function<void(const SafePath& file, uint64_t n_sent, uint64_t n_bytes)>;

/// Throws usage without a token; network, not_found as HubClient does; resumable where it broke off after
/// something had been sent.
PushResult push(HubClient& client, const PushRequest& request, const PushProgress& progress);

}  // namespace ruvllm::hub
