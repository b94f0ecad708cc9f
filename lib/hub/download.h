// One file from the hub to a verified blob in the cache: ranges fetched in parallel, hashed from the disk
// while they come, journaled so that a kill at any moment costs at most some MiB, published only when the
// digest is right.
//
// Three threads: the caller's drives the network and writes; one hashes the gapless beginning of the file as
// it grows; one syncs and keeps the journal. Tested by tests/hub/ against a hub with faults, and by killing
// it.
#pragma once

#include "hub/hub_client.h"
#include "hub/model_store.h"

#include <cstdint>
#include <functional>

namespace ruvllm::hub {

/// Makes `file` (its digest is known) present as a blob of `repo`, linked into the snapshot of `commit`.
/// `on_progress` hears how many of its bytes are there, from the caller's thread, a few times a second.
/// Another process that fetches the same blob is waited for. Throws not_found, network (also 401 and 403),
/// corrupt_file (twice the wrong digest), no_resources, interrupted, and resumable where it failed after
/// something had come.
void download_blob(HubClient& client, ModelStore& store, const RepoId& repo, const Commit& commit,
                   const HubFile& file, const std::function<void(uint64_t n_present)>& on_progress);

}  // namespace ruvllm::hub
