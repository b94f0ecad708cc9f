// Contents that the repositories of a cache share. Newer versions of Hugging Face's Python library keep what
// came through Xet once, and make each repository's blob a link to it:
//
//   ROOT/models--ORG--NAME/blobs/DIGEST   -> ../../blobs/9f/9f86...
//   ROOT/blobs/.huggingface-shared-blobs  says that the folder is such a store
//             /9f/9f86...                 content, named by its Xet hash (64 digits)
//             /9f/9f86....refs            the blobs that link here, a line each
//             /9f/9f86....lock            flock while any of this changes
//
// Such blobs are read like others, and what no blob links to any more is deleted; none is ever made here.
// Tested by tests/hub/store_test.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace ruvllm::hub {

/// Where the content of a blob lies that is a link into the store of `root`, whether there is a file or not;
/// nothing for any other blob, and any other link.
std::optional<std::filesystem::path> shared_content(const std::filesystem::path& root,
                                                    const std::filesystem::path& blob);

/// The blobs of all repositories that link to a content.
std::vector<std::filesystem::path> blobs_sharing(const std::filesystem::path& root,
                                                 const std::filesystem::path& content);

/// Deletes a content that no blob links to any more, unless another process works on it. Returns the bytes
/// freed.
uint64_t sweep_shared_content(const std::filesystem::path& root, const std::filesystem::path& content);

}  // namespace ruvllm::hub
