// ruvllm push: uploads a file or a folder to a hub as one commit, with a model card where there is none.
// Tested by tests/hub/push_test.cpp.
#include "model_card.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "cli/app.h"
#include "cli/config_file.h"
#include "cli/console.h"
#include "cli/hub_options.h"
#include "cli/progress.h"
#include "format/gguf.h"
#include "hub/push.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace ruvllm {
namespace {

namespace fs = std::filesystem;

struct PushOptions {
  std::string source;
  std::string target;
  bool is_private = false;
  bool dry_run = false;
  bool no_card = false;
  std::string message = "Upload with ruvllm";
  std::string license;
  std::string base_model;
  std::vector<std::string> evaluations;
  cli::HubOptions hub;
};

void add_options(CLI::App& command, PushOptions& options) {
  command.add_option("SOURCE", options.source, "A file or a folder.")->type_name("DIR|FILE");
  command.add_option("TARGET", options.target, "ORG/NAME[@REVISION] on the hub, created where absent.")
      ->type_name("ORG/NAME");
  command.add_flag("--private", options.is_private, "Create the repository as a private one.");
  command.add_flag("--dry-run", options.dry_run, "Say what would be uploaded, and upload nothing.");
  command.add_flag("--no-card", options.no_card, "Don't make a README.md where there is none.");
  command.add_option("--message", options.message, "Say this in the commit.")
      ->type_name("TEXT")
      ->capture_default_str();
  command.add_option("--license", options.license, "Name this licence in the model card.")->type_name("ID");
  command
      .add_option("--base-model", options.base_model, "Name the model this one was made from in the card.")
      ->type_name("ORG/NAME");
  command
      .add_option("--evaluation", options.evaluations,
                  "Give a figure in the card, e.g. 'perplexity=6.42'; repeatable.")
      ->type_name("NAME=VALUE");
  cli::add_hub_options(command, options.hub);
}

hub::SafePath safe_name(const std::string& text) {
  std::string why;
  const auto path = hub::SafePath::parse(text, &why);
  if (!path) throw Error(Errc::usage, "'{}' can't be uploaded: its name {}", printable(text), why);
  return *path;
}

// Every plain file below a folder but hidden ones, or the file itself.
std::vector<hub::PushFile> files_of(const fs::path& source) {
  if (!fs::exists(source)) throw Error(Errc::not_found, "{}: no such file or folder", source.string());
  if (!fs::is_directory(source)) return {{source, safe_name(source.filename().string())}};
  std::vector<hub::PushFile> files;
  for (auto walk = fs::recursive_directory_iterator(source); walk != fs::recursive_directory_iterator();
       ++walk) {
    if (walk->path().filename().string().starts_with('.')) {
      if (walk->is_directory()) walk.disable_recursion_pending();
      continue;
    }
    if (walk->is_regular_file())
      files.push_back({walk->path(), safe_name(walk->path().lexically_relative(source).generic_string())});
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  if (files.empty()) throw Error(Errc::usage, "{} holds no files to upload", source.string());
  return files;
}

apps::CardOptions card_options(const PushOptions& options, const hub::RepoRef& ref) {
  apps::CardOptions card{ref.repo.text(), options.license, options.base_model, {}};
  for (const std::string& given : options.evaluations) {
    const size_t equals = given.rfind('=');
    if (equals == std::string::npos || equals == 0)
      throw Error(Errc::usage, "--evaluation '{}' is not NAME=VALUE", printable(given));
    card.evaluations.emplace_back(given.substr(0, equals), given.substr(equals + 1));
  }
  return card;
}

// A card made from the first GGUF file, where neither the upload nor the hub has a README.md.
std::string make_card(const std::vector<hub::PushFile>& files, const apps::CardOptions& options) {
  for (const hub::PushFile& file : files)
    if (file.path.text() == "README.md") return {};
  for (const hub::PushFile& file : files)
    if (file.path.text().ends_with(".gguf")) return apps::model_card(*format::read_gguf(file.local), options);
  return {};
}

bool hub_has_card(hub::HubClient& client, const hub::RepoRef& ref) {
  try {
    for (const hub::HubFile& file : client.list(ref.repo, client.resolve(ref.repo, ref.revision)).files)
      if (file.path.text() == "README.md") return true;
  } catch (const Error& error) {
    if (error.code() != Errc::not_found) throw;  // a repository that is yet to be made
  }
  return false;
}

/// A file without a name, so that whatever ends this program leaves none behind.
class CardFile {
 public:
  explicit CardFile(const std::string& text) : file_(::memfd_create("README.md", MFD_CLOEXEC)) {
    if (!file_) throw system_error(errno, "README.md");
    for (size_t at = 0; at < text.size();) {
      const ssize_t n_written = ::write(file_.get(), text.data() + at, text.size() - at);
      if (n_written < 0 && errno != EINTR) throw system_error(errno, "README.md");
      at += n_written < 0 ? 0 : static_cast<size_t>(n_written);
    }
  }
  /// Where it can be opened once more.
  fs::path path() const { return fmt::format("/proc/self/fd/{}", file_.get()); }

 private:
  FileDescriptor file_;
};

class ConsoleObserver : public hub::PushObserver {
 public:
  ConsoleObserver(const cli::CommonOptions& common, const hub::HubSettings& settings) : common_(common) {
    common_.quiet = common_.quiet || !settings.progress_bars;
  }
  void begins(Doing doing, size_t n_files, uint64_t n_bytes) override {
    doing_ = doing == Doing::hashing ? "hashing" : "pushing";
    progress_.emplace(common_, n_files, n_bytes);
  }
  void file_begins(const hub::SafePath& file, uint64_t n_bytes) override {
    progress_->file_begins(fmt::format("{} {}", doing_, file.file_name()), n_bytes);
  }
  void file_advances(uint64_t n_done) override { progress_->file_advances(n_done); }
  void file_ends() override { progress_->file_ends(); }

 private:
  cli::CommonOptions common_;
  std::string doing_;
  std::optional<cli::FilesProgress> progress_;
};

int show_plan(const std::vector<hub::PushFile>& files, const std::string& card,
              const cli::CommonOptions& common) {
  Json list = Json::array();
  for (const hub::PushFile& file : files) {
    list.push_back({{"path", file.path.text()}, {"bytes", fs::file_size(file.local)}});
    if (!common.json)
      cli::print(fmt::format("{}  {}\n", file.path.text(), format_bytes(fs::file_size(file.local))));
  }
  if (common.json) cli::print(dump_json(Json{{"files", list}, {"card", card}}) + "\n");
  if (!common.json && !card.empty()) cli::print("README.md would be:\n\n" + card);
  return 0;
}

int run(const PushOptions& options, const cli::CommonOptions& common) {
  if (options.source.empty() || options.target.empty())
    throw Error(Errc::usage, "what goes where? For example: ruvllm push model-Q4_K_M.gguf ORG/NAME");
  const hub::RepoRef ref = hub::parse_repo_ref(options.target);
  if (ref.file || !ref.quant.empty())
    throw Error(Errc::usage, "the target is ORG/NAME[@REVISION], not '{}'", options.target);
  std::vector<hub::PushFile> files = files_of(options.source);
  hub::HubClient client(cli::hub_settings(common, options.hub));
  std::string card = options.no_card ? std::string() : make_card(files, card_options(options, ref));
  if (options.dry_run) return show_plan(files, card, common);
  const fs::path own_cache = cli::default_cache_folder();
  if (own_cache.empty())
    throw Error(Errc::usage, "neither HOME nor XDG_CACHE_HOME is set, so an upload could not be resumed");
  hub::PushRequest request{ref.repo,        ref.revision,     options.is_private,
                           options.message, std::move(files), own_cache / "push"};
  std::optional<CardFile> card_file;
  if (!card.empty() && !hub_has_card(client, ref)) {
    card_file.emplace(card);
    request.files.push_back({card_file->path(), safe_name("README.md")});
  }
  const hub::PushResult result = [&] {
    ConsoleObserver observer(common, client.settings());
    return hub::push(client, request, observer);
  }();
  if (common.json) {
    cli::print(
        dump_json(Json{{"commit_url", result.commit_url.empty() ? Json(nullptr) : Json(result.commit_url)},
                       {"bytes_sent", result.n_bytes_sent},
                       {"files", request.files.size()},
                       {"unchanged", result.n_unchanged}}) +
        "\n");
    return 0;
  }
  cli::note(common, fmt::format("{} of {} files unchanged, {} sent", result.n_unchanged, request.files.size(),
                                format_bytes(result.n_bytes_sent)));
  cli::print((result.commit_url.empty() ? "nothing has changed" : result.commit_url) + "\n");
  return 0;
}

}  // namespace
}  // namespace ruvllm

int main(int argc, char** argv) {
  ruvllm::PushOptions options;
  return ruvllm::cli::main_app(
      argc, argv,
      {"push", "Upload a model to a Hugging Face hub.",
       "ruvllm push model-Q4_K_M.gguf me/my-model --private\nruvllm push folder me/my-model --evaluation "
       "perplexity=6.42",
       [&](CLI::App& command) { ruvllm::add_options(command, options); },
       [&](const ruvllm::cli::CommonOptions& common) { return ruvllm::run(options, common); }});
}
