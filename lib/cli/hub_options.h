// What the verbs that talk to a hub share: options, settings, progress on the console, and what a MODEL on
// the command line means there. Tested by tests/hub/ through the programs.
#pragma once

#include "cli/app.h"
#include "cli/progress.h"
#include "hub/hub_client.h"
#include "hub/pull.h"

#include <optional>
#include <string>

namespace ruvllm::cli {

struct HubOptions {
  std::string endpoint;
  int parts = 4;
  int retries = limits::kHubRetries;
  double retry_delay = 1;
  int stall_timeout = 0;  ///< 0: HF_HUB_DOWNLOAD_TIMEOUT, else 30
  int max_wait = limits::kHubRetryAfterSeconds;
};

/// Adds --endpoint, --parts, --retries, --retry-delay, --stall-timeout, --max-wait.
void add_hub_options(CLI::App& command, HubOptions& options);

/// The environment's settings with what the command line says. Notes go to stderr; with -vv requests do.
hub::HubSettings hub_settings(const CommonOptions& common, const HubOptions& options = {});

/// What a MODEL that is no path means on the hub: an alias of the config file, a known model's alias, or a
/// reference itself; nothing where the text has none of these forms. Throws usage where a reference is
/// malformed.
std::optional<hub::RepoRef> hub_reference(const std::string& text, const CommonOptions& common);

/// A bar for each file and one for the whole; none where HF_HUB_DISABLE_PROGRESS_BARS says so.
class ConsoleObserver : public hub::PullObserver {
 public:
  /// `doing` is "pulling" or "verifying".
  ConsoleObserver(const CommonOptions& common, const hub::HubSettings& settings, std::string doing);

  void begins(size_t n_files, uint64_t n_bytes) override;
  void file_begins(const hub::PullPlan& plan, size_t index) override;
  void file_advances(uint64_t n_present) override { progress_->file_advances(n_present); }
  void file_ends() override { progress_->file_ends(); }

 private:
  CommonOptions common_;
  std::string doing_;
  std::optional<FilesProgress> progress_;
};

/// The path of the model that a reference means, pulled first where it is not cached.
std::filesystem::path find_or_pull(const hub::RepoRef& ref, const CommonOptions& common);

}  // namespace ruvllm::cli
