#include "cli/model_options.h"

#include "base/error.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "cli/hub_options.h"

#include <vector>

namespace ruvllm::cli {
namespace {

namespace fs = std::filesystem;

bool exists(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// "; did you mean ...?" from the names in the folder where the path was looked for.
std::string nearest_file(const fs::path& path) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    names.push_back(entry->path().filename());
  const auto nearest = nearest_match(path.filename().string(), names);
  return nearest ? fmt::format("; did you mean {}?", printable((path.parent_path() / *nearest).string()))
                 : "";
}

}  // namespace

CLI::Option* add_model_argument(CLI::App& command, std::string& model) {
  return command
      .add_option("MODEL,-m,--model", model,
                  "A .gguf file, a model folder, ORG/NAME[:TYPE] on the hub, or an alias.")
      ->type_name("MODEL");
}

fs::path built_in_model() {
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  if (error) return {};
  const std::string name = std::string(kBuiltInModel) + ".gguf";
  // Installed (bin/, libexec/ruvllm/), or build/PRESET/bin/ of a source tree.
  for (const char* place : {"../share/ruvllm", "../../share/ruvllm", "../../../models"})
    if (const fs::path path = folder / place / name; fs::exists(path, error)) return path.lexically_normal();
  return {};
}

fs::path resolve_model(const std::string& reference, const CommonOptions& common) {
  if (reference.empty())
    throw Error(
        Errc::usage,
        "which model? MODEL is a .gguf file, a model folder, ORG/NAME[:TYPE] on the hub, or an alias");
  if (exists(reference)) return reference;
  const auto alias = common.aliases.find(reference);
  if (alias != common.aliases.end() && exists(alias->second)) return alias->second;
  if (alias == common.aliases.end() && reference == kBuiltInModel) {
    if (fs::path path = built_in_model(); !path.empty()) return path;
    throw Error(Errc::not_found,
                "{0}: the built-in model is missing: neither share/ruvllm/{0}.gguf of an "
                "installation nor models/{0}.gguf of a source tree is there; ./dev train-{0} makes it",
                reference);
  }
  if (const auto ref = hub_reference(reference, common)) return find_or_pull(*ref, common);
  if (alias != common.aliases.end())
    throw Error(Errc::not_found, "{}: no such file or folder (alias '{}'){}", printable(alias->second),
                reference, nearest_file(alias->second));
  throw Error(Errc::not_found, "{}: no such file or folder{}", printable(reference), nearest_file(reference));
}

}  // namespace ruvllm::cli
