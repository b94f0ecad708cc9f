#include "hub/inventory.h"

#include "base/error.h"
#include "base/strings.h"
#include "hub/file_choice.h"
#include "hub/partial_file.h"
#include "hub/shared_blobs.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace ruvllm::hub {
namespace {

namespace fs = std::filesystem;

constexpr std::time_t kStaleSeconds = 30 * 86'400;

struct FileFacts {
  uint64_t n_bytes = 0;
  std::time_t used = 0;
  std::time_t written = 0;
};

FileFacts facts_of(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return {};
  return {static_cast<uint64_t>(status.st_size), std::max(status.st_atime, status.st_mtime), status.st_mtime};
}

// The models of one snapshot: its GGUF offers, and whatever else lies there as one more.
void list_snapshot(const ModelStore& store, const RepoId& repo, const Commit& commit, Inventory& inventory) {
  Listing listing;
  std::map<std::string, CachedFile> by_path;
  for (const CachedFile& file : store.files(repo, commit)) {
    listing.files.push_back({file.path, file.n_bytes, std::nullopt});
    by_path.emplace(file.path.text(), file);
  }
  ListedModel blank{repo, commit, {}, {}, {}, 0, 0};
  for (const auto& [revision, meant] : store.refs(repo))
    if (meant == commit) blank.revisions.push_back(revision.text());
  const auto add = [&](ListedModel& model, const SafePath& path) {
    const auto file = by_path.extract(path.text());
    model.files.push_back(path.text());
    model.n_bytes += file.mapped().n_bytes;
    model.last_used = std::max(model.last_used, facts_of(file.mapped().blob).used);
  };
  for (const Offer& offer : offers(listing)) {
    ListedModel model = blank;
    model.quant = offer.quant.empty() ? "gguf" : offer.quant;
    for (const HubFile& file : offer.files) add(model, file.path);
    inventory.models.push_back(std::move(model));
  }
  if (by_path.empty()) return;
  ListedModel rest = blank;
  rest.quant = "other";
  while (!by_path.empty()) {
    const SafePath path = by_path.begin()->second.path;
    if (path.text().ends_with(".safetensors")) rest.quant = "safetensors";
    add(rest, path);
  }
  inventory.models.push_back(std::move(rest));
}

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

// Blobs by which something in the snapshots still stands, but for links about to go.
std::set<fs::path> needed_blobs(const ModelStore& store, const RepoId& repo,
                                const std::vector<fs::path>& going) {
  const std::set<fs::path> leaving(going.begin(), going.end());
  std::set<fs::path> needed;
  for (const Commit& commit : store.commits(repo))
    for (const CachedFile& file : store.files(repo, commit))
      if (!leaving.count(file.location)) needed.insert(file.blob.filename());
  return needed;
}

bool is_blob_name(const fs::path& path) { return Digest::parse(path.filename().string()).has_value(); }

// Which commits a reference means: those of its revision, or all where it names none.
std::vector<Commit> commits_of(const ModelStore& store, const RepoRef& ref) {
  if (ref.revision == Revision::main()) return store.commits(ref.repo);
  const auto commit = store.read_ref(ref.repo, ref.revision);
  if (!commit) return {};
  return {*commit};
}

bool is_wanted(const CachedFile& file, const RepoRef& ref) {
  if (ref.file) return file.path == *ref.file;
  if (ref.quant.empty()) return true;
  const std::string quant = quant_of(file.path.text());
  return file.path.text().ends_with(".gguf") && to_lower(quant) == to_lower(ref.quant);
}

// Below this one, which stays: without its snapshots folder, Python's library takes a repository for a broken
// one.
void remove_empty_folders(const fs::path& top) {
  std::error_code ignored;
  std::vector<fs::path> folders;
  for (fs::recursive_directory_iterator walk(top, ignored), end; walk != end; walk.increment(ignored)) {
    if (ignored) break;
    if (walk->is_directory(ignored) && !walk->is_symlink(ignored)) folders.push_back(walk->path());
  }
  std::sort(folders.rbegin(), folders.rend());
  for (const fs::path& folder : folders)
    ::rmdir(folder.c_str());  // fails on one that is not empty, as it should
}

void unlink_if_there(const fs::path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) throw system_error(errno, path.string());
}

// Files that a download of Hugging Face's own tools left behind, or is writing.
bool is_incomplete(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.ends_with(".incomplete") && Digest::parse(name.substr(0, name.find('.')));
}

// What deleting blobs frees: a shared content counts where all the blobs that share it go.
uint64_t bytes_freed(const ModelStore& store, const std::vector<fs::path>& blobs) {
  const std::set<fs::path> going(blobs.begin(), blobs.end());
  std::set<fs::path> contents;
  for (const fs::path& blob : blobs) {
    const auto content = shared_content(store.root(), blob);
    const std::vector<fs::path> sharing =
        content ? blobs_sharing(store.root(), *content) : std::vector<fs::path>();
    if (std::all_of(sharing.begin(), sharing.end(), [&](const fs::path& one) { return going.count(one); }))
      contents.insert(content.value_or(blob));
  }
  uint64_t n_bytes = 0;
  for (const fs::path& content : contents) n_bytes += facts_of(content).n_bytes;
  return n_bytes;
}

// The unfinished files of a repository that nobody is known to work on.
std::vector<fs::path> abandoned(const ModelStore& store, const RepoId& repo) {
  std::vector<fs::path> found;
  for (const FoundPartial& partial : find_partials(store.blobs(repo)))
    if (!partial.in_use) found.push_back(partial.path);
  for (const fs::path& path : files_in(store.blobs(repo)))
    if (is_incomplete(path)) found.push_back(path);
  return found;
}

// Deletes a blob; what it frees is its content, unless others share that.
uint64_t remove_blob(const ModelStore& store, const fs::path& blob) {
  const auto content = shared_content(store.root(), blob);
  const uint64_t n_bytes = facts_of(blob).n_bytes;
  unlink_if_there(blob);
  return content ? sweep_shared_content(store.root(), *content) : n_bytes;
}

}  // namespace

std::string ListedModel::reference() const {
  std::string text = repo.text();
  const bool is_main = std::find(revisions.begin(), revisions.end(), "main") != revisions.end();
  if (!is_main) text += "@" + (revisions.empty() ? commit.hex() : revisions[0]);
  if (quant == "gguf") return text + "/" + files[0];
  return quant == "safetensors" || quant == "other" ? text : text + ":" + quant;
}

Inventory take_inventory(const ModelStore& store) {
  Inventory inventory;
  std::set<fs::path> contents;
  for (const RepoId& repo : store.repos()) {
    for (const Commit& commit : store.commits(repo)) list_snapshot(store, repo, commit, inventory);
    for (const fs::path& blob : files_in(store.blobs(repo)))
      if (is_blob_name(blob)) contents.insert(shared_content(store.root(), blob).value_or(blob));
    for (const FoundPartial& partial : find_partials(store.blobs(repo))) {
      const std::string name = partial.path.filename().string();
      const fs::path blob = store.blobs(repo) / name.substr(0, name.find('.'));
      inventory.partials.push_back({repo, partial.path, partial.n_bytes, facts_of(partial.path).written,
                                    partial.in_use, fs::exists(fs::symlink_status(blob))});
    }
  }
  for (const fs::path& content : contents) inventory.n_bytes += facts_of(content).n_bytes;
  std::stable_sort(inventory.models.begin(), inventory.models.end(),
                   [](const ListedModel& a, const ListedModel& b) { return a.last_used > b.last_used; });
  return inventory;
}

Removal plan_removal(const ModelStore& store, const RepoRef& ref) {
  Removal removal{ref.repo, {}, {}, {}, {}, 0, false};
  const bool all_is_named = ref.quant.empty() && !ref.file && ref.revision == Revision::main();
  const bool known = fs::exists(store.repo_folder(ref.repo));
  std::set<std::string> emptied;  // commits of which nothing stays
  std::set<fs::path> linked;      // blobs that something stood by; a mirror may have named them otherwise
  for (const Commit& commit : commits_of(store, ref)) {
    bool all = true;
    for (const CachedFile& file : store.files(ref.repo, commit)) {
      const bool wanted = is_wanted(file, ref);
      all = all && wanted;
      if (!wanted) continue;
      removal.links.push_back(file.location);
      linked.insert(file.blob);
    }
    if (all) emptied.insert(commit.hex());
  }
  if (!known || (removal.links.empty() && !all_is_named))
    throw Error(Errc::not_found, "{} is not in the cache {}", ref.text(), store.root().string());
  const std::set<fs::path> needed = needed_blobs(store, ref.repo, removal.links);
  const std::vector<fs::path> unfinished = abandoned(store, ref.repo);
  removal.whole_repo =
      all_is_named || (needed.empty() && unfinished.empty() && find_partials(store.blobs(ref.repo)).empty());
  if (removal.whole_repo) removal.partials = unfinished;
  for (const auto& [revision, commit] : store.refs(ref.repo))
    if (removal.whole_repo || emptied.count(commit.hex()))
      removal.refs.push_back(store.repo_folder(ref.repo) / "refs" / revision.text());
  for (const fs::path& blob : files_in(store.blobs(ref.repo)))
    if ((is_blob_name(blob) || linked.count(blob)) && !needed.count(blob.filename()))
      removal.blobs.push_back(blob);
  removal.n_bytes = bytes_freed(store, removal.blobs);
  for (const fs::path& partial : removal.partials) removal.n_bytes += facts_of(partial).n_bytes;
  for (const fs::path& link : removal.links)
    if (!fs::is_symlink(link)) removal.n_bytes += facts_of(link).n_bytes;
  return removal;
}

// Names first, content last: a reader never finds a name whose content is gone.
uint64_t remove(ModelStore& store, const Removal& removal) {
  uint64_t n_freed = 0;
  for (const fs::path& ref : removal.refs) unlink_if_there(ref);
  for (const fs::path& link : removal.links) {
    if (!fs::is_symlink(link)) n_freed += facts_of(link).n_bytes;
    unlink_if_there(link);
  }
  for (const fs::path& blob : removal.blobs) {
    const FileDescriptor lock = store.try_lock(removal.repo, blob.filename().string());
    if (!lock || needed_blobs(store, removal.repo, {}).count(blob.filename())) continue;
    n_freed += remove_blob(store, blob);
  }
  for (const fs::path& partial : removal.partials) {
    const std::string name = partial.filename().string();
    const FileDescriptor lock = store.try_lock(removal.repo, name.substr(0, name.find('.')));
    if (!lock) continue;
    const uint64_t n_bytes = facts_of(partial).n_bytes;
    unlink_if_there(partial);
    n_freed += n_bytes;
  }
  const fs::path folder = store.repo_folder(removal.repo);
  std::error_code ignored;
  for (const char* part : {"snapshots", "refs", ".no_exist", "trees"})
    if (removal.whole_repo) fs::remove_all(folder / part, ignored);  // links that lead nowhere too
  for (const char* part : {"snapshots", "refs"}) remove_empty_folders(folder / part);
  if (removal.whole_repo) {
    remove_empty_folders(folder);
    ::rmdir(folder.c_str());
  }
  return n_freed;
}

std::vector<ListedPartial> stale_partials(const Inventory& inventory, std::time_t now) {
  std::vector<ListedPartial> stale;
  for (const ListedPartial& partial : inventory.partials)
    if (!partial.in_use && (partial.superseded || now - partial.written > kStaleSeconds))
      stale.push_back(partial);
  return stale;
}

}  // namespace ruvllm::hub
