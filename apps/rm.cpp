// ruvllm rm: deletes models from the cache, and content only when nothing else needs it. Tested by
// tests/hub/.
#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "cli/app.h"
#include "cli/console.h"
#include "cli/hub_options.h"
#include "hub/inventory.h"

#include <string>
#include <vector>

namespace ruvllm {
namespace {

struct RmOptions {
  std::vector<std::string> models;
  bool dry_run = false;
};

void add_options(CLI::App& command, RmOptions& options) {
  command
      .add_option("MODEL", options.models, "ORG/NAME, or of it only @REVISION, :TYPE or /FILE; or an alias.")
      ->type_name("MODEL");
  command.add_flag("--dry-run", options.dry_run, "Say what would be deleted, and delete nothing.");
}

Json paths_json(const std::vector<std::filesystem::path>& paths) {
  Json list = Json::array();
  for (const auto& path : paths) list.push_back(path.string());
  return list;
}

int run(const RmOptions& options, const cli::CommonOptions& common) {
  if (options.models.empty()) throw Error(Errc::usage, "which model? 'ruvllm list' shows what is cached");
  const hub::HubSettings settings = cli::hub_settings(common);
  hub::ModelStore store(settings.cache_root, settings.symlinks);
  std::vector<std::pair<hub::RepoRef, hub::Removal>> planned;
  for (const std::string& model : options.models) {  // all are looked for before any is deleted
    const auto ref = cli::hub_reference(model, common);
    if (!ref) throw Error(Errc::usage, "'{}' is neither ORG/NAME nor an alias", model);
    planned.emplace_back(*ref, hub::plan_removal(store, *ref));
  }
  uint64_t n_freed = 0;
  Json removed = Json::array();
  for (const auto& [ref, removal] : planned) {
    const uint64_t n_bytes = options.dry_run ? removal.n_bytes : hub::remove(store, removal);
    n_freed += n_bytes;
    removed.push_back({{"reference", ref.text()},
                       {"bytes", n_bytes},
                       {"files", paths_json(removal.links)},
                       {"blobs", paths_json(removal.blobs)}});
    if (common.json) continue;
    for (const auto& link : removal.links) cli::detail(common, link.string());
    cli::print(fmt::format("{}: {} {}\n", ref.text(), format_bytes(n_bytes),
                           options.dry_run ? "would be freed" : "freed"));
  }
  if (common.json)
    cli::print(dump_json(Json{{"removed", removed}, {"bytes_freed", n_freed}, {"dry_run", options.dry_run}}) +
               "\n");
  return 0;
}

}  // namespace
}  // namespace ruvllm

int main(int argc, char** argv) {
  ruvllm::RmOptions options;
  return ruvllm::cli::main_app(
      argc, argv,
      {"rm", "Delete models from the cache.",
       "ruvllm rm Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q8_0\nruvllm rm --dry-run qwen",
       [&](CLI::App& command) { ruvllm::add_options(command, options); },
       [&](const ruvllm::cli::CommonOptions& common) { return ruvllm::run(options, common); }});
}
