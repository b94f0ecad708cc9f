#include "text/chat_template_sources.h"

#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"

#include <filesystem>

namespace ruvllm::text {
namespace {

namespace fs = std::filesystem;
using Templates = std::map<std::string, std::string>;

constexpr std::string_view kKey = "tokenizer.chat_template";
// More than any model has; a folder of that many files is no folder of templates.
constexpr size_t kMostTemplates = 64;

Templates of_metadata(const format::Metadata& metadata) {
  Templates templates;
  if (const auto text = metadata.string(kKey)) templates[kDefaultTemplate] = *text;
  for (const auto& [key, value] : metadata.entries()) {
    if (!key.starts_with(kKey) || key.size() <= kKey.size() + 1 || key[kKey.size()] != '.') continue;
    if (const auto text = metadata.string(key)) templates[key.substr(kKey.size() + 1)] = *text;
  }
  return templates;
}

// "chat_template" of a JSON file: a text, or a list of {"name", "template"}.
Templates of_json(const fs::path& path) {
  const Json config = parse_json(read_file(path, limits::kJsonFileBytes), path.string());
  Templates templates;
  const auto entry = config.is_object() ? config.find("chat_template") : config.end();
  if (!config.is_object() || entry == config.end() || entry->is_null()) return templates;
  if (entry->is_string()) {
    templates[kDefaultTemplate] = entry->get<std::string>();
    return templates;
  }
  if (!entry->is_array())
    throw Error(Errc::corrupt_file, "{}: chat_template is no text and no list", path.string());
  for (const Json& named : *entry) {
    const auto text = [&](const char* key) {
      const auto found = named.is_object() ? named.find(key) : named.end();
      if (!named.is_object() || found == named.end() || !found->is_string())
        throw Error(Errc::corrupt_file, "{}: an element of chat_template has no {}", path.string(), key);
      return found->get<std::string>();
    };
    templates[text("name")] = text("template");
  }
  return templates;
}

// Templates that lie in files of their own; the newer way, which wins over the configuration.
void add_files(const fs::path& folder, Templates& templates) {
  if (const fs::path path = folder / "chat_template.jinja"; fs::exists(path))
    templates[kDefaultTemplate] = read_file(path, limits::kTemplateBytes);
  const fs::path more = folder / "additional_chat_templates";
  if (!fs::is_directory(more)) return;
  for (const fs::directory_entry& entry : fs::directory_iterator(more)) {
    if (entry.path().extension() != ".jinja" || !entry.is_regular_file()) continue;
    if (templates.size() >= kMostTemplates)
      throw Error(Errc::corrupt_file, "{}: more than {} chat templates", more.string(), kMostTemplates);
    templates[entry.path().stem().string()] = read_file(entry.path(), limits::kTemplateBytes);
  }
}

}  // namespace

std::map<std::string, std::string> find_chat_templates(const format::ModelFile& model) {
  Templates templates = of_metadata(model.metadata);
  const fs::path folder = model.source;
  if (!templates.contains(kDefaultTemplate) && fs::is_directory(folder)) {
    for (const char* name : {"chat_template.json", "tokenizer_config.json"})
      if (const fs::path path = folder / name; fs::exists(path))
        for (auto& [key, text] : of_json(path)) templates[key] = std::move(text);
    add_files(folder, templates);
  }
  std::erase_if(templates, [](const auto& each) { return each.second.empty(); });
  return templates;
}

}  // namespace ruvllm::text
