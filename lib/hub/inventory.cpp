#include "hub/inventory.h"

#include "base/error.h"
#include "base/strings.h"
#include "hub/file_choice.h"
#include "hub/partial_file.h"

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
  if (::lstat(path.c_str(), &status) != 0) return {};
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
  ::rmdir(top.c_str());
}

void unlink_if_there(const fs::path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) throw system_error(errno, path.string());
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
  for (const RepoId& repo : store.repos()) {
    for (const Commit& commit : store.commits(repo)) list_snapshot(store, repo, commit, inventory);
    for (const fs::path& blob : files_in(store.blobs(repo)))
      if (is_blob_name(blob)) inventory.n_bytes += facts_of(blob).n_bytes;
    for (const FoundPartial& partial : find_partials(store.blobs(repo))) {
      const std::string name = partial.path.filename().string();
      const fs::path blob = store.blobs(repo) / name.substr(0, name.find('.'));
      inventory.partials.push_back({repo, partial.path, partial.n_bytes, facts_of(partial.path).written,
                                    partial.in_use, fs::exists(fs::symlink_status(blob))});
    }
  }
  std::stable_sort(inventory.models.begin(), inventory.models.end(),
                   [](const ListedModel& a, const ListedModel& b) { return a.last_used > b.last_used; });
  return inventory;
}

Removal plan_removal(const ModelStore& store, const RepoRef& ref) {
  Removal removal{ref.repo, {}, {}, {}, {}, 0, false};
  removal.whole_repo = ref.quant.empty() && !ref.file && ref.revision == Revision::main();
  const bool known = fs::exists(store.repo_folder(ref.repo));
  std::set<std::string> emptied;  // commits of which nothing stays
  for (const Commit& commit : commits_of(store, ref)) {
    bool all = true;
    for (const CachedFile& file : store.files(ref.repo, commit)) {
      const bool wanted = is_wanted(file, ref);
      if (wanted) removal.links.push_back(file.location);
      all = all && wanted;
    }
    if (all) emptied.insert(commit.hex());
  }
  if (!known || (removal.links.empty() && !removal.whole_repo))
    throw Error(Errc::not_found, "{} is not in the cache {}", ref.text(), store.root().string());
  for (const auto& [revision, commit] : store.refs(ref.repo))
    if (removal.whole_repo || emptied.count(commit.hex()))
      removal.refs.push_back(store.repo_folder(ref.repo) / "refs" / revision.text());
  const std::set<fs::path> needed = needed_blobs(store, ref.repo, removal.links);
  for (const fs::path& blob : files_in(store.blobs(ref.repo)))
    if (is_blob_name(blob) && !needed.count(blob.filename())) {
      removal.blobs.push_back(blob);
      removal.n_bytes += facts_of(blob).n_bytes;
    }
  for (const FoundPartial& partial : find_partials(store.blobs(ref.repo)))
    if (removal.whole_repo && !partial.in_use) {
      removal.partials.push_back(partial.path);
      removal.n_bytes += partial.n_bytes;
    }
  return removal;
}

// Names first, content last: a reader never finds a name whose content is gone.
uint64_t remove(ModelStore& store, const Removal& removal) {
  uint64_t n_freed = 0;
  for (const fs::path& ref : removal.refs) unlink_if_there(ref);
  for (const fs::path& link : removal.links) {
    const FileFacts facts = facts_of(link);
    if (!fs::is_symlink(link)) n_freed += facts.n_bytes;
    unlink_if_there(link);
  }
  for (const fs::path& blob : removal.blobs) {
    const FileDescriptor lock = store.try_lock(removal.repo, blob.filename().string());
    if (!lock || needed_blobs(store, removal.repo, {}).count(blob.filename())) continue;
    const uint64_t n_bytes = facts_of(blob).n_bytes;
    unlink_if_there(blob);
    n_freed += n_bytes;
  }
  for (const fs::path& partial : removal.partials) {
    const uint64_t n_bytes = facts_of(partial).n_bytes;
    unlink_if_there(partial);
    n_freed += n_bytes;
  }
  const fs::path folder = store.repo_folder(removal.repo);
  std::error_code ignored;
  for (const char* part : {"snapshots", "refs", ".no_exist"})
    if (removal.whole_repo) fs::remove_all(folder / part, ignored);  // links that lead nowhere too
  for (const char* part : {"snapshots", "refs"}) remove_empty_folders(folder / part);
  if (removal.whole_repo) remove_empty_folders(folder);
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
