#include "hub/model_store.h"

#include "base/error.h"
#include "base/strings.h"
#include "hub/owner.h"
#include "hub/shared_blobs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

namespace ruvllm::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTemporarySuffix = ".tmp";
constexpr std::string_view kCacheTag =
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This file is a cache directory tag created for the models of a Hugging Face hub.\n"
    "# For information about cache directory tags, see: https://bford.info/cachedir/\n";
constexpr uint64_t kMaxRefBytes = 4096;
constexpr std::chrono::milliseconds kLockPoll{100};

mode_t kind_of(const fs::path& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 ? (status.st_mode & S_IFMT) : 0;
}

// Everything below a folder that is a plain name or a folder; errors end the walk, as a reader of a cache
// must.
std::vector<fs::directory_entry> entries(const fs::path& folder) {
  std::vector<fs::directory_entry> all;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) all.push_back(entry);
  std::sort(all.begin(), all.end());
  return all;
}

void write_small_file(const fs::path& temporary, const fs::path& path, std::string_view text) {
  const FileDescriptor file(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!file) throw system_error(errno, temporary.string());
  const bool written = ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (!written || ::fsync(file.get()) != 0 || ::rename(temporary.c_str(), path.c_str()) != 0) {
    const int failed = errno;
    ::unlink(temporary.c_str());
    throw system_error(failed, path.string());
  }
  sync_folder(path.parent_path());
}

}  // namespace

ModelStore::ModelStore(fs::path root, bool symlinks)
    : root_(fs::absolute(root).lexically_normal()), symlinks_(symlinks) {}

fs::path ModelStore::snapshot(const RepoId& repo, const Commit& commit) const {
  return repo_folder(repo) / "snapshots" / commit.hex();
}

// Makes every folder between the root and this one, none of which may be a link to elsewhere.
void ModelStore::make_folder(const fs::path& folder) const {
  fs::path path = root_;
  for (const fs::path& part : folder.lexically_relative(root_)) {
    if (part == ".") continue;
    path /= part;
    if (::mkdir(path.c_str(), 0777) != 0 && errno != EEXIST) throw system_error(errno, path.string());
    if (kind_of(path) != S_IFDIR)
      throw Error(Errc::failed, "{} is not a folder but a link or a file: refused; remove it", path.string());
  }
}

fs::path ModelStore::temporary(const RepoId& repo) const {
  return blobs(repo) / fmt::format("ruvllm.{}{}", owner_tag(), kTemporarySuffix);
}

std::optional<Commit> ModelStore::read_ref(const RepoId& repo, const Revision& revision) const {
  const fs::path path = repo_folder(repo) / "refs" / revision.text();
  if (kind_of(path) == S_IFREG) return Commit::parse(trim(read_file(path, kMaxRefBytes)));
  const std::optional<Commit> itself = Commit::parse(revision.text());
  if (itself && kind_of(snapshot(repo, *itself)) == S_IFDIR) return itself;
  return std::nullopt;
}

void ModelStore::write_ref(const RepoId& repo, const Revision& revision, const Commit& commit) {
  if (revision.text() == commit.hex() || read_ref(repo, revision) == commit) return;
  const fs::path path = repo_folder(repo) / "refs" / revision.text();
  make_folder(path.parent_path());
  make_folder(blobs(repo));
  write_small_file(temporary(repo), path, commit.hex());
}

// Of a plain file, or of one in the shared store that a blob links to. Nothing else has content.
std::optional<uint64_t> ModelStore::content_bytes(const fs::path& blob) const {
  struct stat status {};
  const fs::path content = shared_content(root_, blob).value_or(blob);
  if (::lstat(content.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  return static_cast<uint64_t>(status.st_size);
}

std::optional<CachedFile> ModelStore::find(const RepoId& repo, const Commit& commit,
                                           const SafePath& path) const {
  CachedFile file{path, snapshot(repo, commit) / path.path(), {}, 0};
  file.blob = file.location;
  if (kind_of(file.location) == S_IFLNK) {
    std::error_code error;
    const fs::path target = file.location.parent_path() / fs::read_symlink(file.location, error);
    if (error || !fs::equivalent(target.parent_path(), blobs(repo), error)) return std::nullopt;
    file.blob = blobs(repo) / target.filename();
  }
  const std::optional<uint64_t> n_bytes = content_bytes(file.blob);
  if (!n_bytes) return std::nullopt;
  file.n_bytes = *n_bytes;
  return file;
}

std::vector<CachedFile> ModelStore::files(const RepoId& repo, const Commit& commit) const {
  std::vector<CachedFile> found;
  const fs::path folder = snapshot(repo, commit);
  std::error_code error;
  fs::recursive_directory_iterator walk(folder, error);
  for (; !error && walk != fs::recursive_directory_iterator(); walk.increment(error)) {
    if (kind_of(walk->path()) == S_IFDIR) continue;
    const auto path = SafePath::parse(walk->path().lexically_relative(folder).generic_string());
    if (!path) continue;
    if (std::optional<CachedFile> file = find(repo, commit, *path)) found.push_back(std::move(*file));
  }
  std::sort(found.begin(), found.end(),
            [](const CachedFile& a, const CachedFile& b) { return a.path < b.path; });
  return found;
}

std::vector<Commit> ModelStore::commits(const RepoId& repo) const {
  std::vector<Commit> found;
  for (const auto& entry : entries(repo_folder(repo) / "snapshots"))
    if (const auto commit = Commit::parse(entry.path().filename().string())) found.push_back(*commit);
  return found;
}

std::vector<std::pair<Revision, Commit>> ModelStore::refs(const RepoId& repo) const {
  std::vector<std::pair<Revision, Commit>> found;
  const fs::path folder = repo_folder(repo) / "refs";
  std::error_code error;
  fs::recursive_directory_iterator walk(folder, error);
  for (; !error && walk != fs::recursive_directory_iterator(); walk.increment(error)) {
    const auto revision = Revision::parse(walk->path().lexically_relative(folder).generic_string());
    if (!revision || kind_of(walk->path()) != S_IFREG) continue;
    if (const auto commit = Commit::parse(trim(read_file(walk->path(), kMaxRefBytes))))
      found.emplace_back(*revision, *commit);
  }
  return found;
}

std::vector<RepoId> ModelStore::repos() const {
  std::vector<RepoId> found;
  for (const auto& entry : entries(root_))
    if (const auto repo = RepoId::from_folder(entry.path().filename().string())) found.push_back(*repo);
  return found;
}

bool ModelStore::has_blob(const RepoId& repo, const Digest& digest, uint64_t n_bytes) const {
  const fs::path path = blob(repo, digest);
  const mode_t kind = kind_of(path);
  if (kind != 0 && kind != S_IFREG && !shared_content(root_, path))
    throw Error(Errc::failed, "{} is not a plain file: refused; remove it", path.string());
  return content_bytes(path) == n_bytes;
}

void ModelStore::link(const RepoId& repo, const Commit& commit, const SafePath& path, const Digest& digest) {
  const fs::path place = snapshot(repo, commit) / path.path();
  make_folder(place.parent_path());
  fs::path target = "../..";
  for (int i = 0; i < path.depth(); ++i) target /= "..";
  target = target / "blobs" / digest.hex();
  std::error_code ignored;
  if (fs::read_symlink(place, ignored) == target) return;
  if (symlinks_) {
    if (::symlink(target.c_str(), place.c_str()) == 0) return sync_folder(place.parent_path());
    if (errno == EEXIST) {
      const fs::path made = temporary(repo);
      if (::symlink(target.c_str(), made.c_str()) != 0 || ::rename(made.c_str(), place.c_str()) != 0)
        throw system_error(errno, place.string());
      return sync_folder(place.parent_path());
    }
    if (errno != EPERM && errno != EOPNOTSUPP) throw system_error(errno, place.string());
  }
  // No links here: the file itself moves into the snapshot, as Hugging Face's tools do it.
  if (::rename(blob(repo, digest).c_str(), place.c_str()) != 0) throw system_error(errno, place.string());
  sync_folder(place.parent_path());
}

void ModelStore::mark_absent(const RepoId& repo, const Commit& commit, const SafePath& path) {
  const fs::path mark = repo_folder(repo) / ".no_exist" / commit.hex() / path.path();
  make_folder(mark.parent_path());
  const FileDescriptor file(::open(mark.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!file) throw system_error(errno, mark.string());
}

bool ModelStore::is_absent(const RepoId& repo, const Commit& commit, const SafePath& path) const {
  return kind_of(repo_folder(repo) / ".no_exist" / commit.hex() / path.path()) == S_IFREG;
}

// Tells backup programs that this can be had again. A kill may leave it empty, which the next run mends.
void ModelStore::write_tag() const {
  const fs::path path = root_ / "CACHEDIR.TAG";
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0 && status.st_size > 0) return;
  const FileDescriptor tag(::open(path.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666));
  if (tag && ::write(tag.get(), kCacheTag.data(), kCacheTag.size()) < 0)
    throw system_error(errno, path.string());
}

void ModelStore::prepare(const RepoId& repo) {
  std::error_code error;
  fs::create_directories(root_, error);
  if (error) throw system_error(error.value(), root_.string());
  write_tag();
  for (const char* name : {"blobs", "refs", "snapshots"}) make_folder(repo_folder(repo) / name);
  make_folder(root_ / ".locks" / repo.folder());
  for (const auto& entry : entries(blobs(repo))) {
    const auto tag = tag_of(entry.path().filename().string(), kTemporarySuffix);
    if (tag && entry.path().filename().string().starts_with("ruvllm.") && !owner_is_alive(*tag, entry.path()))
      ::unlink(entry.path().c_str());
  }
}

fs::path ModelStore::lock_path(const RepoId& repo, std::string_view blob_name) {
  make_folder(root_ / ".locks" / repo.folder());
  const fs::path path = root_ / ".locks" / repo.folder() / (std::string(blob_name) + ".lock");
  if (const mode_t kind = kind_of(path); kind != 0 && kind != S_IFREG)
    throw Error(Errc::failed, "{} is not a plain file: refused; remove it", path.string());
  return path;
}

FileDescriptor ModelStore::lock(const RepoId& repo, const Digest& digest,
                                const std::function<void()>& waiting) {
  const fs::path path = lock_path(repo, digest.hex());
  for (;;) {
    if (FileDescriptor held = lock_file(path, true)) return held;
    waiting();
    std::this_thread::sleep_for(kLockPoll);
  }
}

FileDescriptor ModelStore::try_lock(const RepoId& repo, std::string_view blob_name) {
  return lock_file(lock_path(repo, blob_name), true);
}

}  // namespace ruvllm::hub
