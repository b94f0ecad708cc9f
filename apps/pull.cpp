// ruvllm pull: fetches a model into the cache. The work is lib/hub's; here are the options, what is printed,
// and the hand-over to ruvllm-quantize. Tested by tests/hub/ against a hub on loopback.
#include "hub/pull.h"
#include "base/error.h"
#include "base/json.h"
#include "base/machine.h"
#include "base/strings.h"
#include "cli/app.h"
#include "cli/console.h"
#include "cli/hub_options.h"
#include "cli/table.h"
#include "hub/model_needs.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

namespace ruvllm {
namespace {

constexpr uint64_t kDefaultContext = 4096;

struct PullOptions {
  std::string model;
  bool dry_run = false;
  bool verify = false;
  std::string quantize;
  std::string output;
  cli::HubOptions hub;
};

void add_options(CLI::App& command, PullOptions& options) {
  command.add_option("MODEL", options.model, "ORG/NAME[@REVISION][:TYPE or /FILE] on the hub, or an alias.")
      ->type_name("MODEL");
  command.add_flag("--dry-run", options.dry_run,
                   "Say what would be fetched, and whether the model fits this machine.");
  command.add_flag("--verify", options.verify,
                   "Check the digests of what is cached, too, and fetch again what is wrong.");
  auto* quantize =
      command.add_option("--quantize", options.quantize, "Go straight on to a GGUF file of this type.")
          ->type_name("TYPE");
  command
      .add_option("-o,--output", options.output,
                  "Write that file here (NAME-TYPE.gguf in this folder where not given).")
      ->type_name("FILE")
      ->needs(quantize);
  cli::add_hub_options(command, options.hub);
}

hub::RepoRef reference_of(const PullOptions& options, const cli::CommonOptions& common) {
  if (options.model.empty())
    throw Error(Errc::usage, "which model? For example: ruvllm pull Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q4_K_M");
  const auto ref = cli::hub_reference(options.model, common);
  if (!ref)
    throw Error(Errc::usage,
                "'{}' is neither ORG/NAME on the hub nor an alias ('ruvllm list --aliases' shows those)",
                options.model);
  return *ref;
}

Json files_json(const hub::PullPlan& plan) {
  Json files = Json::array();
  for (const hub::PlannedFile& planned : plan.files)
    files.push_back({{"path", planned.file.path.text()},
                     {"bytes", planned.file.n_bytes},
                     {"digest", planned.file.digest ? Json(planned.file.digest->hex()) : Json(nullptr)},
                     {"cached", planned.cached}});
  return files;
}

Json plan_json(const hub::PullPlan& plan) {
  return {{"reference", plan.ref.text()},
          {"commit", plan.commit.hex()},
          {"files", files_json(plan)},
          {"bytes", plan.n_bytes()},
          {"bytes_to_fetch", plan.n_bytes_missing()}};
}

void show_plan(const hub::PullPlan& plan, const std::optional<hub::MemoryNeeds>& needs,
               const cli::CommonOptions& common) {
  const uint64_t available = read_machine().available_bytes;
  const uint64_t needed = needs ? needs->weight_bytes + needs->kv_bytes : plan.n_bytes();
  if (common.json) {
    Json document = plan_json(plan);
    document["memory"] = {{"needed_bytes", needed},
                          {"kv_bytes", needs ? Json(needs->kv_bytes) : Json(nullptr)},
                          {"context", needs ? Json(needs->n_context) : Json(nullptr)},
                          {"available_bytes", available},
                          {"fits", needed <= available}};
    return cli::print(dump_json(document) + "\n");
  }
  cli::Table table({{"FILE"}, {"SIZE", cli::Table::Align::right}, {""}});
  for (const hub::PlannedFile& planned : plan.files)
    table.add_row(
        {planned.file.path.text(), format_bytes(planned.file.n_bytes), planned.cached ? "cached" : ""});
  cli::print(table.text(cli::Style(cli::use_color(STDOUT_FILENO, common.color))));
  cli::print(fmt::format("to fetch: {} of {}\n", format_bytes(plan.n_bytes_missing()),
                         format_bytes(plan.n_bytes())));
  const std::string what =
      needs ? fmt::format("{} and {} of keys and values at {} tokens", format_bytes(needs->weight_bytes),
                          format_bytes(needs->kv_bytes), needs->n_context)
            : format_bytes(needed);
  cli::print(fmt::format("memory: {}; {} are available: it {}\n", what, format_bytes(available),
                         needed <= available ? "fits" : "does not fit"));
}

// Starts ruvllm-quantize beside this program and waits; its exit code is ours.
int hand_over_to_quantize(const std::filesystem::path& model, const hub::PullPlan& plan,
                          const PullOptions& options, const cli::CommonOptions& common) {
  const std::filesystem::path program =
      std::filesystem::read_symlink("/proc/self/exe").parent_path() / "ruvllm-quantize";
  if (!std::filesystem::exists(program))
    throw Error(Errc::not_found, "{} is pulled, but {} is not installed to quantise it", plan.ref.text(),
                program.string());
  const std::string output = !options.output.empty()
                                 ? options.output
                                 : fmt::format("{}-{}.gguf", plan.ref.repo.name(), options.quantize);
  std::vector<std::string> words = {program.string(),
                                    model.string(),
                                    output,
                                    "--type",
                                    options.quantize,
                                    "--threads",
                                    fmt::format("{}", common.threads)};
  if (common.json) words.push_back("--json");
  if (common.quiet) words.push_back("--quiet");
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  if (const int failed = posix_spawn(&child, program.c_str(), nullptr, nullptr, arguments.data(), environ);
      failed != 0)
    throw system_error(failed, program.string());
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) throw system_error(errno, program.string());
  return WIFEXITED(status) ? WEXITSTATUS(status) : error_kind(Errc::failed).exit_code;
}

int run(const PullOptions& options, const cli::CommonOptions& common) {
  const hub::RepoRef ref = reference_of(options, common);
  hub::HubClient client(cli::hub_settings(common, options.hub));
  hub::ModelStore store(client.settings().cache_root, client.settings().symlinks);
  hub::PullPlan plan = hub::plan_pull(client, store, ref);
  if (options.dry_run) {
    show_plan(plan, hub::memory_needs(client, store, plan, kDefaultContext), common);
    return 0;
  }
  if (options.verify) {
    cli::ConsoleObserver observer(common, client.settings(), "verifying");
    const std::vector<hub::HubFile> wrong = hub::verify(store, plan, observer);
    for (const hub::HubFile& file : wrong)
      cli::warn(common, fmt::format("{} was corrupt and is deleted", file.path.text()));
    if (!wrong.empty() && client.settings().offline)
      throw Error(Errc::corrupt_file,
                  "{} of {} files were corrupt and are deleted; pull again without --offline", wrong.size(),
                  plan.files.size());
  }
  const uint64_t n_fetched = plan.n_bytes_missing();
  {
    cli::ConsoleObserver observer(common, client.settings(), "pulling");
    hub::pull(client, store, plan, observer);
  }
  const std::filesystem::path path = hub::model_path(store, plan);
  cli::note(common, fmt::format("{}: {}, {} fetched", plan.ref.text(), format_bytes(plan.n_bytes()),
                                format_bytes(n_fetched)));
  if (!options.quantize.empty()) return hand_over_to_quantize(path, plan, options, common);
  if (!common.json) {
    cli::print(path.string() + "\n");
    return 0;
  }
  Json document = plan_json(plan);
  document["bytes_fetched"] = n_fetched;
  document["path"] = path.string();
  cli::print(dump_json(document) + "\n");
  return 0;
}

}  // namespace
}  // namespace ruvllm

int main(int argc, char** argv) {
  ruvllm::PullOptions options;
  return ruvllm::cli::main_app(
      argc, argv,
      {"pull", "Fetch a model from a Hugging Face hub into the cache.",
       "ruvllm pull Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q4_K_M\nruvllm pull Qwen/Qwen2.5-0.5B-Instruct "
       "--quantize Q4_K_M",
       [&](CLI::App& command) { ruvllm::add_options(command, options); },
       [&](const ruvllm::cli::CommonOptions& common) { return ruvllm::run(options, common); }});
}
