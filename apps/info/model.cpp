// What a model is, from its metadata and tensors alone: nothing is loaded.
#include "base/error.h"
#include "base/json.h"
#include "base/machine.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "cli/console.h"
#include "cli/model_options.h"
#include "cli/table.h"
#include "format/model_file.h"
#include "info.h"
#include "kv/kv_cache.h"
#include "model/hparams.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace ruvllm::info {
namespace {

struct TypeUse {
  uint64_t n_tensors = 0;
  uint64_t n_values = 0;
  uint64_t n_bytes = 0;
};

struct Summary {
  std::shared_ptr<const format::ModelFile> file;
  std::string architecture;
  std::string name;
  std::optional<model::HyperParameters> hparams;
  std::string unsupported;  ///< why it can't be run here, where it can't
  uint64_t n_parameters = 0;
  uint64_t weight_bytes = 0;
  uint64_t n_vocabulary = 0;
  std::map<std::string, TypeUse> types;
  uint64_t kv_token_bytes = 0;  ///< in q16

  double bits_per_weight() const {
    return n_parameters ? static_cast<double>(weight_bytes) * 8 / static_cast<double>(n_parameters) : 0;
  }
};

std::string text_value(const format::Metadata& metadata, std::string_view key) {
  return std::string(metadata.string(key).value_or(""));
}

Summary summarise(std::shared_ptr<const format::ModelFile> file) {
  Summary summary;
  summary.file = std::move(file);
  const format::Metadata& metadata = summary.file->metadata;
  summary.architecture = text_value(metadata, "general.architecture");
  summary.name = text_value(metadata, "general.name");
  for (const format::Tensor& tensor : summary.file->tensors) {
    TypeUse& use = summary.types[std::string(tensor::format_name(tensor.format))];
    ++use.n_tensors;
    use.n_values += tensor.n_values();
    use.n_bytes += tensor.bytes.size();
    summary.n_parameters += tensor.n_values();
    summary.weight_bytes += tensor.bytes.size();
  }
  if (const auto* tokens = metadata.array("tokenizer.ggml.tokens", format::ValueType::string))
    summary.n_vocabulary = tokens->n_elements;
  try {
    summary.hparams = model::read_hyper_parameters(*summary.file);
  } catch (const Error& error) {
    summary.unsupported = error.what();
    return summary;
  }
  const model::HyperParameters& h = *summary.hparams;
  const kv::KvShape shape{h.n_layers,        h.n_kv_heads,      h.head_dimension,
                          h.value_dimension, kv::KvFormat::q16, kv::KvFormat::q16};
  summary.kv_token_bytes = shape.token_bytes();
  return summary;
}

// Contexts to show the memory of: powers of four up to what the model was trained for, and that itself.
std::vector<uint64_t> contexts_of(const Summary& summary) {
  std::vector<uint64_t> contexts;
  for (uint64_t context = 512; context < summary.hparams->n_context; context *= 4)
    contexts.push_back(context);
  contexts.push_back(summary.hparams->n_context);
  return contexts;
}

Json to_json(const Summary& summary) {
  Json types = Json::object();
  for (const auto& [name, use] : summary.types)
    types[name] = {{"tensors", use.n_tensors}, {"values", use.n_values}, {"bytes", use.n_bytes}};
  const format::Metadata& metadata = summary.file->metadata;
  Json json = {{"source", to_valid_utf8(summary.file->source)},
               {"format", summary.file->kind},
               {"files", summary.file->files.size()},
               {"file_bytes", summary.file->file_bytes()},
               {"name", to_valid_utf8(summary.name)},
               {"architecture", to_valid_utf8(summary.architecture)},
               {"parameters", summary.n_parameters},
               {"weight_bytes", summary.weight_bytes},
               {"bits_per_weight", summary.bits_per_weight()},
               {"types", std::move(types)},
               {"vocabulary", summary.n_vocabulary},
               {"tokenizer", to_valid_utf8(text_value(metadata, "tokenizer.ggml.model"))},
               {"chat_template", metadata.find("tokenizer.chat_template") != nullptr},
               {"runnable", summary.unsupported.empty()}};
  if (!summary.hparams) {
    json["why_not"] = summary.unsupported;
    return json;
  }
  const model::HyperParameters& h = *summary.hparams;
  json["layers"] = h.n_layers;
  json["width"] = h.width;
  json["heads"] = h.n_heads;
  json["kv_heads"] = h.n_kv_heads;
  json["head_dimension"] = h.head_dimension;
  json["ffn_width"] = h.ffn_width;
  json["experts"] = h.n_experts;
  json["context"] = h.n_context;
  Json memory = Json::array();
  for (const uint64_t context : contexts_of(summary))
    memory.push_back({{"context", context},
                      {"kv_bytes", context * summary.kv_token_bytes},
                      {"bytes", summary.weight_bytes + context * summary.kv_token_bytes}});
  json["memory"] = std::move(memory);
  return json;
}

std::string format_count(uint64_t count) {
  const auto value = static_cast<double>(count);
  if (value >= 1e9) return fmt::format("{:.2f} billion", value / 1e9);
  if (value >= 1e6) return fmt::format("{:.1f} million", value / 1e6);
  return fmt::format("{:.0f} thousand", value / 1e3);
}

std::string shape_text(const model::HyperParameters& h) {
  std::string text = fmt::format("{} layers, width {}, {} heads", h.n_layers, h.width, h.n_heads);
  if (h.n_kv_heads != h.n_heads) text += fmt::format(" ({} for keys and values)", h.n_kv_heads);
  text += fmt::format(" of {}, feed-forward {}", h.head_dimension, h.ffn_width);
  if (h.n_experts > 0) text += fmt::format(", {} experts ({} used)", h.n_experts, h.n_experts_used);
  return text;
}

void print_summary(const Summary& summary, const cli::Style& style) {
  const format::Metadata& metadata = summary.file->metadata;
  const auto row = [&](std::string_view name, std::string_view text) {
    cli::print(fmt::format("{}  {}\n", style.cyan(fmt::format("{:<13}", name)), text));
  };
  row("file",
      fmt::format(
          "{} ({}, {}{})", printable(summary.file->source), summary.file->kind,
          format_bytes(summary.file->file_bytes()),
          summary.file->files.size() > 1 ? fmt::format(", {} parts", summary.file->files.size()) : ""));
  if (!summary.name.empty()) row("name", printable(summary.name));
  row("architecture", printable(summary.architecture));
  if (summary.hparams) row("shape", shape_text(*summary.hparams));
  row("parameters",
      fmt::format("{}, {:.2f} bits each", format_count(summary.n_parameters), summary.bits_per_weight()));
  if (summary.hparams) row("context", fmt::format("{} tokens", summary.hparams->n_context));
  const std::string tokenizer = text_value(metadata, "tokenizer.ggml.model");
  row("vocabulary", fmt::format("{} tokens{}", summary.n_vocabulary,
                                tokenizer.empty() ? "" : " (" + printable(tokenizer) + ")"));
  row("chat template", metadata.find("tokenizer.chat_template") ? "yes" : "none");

  cli::Table types({{"type"}, {"tensors", cli::Table::Align::right}, {"bytes", cli::Table::Align::right}});
  for (const auto& [name, use] : summary.types)
    types.add_row({name, fmt::format("{}", use.n_tensors), format_bytes(use.n_bytes)});
  cli::print("\n" + types.text(style));
}

void print_memory(const Summary& summary, const cli::Style& style) {
  using Align = cli::Table::Align;
  const uint64_t available = read_machine().available_bytes;
  cli::Table table({{"context", Align::right},
                    {"keys and values", Align::right},
                    {"with weights", Align::right},
                    {"here"}});
  for (const uint64_t context : contexts_of(summary)) {
    const uint64_t kv_bytes = context * summary.kv_token_bytes;
    const uint64_t total = summary.weight_bytes + kv_bytes;
    table.add_row({fmt::format("{}", context), format_bytes(kv_bytes), format_bytes(total),
                   total <= available ? style.green("fits") : style.yellow("does not fit")});
  }
  cli::print("\n" + table.text(style));
}

}  // namespace

int show_model(const std::string& reference, const cli::CommonOptions& common) {
  const Summary summary = summarise(format::open_model_file(cli::resolve_model(reference, common)));
  if (common.json) {
    cli::print(dump_json(to_json(summary)) + "\n");
    return 0;
  }
  const cli::Style style(cli::use_color(STDOUT_FILENO, common.color));
  print_summary(summary, style);
  if (summary.hparams)
    print_memory(summary, style);
  else
    cli::warn(common, fmt::format("it can't be run here: {}", summary.unsupported));
  return 0;
}

}  // namespace ruvllm::info
