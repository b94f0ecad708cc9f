#include "hub/pull.h"

#include "base/error.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/strings.h"
#include "hub/download.h"
#include "hub/partial_file.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

namespace ruvllm::hub {
namespace {

constexpr uint64_t kDiskMarginDivisor = 20;  // 5 %

PullPlan plan_of(const RepoRef& ref, const Commit& commit, Choice choice) {
  PullPlan plan{ref, commit, {}, choice.is_folder, choice.quant, false};
  for (HubFile& file : choice.files) plan.files.push_back({std::move(file), false});
  return plan;
}

bool is_cached(const ModelStore& store, const RepoRef& ref, const Commit& commit, const HubFile& file) {
  const std::optional<CachedFile> found = store.find(ref.repo, commit, file.path);
  if (!found || found->n_bytes != file.n_bytes) return false;
  return found->blob == found->location || found->blob.filename() == file.digest->hex();
}

// A folder's weights are all there when every shard that its index names is.
bool folder_is_whole(const ModelStore& store, const PullPlan& plan) {
  std::set<std::string> names;
  std::filesystem::path index;
  for (const PlannedFile& planned : plan.files) {
    names.insert(planned.file.path.text());
    if (planned.file.path.text() == "model.safetensors.index.json")
      index = store.find(plan.ref.repo, plan.commit, planned.file.path)->location;
  }
  if (index.empty()) return names.count("config.json") > 0;
  const Json json = parse_json(read_file(index, limits::kJsonFileBytes), index.string());
  const auto map = json.find("weight_map");
  if (map == json.end() || !map->is_object()) return false;
  return std::all_of(map->begin(), map->end(), [&](const Json& file) {
    return file.is_string() && names.count(file.get<std::string>()) > 0;
  });
}

bool worth_the_cache(const Error& error) { return error.code() == Errc::network; }

// Disk space that unfinished files of these digests hold already.
uint64_t reserved_bytes(const ModelStore& store, const PullPlan& plan) {
  uint64_t sum = 0;
  for (const FoundPartial& partial : find_partials(store.blobs(plan.ref.repo)))
    for (const PlannedFile& planned : plan.files)
      if (!planned.cached && partial.path.filename().string().starts_with(planned.file.digest->hex() + "."))
        sum += partial.n_bytes;
  return sum;
}

void check_disk(const ModelStore& store, const PullPlan& plan) {
  const uint64_t missing = plan.n_bytes_missing();
  const uint64_t reserved = std::min(missing, reserved_bytes(store, plan));
  const uint64_t needed = (missing - reserved) + (missing - reserved) / kDiskMarginDivisor;
  struct statvfs disk {};
  if (::statvfs(store.repo_folder(plan.ref.repo).c_str(), &disk) != 0)
    return;  // unknown: fallocate will tell
  const uint64_t free_bytes = static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
  if (needed <= free_bytes) return;
  throw Error(Errc::no_resources,
              "{} needs {} on the disk of {}, {} are free: {} too few; 'ruvllm rm' or --cache-dir helps",
              plan.ref.text(), format_bytes(needed), store.root().string(), format_bytes(free_bytes),
              format_bytes(needed - free_bytes));
}

// A digest that the listing lacks is asked for with the file.
void complete_digests(HubClient& client, PullPlan& plan) {
  for (PlannedFile& planned : plan.files) {
    if (planned.file.digest) continue;
    const FileLocation location = client.locate(plan.ref.repo, plan.commit, planned.file.path);
    if (!location.digest)
      throw Error(Errc::network, "{}/{}: the hub names no digest, so the file could not be verified: refused",
                  plan.ref.repo.text(), planned.file.path.text());
    planned.file.digest = location.digest;
  }
}

PullPlan plan_from_hub(HubClient& client, ModelStore& store, const RepoRef& ref) {
  const Commit commit = client.resolve(ref.repo, ref.revision);
  const Listing listing = client.list(ref.repo, commit);
  if (client.settings().note)
    for (const std::string& refused : listing.refused)
      client.settings().note(fmt::format("{}: a file is left out, its name {}", ref.repo.text(), refused));
  try {
    PullPlan plan = plan_of(ref, commit, choose_files(listing, ref));
    complete_digests(client, plan);
    for (PlannedFile& planned : plan.files) planned.cached = is_cached(store, ref, commit, planned.file);
    return plan;
  } catch (const Error& error) {
    if (error.code() == Errc::not_found && ref.file && std::filesystem::exists(store.repo_folder(ref.repo)))
      store.mark_absent(ref.repo, commit, *ref.file);
    throw;
  }
}

}  // namespace

uint64_t PullPlan::n_bytes() const {
  uint64_t sum = 0;
  for (const PlannedFile& planned : files) sum += planned.file.n_bytes;
  return sum;
}

uint64_t PullPlan::n_bytes_missing() const {
  uint64_t sum = 0;
  for (const PlannedFile& planned : files) sum += planned.cached ? 0 : planned.file.n_bytes;
  return sum;
}

std::optional<PullPlan> plan_from_cache(const ModelStore& store, const RepoRef& ref) {
  const std::optional<Commit> commit = store.read_ref(ref.repo, ref.revision);
  if (!commit) return std::nullopt;
  Listing listing;
  for (const CachedFile& file : store.files(ref.repo, *commit))
    listing.files.push_back({file.path, file.n_bytes, Digest::parse(file.blob.filename().string())});
  try {
    PullPlan plan = plan_of(ref, *commit, choose_files(listing, ref));
    for (PlannedFile& planned : plan.files) planned.cached = true;
    plan.from_cache = true;
    if (plan.is_folder && !folder_is_whole(store, plan)) return std::nullopt;
    return plan;
  } catch (const Error& error) {
    if (error.code() == Errc::usage) throw;  // several models are cached: the user has to choose
    return std::nullopt;
  }
}

PullPlan plan_pull(HubClient& client, ModelStore& store, const RepoRef& ref) {
  const bool pinned = Commit::parse(ref.revision.text()).has_value();
  if (pinned || client.settings().offline)
    if (std::optional<PullPlan> cached = plan_from_cache(store, ref)) return std::move(*cached);
  // A commit never changes: what it was found to lack, it lacks.
  if (const auto commit = store.read_ref(ref.repo, ref.revision);
      commit && ref.file && (pinned || client.settings().offline) &&
      store.is_absent(ref.repo, *commit, *ref.file))
    throw Error(Errc::not_found, "{} has no file '{}' at revision {}", ref.repo.text(), ref.file->text(),
                commit->hex());
  if (client.settings().offline)
    throw Error(Errc::not_found, "{} is not in the cache {}; run 'ruvllm pull {}' without --offline",
                ref.text(), store.root().string(), ref.text());
  try {
    return plan_from_hub(client, store, ref);
  } catch (const Error& error) {
    if (!worth_the_cache(error)) throw;
    std::optional<PullPlan> cached = plan_from_cache(store, ref);
    if (!cached) throw;
    if (client.settings().note) client.settings().note(fmt::format("{}; using what is cached", error.what()));
    return std::move(*cached);
  }
}

void pull(HubClient& client, ModelStore& store, const PullPlan& plan, PullObserver& observer) {
  if (plan.from_cache && plan.n_bytes_missing() == 0) return;
  const RepoId& repo = plan.ref.repo;
  const auto missing = static_cast<size_t>(std::count_if(
      plan.files.begin(), plan.files.end(), [](const PlannedFile& planned) { return !planned.cached; }));
  // Also where only the ref is wrong: a kill while it was written leaves its temporary file, which prepare()
  // sweeps away.
  if (missing > 0 || store.read_ref(repo, plan.ref.revision) != plan.commit) store.prepare(repo);
  if (missing > 0) check_disk(store, plan);
  observer.begins(missing, plan.n_bytes_missing());
  for (size_t i = 0; i < plan.files.size(); ++i) {
    const HubFile& file = plan.files[i].file;
    if (plan.files[i].cached) continue;
    observer.file_begins(plan, i);
    download_blob(client, store, repo, plan.commit, file,
                  [&](uint64_t n_present) { observer.file_advances(n_present); });
    observer.file_ends();
  }
  store.write_ref(repo, plan.ref.revision, plan.commit);
}

std::filesystem::path model_path(const ModelStore& store, const PullPlan& plan) {
  const std::filesystem::path folder = store.snapshot(plan.ref.repo, plan.commit);
  return plan.is_folder ? folder : folder / plan.files.at(0).file.path.path();
}

std::vector<HubFile> verify(ModelStore& store, PullPlan& plan, PullObserver& observer) {
  std::vector<HubFile> wrong;
  const auto n_cached = static_cast<size_t>(std::count_if(
      plan.files.begin(), plan.files.end(), [](const PlannedFile& planned) { return planned.cached; }));
  observer.begins(n_cached, plan.n_bytes() - plan.n_bytes_missing());
  for (size_t i = 0; i < plan.files.size(); ++i) {
    PlannedFile& planned = plan.files[i];
    const auto cached = store.find(plan.ref.repo, plan.commit, planned.file.path);
    if (!planned.cached || !cached || !planned.file.digest) continue;
    observer.file_begins(plan, i);
    const FileDescriptor file(::open(cached->blob.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) throw system_error(errno, cached->blob.string());
    uint64_t n_hashed = 0;
    const Digest digest = hash_file(file.get(), cached->n_bytes, planned.file.digest->kind(),
                                    [&](uint64_t n) { observer.file_advances(n_hashed += n); });
    observer.file_ends();
    if (digest == *planned.file.digest) continue;
    std::filesystem::remove(cached->location);
    std::filesystem::remove(cached->blob);
    planned.cached = false;
    plan.from_cache = false;
    wrong.push_back(planned.file);
  }
  return wrong;
}

std::filesystem::path find_or_pull(HubClient& client, ModelStore& store, const RepoRef& ref,
                                   PullObserver& observer) {
  if (const std::optional<PullPlan> cached = plan_from_cache(store, ref)) return model_path(store, *cached);
  const PullPlan plan = plan_pull(client, store, ref);
  pull(client, store, plan, observer);
  return model_path(store, plan);
}

}  // namespace ruvllm::hub
