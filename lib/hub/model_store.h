// The cache on the disk, laid out exactly as Hugging Face's own tools do, so that each finds what the other
// fetched:
//
//   ROOT/models--ORG--NAME/refs/REVISION                  the 40 digits of a commit
//                         /snapshots/COMMIT/PATH          -> relative link to ../../blobs/DIGEST
//                         /blobs/DIGEST                   content
//                         /.no_exist/COMMIT/PATH          empty: the hub was asked, and has no such file
//   ROOT/.locks/models--ORG--NAME/DIGEST.lock             flock while a blob is fetched
//
// A blob may itself be a link into a store that all repositories share (shared_blobs.h).
//
// Ours beside theirs, in blobs/ and only while work is under way or was cut off: DIGEST.OWNER.partial
// (partial_file.h) and ruvllm.OWNER.tmp. Folders below ROOT that turn out to be links are refused. Reading
// needs no right to write. Tested by tests/hub/store_test.cpp against trees made by hand.
#pragma once

#include "base/file.h"
#include "hub/digest.h"
#include "hub/repo_ref.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

namespace ruvllm::hub {

/// A file of a snapshot, as it lies in the cache.
struct CachedFile {
  SafePath path;
  std::filesystem::path location;  ///< in snapshots/
  std::filesystem::path blob;      ///< in blobs/, or `location` itself where links are not used
  uint64_t n_bytes = 0;
};

class ModelStore {
 public:
  explicit ModelStore(std::filesystem::path root, bool symlinks = true);

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path repo_folder(const RepoId& repo) const { return root_ / repo.folder(); }
  std::filesystem::path blobs(const RepoId& repo) const { return repo_folder(repo) / "blobs"; }
  std::filesystem::path blob(const RepoId& repo, const Digest& digest) const {
    return blobs(repo) / digest.hex();
  }
  std::filesystem::path snapshot(const RepoId& repo, const Commit& commit) const;

  /// The commit that a revision meant when it was last asked; a full commit means itself.
  std::optional<Commit> read_ref(const RepoId& repo, const Revision& revision) const;
  /// Remembers it; writes only where something changes.
  void write_ref(const RepoId& repo, const Revision& revision, const Commit& commit);

  /// A file of a snapshot, or nothing where it is not there, or its link leads nowhere or out of the blobs.
  std::optional<CachedFile> find(const RepoId& repo, const Commit& commit, const SafePath& path) const;
  /// All files of a snapshot, by path.
  std::vector<CachedFile> files(const RepoId& repo, const Commit& commit) const;
  std::vector<Commit> commits(const RepoId& repo) const;
  std::vector<std::pair<Revision, Commit>> refs(const RepoId& repo) const;
  std::vector<RepoId> repos() const;

  /// Whether a blob is there with the size wanted. Throws where something else than a file stands in its
  /// place.
  bool has_blob(const RepoId& repo, const Digest& digest, uint64_t n_bytes) const;
  /// Makes a blob appear as a file of a snapshot.
  void link(const RepoId& repo, const Commit& commit, const SafePath& path, const Digest& digest);
  void mark_absent(const RepoId& repo, const Commit& commit, const SafePath& path);
  bool is_absent(const RepoId& repo, const Commit& commit, const SafePath& path) const;

  /// Makes the folders that a pull needs and removes what killed processes left half done.
  void prepare(const RepoId& repo);
  /// The lock of a blob. While another process holds it, `waiting` is called every 100 ms; what it throws
  /// ends the wait.
  FileDescriptor lock(const RepoId& repo, const Digest& digest, const std::function<void()>& waiting);
  /// The lock if it can be had at once, else an empty descriptor.
  FileDescriptor try_lock(const RepoId& repo, std::string_view blob_name);

 private:
  std::optional<uint64_t> content_bytes(const std::filesystem::path& blob) const;
  void make_folder(const std::filesystem::path& folder) const;
  void write_tag() const;
  std::filesystem::path temporary(const RepoId& repo) const;
  std::filesystem::path lock_path(const RepoId& repo, std::string_view blob_name);

  std::filesystem::path root_;
  bool symlinks_;
};

}  // namespace ruvllm::hub
