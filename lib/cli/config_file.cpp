#include "cli/config_file.h"

#include "base/error.h"
#include "base/file.h"
#include "base/utf8.h"

#include <toml++/toml.h>

#include <cstdlib>

namespace ruvllm::cli {
namespace {

constexpr uint64_t kConfigBytes = 1 << 20;

std::string text_of(const toml::node& node, const std::string& where) {
  if (const auto text = node.value_exact<std::string>()) return *text;
  if (const auto flag = node.value_exact<bool>()) return *flag ? "true" : "false";
  if (const auto integer = node.value_exact<int64_t>()) return fmt::format("{}", *integer);
  if (const auto number = node.value_exact<double>()) return fmt::format("{}", *number);
  throw Error(Errc::corrupt_file, "{}: line {}: expected a text, number, boolean or a list of them", where,
              node.source().begin.line);
}

// Tables become sections ("inspect" and "inspect.tokens"), everything else values of the section it stands
// in.
void read_table(const toml::table& table, const std::string& name, ConfigFile& file) {
  const std::string where = file.path.string();
  for (const auto& [key, node] : table) {
    const std::string path = name.empty() ? std::string(key.str()) : fmt::format("{}.{}", name, key.str());
    if (const toml::table* inner = node.as_table()) {
      read_table(*inner, path, file);
      continue;
    }
    ConfigValue value{{}, node.source().begin.line};
    if (const toml::array* array = node.as_array())
      for (const toml::node& element : *array) value.values.push_back(text_of(element, where));
    else
      value.values.push_back(text_of(node, where));
    file.sections[name].emplace(key.str(), std::move(value));
  }
}

std::filesystem::path base_folder(const char* variable, const char* below_home) {
  const char* given = std::getenv(variable);
  if (given && *given == '/') return std::filesystem::path(given) / "ruvllm";
  const char* home = std::getenv("HOME");
  if (home && *home == '/') return std::filesystem::path(home) / below_home / "ruvllm";
  return {};
}

}  // namespace

ConfigFile read_config_file(const std::filesystem::path& path) {
  ConfigFile file{path, {}};
  const std::string text = read_file(path, kConfigBytes);
  try {
    read_table(toml::parse(text), "", file);
  } catch (const toml::parse_error& error) {
    throw Error(Errc::corrupt_file, "{}: line {}, column {}: {}", path.string(), error.source().begin.line,
                error.source().begin.column, printable(error.description()));
  }
  return file;
}

std::filesystem::path default_config_path() {
  const auto folder = base_folder("XDG_CONFIG_HOME", ".config");
  return folder.empty() ? folder : folder / "config.toml";
}

std::filesystem::path default_cache_folder() { return base_folder("XDG_CACHE_HOME", ".cache"); }

std::filesystem::path default_state_folder() { return base_folder("XDG_STATE_HOME", ".local/state"); }

}  // namespace ruvllm::cli
