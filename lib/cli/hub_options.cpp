#include "cli/hub_options.h"

#include "base/error.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "cli/console.h"
#include "cli/resolve_options.h"
#include "hub/known_models.h"

namespace ruvllm::cli {

void add_hub_options(CLI::App& command, HubOptions& options) {
  command
      .add_option("--endpoint", options.endpoint,
                  "Ask the hub at this address (HF_ENDPOINT, else huggingface.co).")
      ->type_name("URL");
  command.add_option("--parts", options.parts, "Fetch so many parts of a file at once.")
      ->type_name("N")
      ->check(between(1, 8))
      ->capture_default_str();
  command.add_option("--retries", options.retries, "Try again so often without progress.")
      ->type_name("N")
      ->check(between(0, 100))
      ->capture_default_str();
  command
      .add_option("--retry-delay", options.retry_delay,
                  "Wait up to so long before the first retry; doubles each time.")
      ->type_name("SECONDS")
      ->check(between(0, 60))
      ->capture_default_str();
  command
      .add_option("--stall-timeout", options.stall_timeout,
                  "Reconnect after so long below 1 KiB/s (30 where not given).")
      ->type_name("SECONDS")
      ->check(between(1, 3600));
  command.add_option("--max-wait", options.max_wait, "Never wait longer than this when the hub asks to.")
      ->type_name("SECONDS")
      ->check(between(1, 3600))
      ->capture_default_str();
}

hub::HubSettings hub_settings(const CommonOptions& common, const HubOptions& options) {
  hub::HubSettings settings = hub::settings_from_environment();
  if (!options.endpoint.empty()) settings.endpoint = net::Url::parse(options.endpoint);
  if (!common.cache_dir.empty()) settings.cache_root = common.cache_dir;
  settings.offline = settings.offline || common.offline;
  settings.n_parts = options.parts;
  settings.n_retries = options.retries;
  settings.retry_delay = std::chrono::milliseconds(static_cast<int64_t>(options.retry_delay * 1000));
  if (options.stall_timeout > 0) settings.stall_timeout = std::chrono::seconds(options.stall_timeout);
  settings.max_wait = std::chrono::seconds(options.max_wait);
  settings.interrupted = &interrupt_flag();
  settings.note = [&common](const std::string& text) { note(common, text); };
  if (common.verbose >= 2) settings.log = [&common](const std::string& text) { note(common, text); };
  return settings;
}

std::optional<hub::RepoRef> hub_reference(const std::string& text, const CommonOptions& common) {
  if (const auto alias = common.aliases.find(text); alias != common.aliases.end()) {
    if (!hub::looks_like_repo_ref(alias->second)) return std::nullopt;
    return hub::parse_repo_ref(alias->second);
  }
  if (const hub::KnownModel* known = hub::find_known_model(text))
    return hub::parse_repo_ref(known->reference);
  if (!hub::looks_like_repo_ref(text)) return std::nullopt;
  return hub::parse_repo_ref(text);
}

ConsoleObserver::ConsoleObserver(const CommonOptions& common, const hub::HubSettings& settings,
                                 std::string doing)
    : common_(common), doing_(std::move(doing)) {
  common_.quiet = common_.quiet || !settings.progress_bars;
}

void ConsoleObserver::begins(size_t n_files, uint64_t n_bytes) {
  progress_.emplace(common_, n_files, n_bytes);
}

void ConsoleObserver::file_begins(const hub::PullPlan& plan, size_t index) {
  const hub::HubFile& file = plan.files[index].file;
  progress_->file_begins(fmt::format("{} {}", doing_, file.path.file_name()), file.n_bytes);
}

std::filesystem::path find_or_pull(const hub::RepoRef& ref, const CommonOptions& common) {
  hub::HubClient client(hub_settings(common));
  hub::ModelStore store(client.settings().cache_root, client.settings().symlinks);
  ConsoleObserver observer(common, client.settings(), "pulling");
  return hub::find_or_pull(client, store, ref, observer);
}

}  // namespace ruvllm::cli
