#include "format/plain_metadata.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::format {
namespace {

// Keys behind "ARCHITECTURE." that are numbers with a fraction; all other numbers there are counts.
constexpr std::array<std::string_view, 27> kFractions = {
    "attention.clamp_kqv",
    "attention.group_norm_epsilon",
    "attention.layer_norm_epsilon",
    "attention.layer_norm_rms_epsilon",
    "attention.max_alibi_bias",
    "attention.output_scale",
    "attention.scale",
    "attention.temperature_scale",
    "attention.value_scale",
    "attn_logit_softcapping",
    "embedding_scale",
    "expert_group_scale",
    "expert_weights_scale",
    "final_logit_softcapping",
    "logit_scale",
    "residual_scale",
    "rope.freq_base",
    "rope.freq_base_swa",
    "rope.scale_linear",
    "rope.scaling.alpha",
    "rope.scaling.attn_factor",
    "rope.scaling.factor",
    "rope.scaling.yarn_attn_factor",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "rope.scaling.yarn_ext_factor",
    "rope.scaling.yarn_log_multiplier",
};

// Keys elsewhere, with the types that they have. "tokenizer.ggml.*_token_id" are u32, too.
struct KeyRow {
  std::string_view key;
  ValueType type;
};
constexpr KeyRow kKeys[] = {
    {"general.file_type", ValueType::u32},
    {"general.quantization_version", ValueType::u32},
    {"general.sampling.top_k", ValueType::i32},
    {"general.sampling.penalty_last_n", ValueType::i32},
    {"general.sampling.mirostat", ValueType::i32},
    {"general.sampling.top_p", ValueType::f32},
    {"general.sampling.min_p", ValueType::f32},
    {"general.sampling.temp", ValueType::f32},
    {"general.sampling.penalty_repeat", ValueType::f32},
    {"general.sampling.xtc_probability", ValueType::f32},
    {"general.sampling.xtc_threshold", ValueType::f32},
    {"general.sampling.mirostat_tau", ValueType::f32},
    {"general.sampling.mirostat_eta", ValueType::f32},
    {"tokenizer.ggml.token_type_count", ValueType::u32},
};

// A value as a number; nothing for what is none.
std::optional<double> number_in(const MetadataValue& value) {
  return std::visit(
      [](const auto& alternative) -> std::optional<double> {
        using T = std::decay_t<decltype(alternative)>;
        if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>)
          return static_cast<double>(alternative);
        else
          return std::nullopt;
      },
      value);
}

template <typename T>
bool holds(double number) {
  return number == std::trunc(number) && number >= static_cast<double>(std::numeric_limits<T>::min()) &&
         number <= static_cast<double>(std::numeric_limits<T>::max());
}

// The same number in another type; a number that the type doesn't hold stays as it is.
MetadataValue in_type(const MetadataValue& value, ValueType type) {
  const std::optional<double> number = number_in(value);
  if (!number || type_of(value) == type) return value;
  if (type == ValueType::f32) return static_cast<float>(*number);
  if (type == ValueType::u32 && holds<uint32_t>(*number)) return static_cast<uint32_t>(*number);
  if ((type == ValueType::i32 || type == ValueType::u32) && holds<int32_t>(*number))
    return static_cast<int32_t>(*number);
  return value;
}

// One number a layer: 32 bits each, as loaders take them.
MetadataValue in_words(const MetadataArray& array, Metadata& metadata) {
  if (array.type == ValueType::f64) {
    std::vector<float> values;
    for (uint64_t i = 0; i < array.n_elements; ++i) values.push_back(static_cast<float>(array.number(i)));
    return metadata.keep_array(ValueType::f32, std::as_bytes(std::span(values)));
  }
  if (!is_integer(array.type) || array.type == ValueType::u32 || array.type == ValueType::i32) return array;
  std::vector<int32_t> values;
  for (uint64_t i = 0; i < array.n_elements; ++i) {
    const double number = array.number(i);
    if (!holds<int32_t>(number)) return array;
    values.push_back(static_cast<int32_t>(number));
  }
  return metadata.keep_array(ValueType::i32, std::as_bytes(std::span(values)));
}

MetadataValue plain_value(std::string_view key, const MetadataValue& value, std::string_view prefix,
                          Metadata& metadata) {
  if (key.starts_with(prefix)) {
    if (const auto* array = std::get_if<MetadataArray>(&value)) return in_words(*array, metadata);
    const bool is_fraction = std::ranges::count(kFractions, key.substr(prefix.size())) != 0;
    // A number with a fraction under a key that this table doesn't know is one.
    const bool is_float = std::holds_alternative<float>(value) || std::holds_alternative<double>(value);
    return in_type(value, is_fraction || is_float ? ValueType::f32 : ValueType::u32);
  }
  if (const KeyRow* row = std::ranges::find(kKeys, key, &KeyRow::key); row != std::end(kKeys))
    return in_type(value, row->type);
  if (key.starts_with("tokenizer.ggml.") && key.ends_with("_token_id")) return in_type(value, ValueType::u32);
  return value;
}

// How many kinds of segment there are: said beside the tokenizer, as loaders of BERT want it.
void add_token_type_count(const ModelFile& model, Metadata& metadata) {
  constexpr const char* kKey = "tokenizer.ggml.token_type_count";
  if (const Tensor* types = model.find("token_types.weight"); types && !metadata.find(kKey))
    metadata.set(kKey, static_cast<uint32_t>(types->n_rows()));
}

// The width of the feed-forward, where a file leaves it to its tensors.
void add_feed_forward_length(const ModelFile& model, const std::string& prefix, Metadata& metadata) {
  const std::string key = prefix + "feed_forward_length";
  if (metadata.find(key)) return;
  for (const char* name : {"blk.0.ffn_down.weight", "blk.0.ffn_down_exps.weight"})
    if (const Tensor* down = model.find(name)) {
      metadata.set(key, static_cast<uint32_t>(down->n_columns()));
      return;
    }
}

}  // namespace

Metadata plain_metadata(const ModelFile& model) {
  Metadata metadata;
  const std::string prefix(model.metadata.string("general.architecture").value_or(""));
  const std::string dotted = prefix + ".";
  for (const Metadata::Entry& entry : model.metadata.entries()) {
    if (entry.key.starts_with("split.") || entry.key == "general.alignment") continue;
    metadata.add(entry.key, plain_value(entry.key, entry.value, dotted, metadata));
  }
  add_token_type_count(model, metadata);
  if (!prefix.empty()) add_feed_forward_length(model, dotted, metadata);
  return metadata;
}

}  // namespace ruvllm::format
