// ruvllm list: what the cache holds, what was left half done, and the aliases. Tested by tests/hub/.
#include "base/error.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "cli/app.h"
#include "cli/console.h"
#include "cli/hub_options.h"
#include "cli/model_options.h"
#include "cli/table.h"
#include "hub/inventory.h"
#include "hub/known_models.h"

#include <unistd.h>

#include <ctime>
#include <string>

namespace ruvllm {
namespace {

constexpr uint64_t kShownContext = 4096;

struct ListOptions {
  bool aliases = false;
  bool prune = false;
};

void add_options(CLI::App& command, ListOptions& options) {
  auto* aliases = command.add_flag("--aliases", options.aliases, "Show the short names of models instead.");
  command
      .add_flag("--prune", options.prune, "Delete partial files that are superseded or older than 30 days.")
      ->excludes(aliases);
}

std::string date_of(std::time_t time) {
  std::tm local{};
  char text[32];
  localtime_r(&time, &local);
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%d", &local));
}

cli::Style style_of(const cli::CommonOptions& common) {
  return cli::Style(cli::use_color(STDOUT_FILENO, common.color));
}

int show_aliases(const cli::CommonOptions& common) {
  Json document = Json::array();
  cli::Table table(
      {{"ALIAS"}, {"MODEL"}, {fmt::format("MEMORY AT {} TOKENS", kShownContext), cli::Table::Align::right}});
  for (const auto& [name, reference] : common.aliases) {
    document.push_back({{"alias", name}, {"reference", reference}, {"from", "config"}});
    table.add_row({printable(name), printable(reference), ""});
  }
  const std::string built_in(cli::kBuiltInModel);
  if (const auto path = cli::built_in_model(); !path.empty() && !common.aliases.count(built_in)) {
    document.push_back({{"alias", built_in},
                        {"reference", path.string()},
                        {"from", "built in"},
                        {"about", "comes with ruvllm"}});
    table.add_row({built_in, printable(path.string()), ""});
  }
  for (const hub::KnownModel& model : hub::known_models()) {
    if (common.aliases.count(std::string(model.alias))) continue;  // the user's own comes first
    document.push_back({{"alias", model.alias},
                        {"reference", model.reference},
                        {"from", "built in"},
                        {"about", model.about},
                        {"memory_bytes", model.memory_bytes(kShownContext)}});
    table.add_row({std::string(model.alias), std::string(model.reference),
                   "about " + format_bytes(model.memory_bytes(kShownContext))});
  }
  cli::print(common.json ? dump_json(Json{{"aliases", document}}) + "\n" : table.text(style_of(common)));
  return 0;
}

uint64_t prune(const hub::Inventory& inventory, const cli::CommonOptions& common) {
  uint64_t n_freed = 0;
  for (const hub::ListedPartial& partial : hub::stale_partials(inventory, std::time(nullptr))) {
    if (::unlink(partial.path.c_str()) != 0) continue;
    n_freed += partial.n_bytes;
    cli::detail(common, fmt::format("deleted {}", partial.path.string()));
  }
  cli::note(common, fmt::format("{} freed", format_bytes(n_freed)));
  return n_freed;
}

Json json_of(const hub::Inventory& inventory) {
  Json models = Json::array();
  for (const hub::ListedModel& model : inventory.models)
    models.push_back({{"reference", model.reference()},
                      {"repo", model.repo.text()},
                      {"quant", model.quant},
                      {"commit", model.commit.hex()},
                      {"revisions", model.revisions},
                      {"files", model.files},
                      {"bytes", model.n_bytes},
                      {"last_used", model.last_used}});
  Json partials = Json::array();
  for (const hub::ListedPartial& partial : inventory.partials)
    partials.push_back({{"repo", partial.repo.text()},
                        {"file", partial.path.string()},
                        {"bytes", partial.n_bytes},
                        {"in_use", partial.in_use},
                        {"superseded", partial.superseded}});
  return {{"models", models}, {"partials", partials}, {"bytes", inventory.n_bytes}};
}

void show(const hub::Inventory& inventory, const cli::CommonOptions& common) {
  cli::Table table({{"MODEL"}, {"TYPE"}, {"SIZE", cli::Table::Align::right}, {"LAST USED"}});
  for (const hub::ListedModel& model : inventory.models)
    table.add_row({model.reference(), model.quant, format_bytes(model.n_bytes), date_of(model.last_used)});
  for (const hub::ListedPartial& partial : inventory.partials)
    table.add_row({partial.repo.text(), partial.in_use ? "being fetched" : "unfinished",
                   format_bytes(partial.n_bytes), date_of(partial.written)});
  if (!table.empty()) cli::print(table.text(style_of(common)));
  cli::note(common, fmt::format("{} in {} {}", format_bytes(inventory.n_bytes), inventory.models.size(),
                                inventory.models.size() == 1 ? "model" : "models"));
}

int run(const ListOptions& options, const cli::CommonOptions& common) {
  if (options.aliases) return show_aliases(common);
  const hub::HubSettings settings = cli::hub_settings(common);
  const hub::ModelStore store(settings.cache_root, settings.symlinks);
  hub::Inventory inventory = hub::take_inventory(store);
  uint64_t n_freed = 0;
  if (options.prune) {
    n_freed = prune(inventory, common);
    inventory = hub::take_inventory(store);
  }
  if (!common.json) {
    show(inventory, common);
    return 0;
  }
  Json document = json_of(inventory);
  document["cache"] = store.root().string();
  if (options.prune) document["bytes_freed"] = n_freed;
  cli::print(dump_json(document) + "\n");
  return 0;
}

}  // namespace
}  // namespace ruvllm

int main(int argc, char** argv) {
  ruvllm::ListOptions options;
  return ruvllm::cli::main_app(
      argc, argv,
      {"list", "Show the models that are cached.",
       "ruvllm list\nruvllm list --aliases\nruvllm list --json | jq -r '.models[].reference'",
       [&](CLI::App& command) { ruvllm::add_options(command, options); },
       [&](const ruvllm::cli::CommonOptions& common) { return ruvllm::run(options, common); }});
}
