#include "model_card.h"

#include "base/strings.h"
#include "base/utf8.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <map>
#include <optional>

namespace ruvllm::apps {
namespace {

std::string yaml_text(std::string_view text) {
  std::string yaml = "\"";
  for (const char c : printable(text))
    yaml += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return yaml + "\"";
}

std::string in_table(std::string_view text) {
  std::string cell;
  for (const char c : printable(text)) cell += c == '|' ? std::string("\\|") : std::string(1, c);
  return cell;
}

std::string count_text(uint64_t n) {
  if (n >= 1'000'000'000) return fmt::format("{:.2f} billion", static_cast<double>(n) / 1e9);
  if (n >= 1'000'000) return fmt::format("{:.1f} million", static_cast<double>(n) / 1e6);
  return fmt::format("{}", n);
}

std::optional<std::string> metadata_text(const format::Metadata& metadata, std::string_view key) {
  const format::MetadataValue* value = metadata.find(key);
  if (!value || format::type_of(*value) != format::ValueType::string) return std::nullopt;
  return std::string(*metadata.string(key));
}

struct Totals {
  uint64_t n_values = 0;
  uint64_t n_bytes = 0;
  std::map<std::string, std::pair<uint64_t, uint64_t>> types;  // tensors, bytes
};

Totals totals_of(const format::ModelFile& model) {
  Totals totals;
  for (const format::Tensor& tensor : model.tensors) {
    totals.n_values += tensor.n_values();
    totals.n_bytes += tensor.bytes.size();
    auto& [n_tensors, n_bytes] = totals.types[std::string(tensor::traits(tensor.format).name)];
    ++n_tensors;
    n_bytes += tensor.bytes.size();
  }
  return totals;
}

}  // namespace

std::string model_card(const format::ModelFile& model, const CardOptions& options) {
  const Totals totals = totals_of(model);
  const std::string architecture = metadata_text(model.metadata, "general.architecture").value_or("unknown");
  const std::string license = !options.license.empty()
                                  ? options.license
                                  : metadata_text(model.metadata, "general.license").value_or("");
  std::string card = "---\nlibrary_name: ruvllm\npipeline_tag: text-generation\n";
  if (!license.empty()) card += "license: " + yaml_text(license) + "\n";
  if (!options.base_model.empty()) card += "base_model: " + yaml_text(options.base_model) + "\n";
  card += "tags:\n- gguf\n- " + yaml_text(architecture) + "\n---\n\n# " + options.repo + "\n\n";

  card += "| | |\n|---|---|\n";
  const auto row = [&](std::string_view name, std::string_view value) {
    card += fmt::format("| {} | {} |\n", name, in_table(value));
  };
  if (const auto name = metadata_text(model.metadata, "general.name")) row("model", *name);
  row("architecture", architecture);
  row("parameters", count_text(totals.n_values));
  row("size", format_bytes(model.file_bytes()));
  if (totals.n_values > 0)
    row("bits per weight", fmt::format("{:.2f}", 8.0 * static_cast<double>(totals.n_bytes) /
                                                     static_cast<double>(totals.n_values)));
  if (const format::MetadataValue* context = model.metadata.find(architecture + ".context_length"); context)
    if (const auto tokens = model.metadata.integer(architecture + ".context_length"))
      row("context", fmt::format("{} tokens", *tokens));
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kMade = {
      {{"general.quantized_by", "quantised by"},
       {"quantize.imatrix.dataset", "importance measured on"},
       {"quantize.imatrix.file", "importance file"},
       {"general.base_model.0.name", "made from"}}};
  for (const auto& [key, name] : kMade)
    if (const auto value = metadata_text(model.metadata, key)) row(name, *value);

  card += "\n## Types\n\n| type | tensors | size |\n|---|---:|---:|\n";
  for (const auto& [type, amount] : totals.types)
    card += fmt::format("| {} | {} | {} |\n", type, amount.first, format_bytes(amount.second));
  if (!options.evaluations.empty()) {
    card += "\n## Evaluation\n\n| measure | value |\n|---|---:|\n";
    for (const auto& [name, value] : options.evaluations) row(in_table(name), value);
  }
  card += fmt::format("\n## Use\n\n```\nruvllm chat {}\n```\n", options.repo);
  return card;
}

}  // namespace ruvllm::apps
