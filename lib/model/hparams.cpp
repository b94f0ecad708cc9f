#include "model/hparams.h"

#include "base/checked.h"
#include "base/utf8.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace ruvllm::model {
namespace {

using format::Metadata;
using format::ValueType;

/// Reads keys of one architecture; every answer is in range or an Error naming the key.
class Reader {
 public:
  Reader(const Metadata& metadata, std::string_view architecture, uint32_t n_layers)
      : metadata_(metadata), prefix_(std::string(architecture) + "."), n_layers_(n_layers) {}

  std::optional<uint32_t> integer(std::string_view name, uint64_t least, uint64_t most) const {
    const std::string key = prefix_ + std::string(name);
    std::optional<int64_t> value = uniform_array(key);
    if (!value) value = metadata_.integer(key);
    if (value &&
        (*value < 0 || static_cast<uint64_t>(*value) < least || static_cast<uint64_t>(*value) > most))
      throw Error(Errc::corrupt_file, "{} is {}, expected {} to {}", key, *value, least, most);
    return value ? std::optional(static_cast<uint32_t>(*value)) : std::nullopt;
  }

  std::optional<float> number(std::string_view name, double least, double most) const {
    const std::string key = prefix_ + std::string(name);
    const std::optional<double> value = metadata_.number(key);
    if (value && !(*value >= least && *value <= most))  // written so that NaN fails
      throw Error(Errc::corrupt_file, "{} is {}, expected {} to {}", key, *value, least, most);
    return value ? std::optional(static_cast<float>(*value)) : std::nullopt;
  }

  std::optional<bool> flag(std::string_view name) const {
    return metadata_.boolean(prefix_ + std::string(name));
  }
  std::optional<std::string_view> string(std::string_view name) const {
    return metadata_.string(prefix_ + std::string(name));
  }

  [[noreturn]] void missing(std::string_view name) const {
    throw Error(Errc::corrupt_file, "{}{} is missing", prefix_, name);
  }

 private:
  /// Some converters write one number a layer. Layers that differ are another architecture than we know.
  std::optional<int64_t> uniform_array(const std::string& key) const {
    const format::MetadataValue* value = metadata_.find(key);
    if (!value || format::type_of(*value) != ValueType::array) return std::nullopt;
    const format::MetadataArray* array = metadata_.array(key, ValueType::i64);
    if (array->n_elements != n_layers_)
      throw Error(Errc::corrupt_file, "{} has {} elements for {} layers", key, array->n_elements, n_layers_);
    for (uint64_t i = 1; i < array->n_elements; ++i)
      if (array->integer(i) != array->integer(0))
        throw Error(Errc::corrupt_file, "{} differs between layers, which is not supported", key);
    return array->integer(0);
  }

  const Metadata& metadata_;
  std::string prefix_;
  uint32_t n_layers_;
};

std::string_view architecture_name(const Metadata& metadata) {
  const std::optional<std::string_view> name = metadata.string("general.architecture");
  if (!name) throw Error(Errc::corrupt_file, "general.architecture is missing");
  return *name;
}

// A row of the embedding for every token of the tokenizer, and perhaps some more that only pad it.
uint32_t rows_for(const format::ModelFile& file, uint64_t n_tokens) {
  const format::Tensor* table = file.find("token_embd.weight");
  if (!table || table->dimensions.size() != 2 || table->n_rows() == n_tokens)
    return static_cast<uint32_t>(n_tokens);
  if (table->n_rows() < n_tokens || table->n_rows() > limits::kVocabularyTokens)
    throw Error(Errc::corrupt_file,
                "tokenizer.ggml.tokens has {} elements, but tensor \"token_embd.weight\" has {} rows",
                n_tokens, table->n_rows());
  return static_cast<uint32_t>(table->n_rows());
}

/// The vocabulary is what the tokenizer lists; a model without one states its size, or its embedding does.
uint32_t vocabulary_size(const format::ModelFile& file, std::string_view architecture) {
  const Metadata& metadata = file.metadata;
  if (const format::MetadataArray* tokens = metadata.array("tokenizer.ggml.tokens", ValueType::string)) {
    if (tokens->n_elements == 0 || tokens->n_elements > limits::kVocabularyTokens)
      throw Error(Errc::corrupt_file, "tokenizer.ggml.tokens has {} elements, expected 1 to {}",
                  tokens->n_elements, limits::kVocabularyTokens);
    return rows_for(file, tokens->n_elements);
  }
  const Reader reader(metadata, architecture, 0);
  if (const auto stated = reader.integer("vocab_size", 1, limits::kVocabularyTokens)) return *stated;
  if (file.find("token_embd.weight")) return rows_for(file, 1);
  throw Error(Errc::corrupt_file,
              "neither tokenizer.ggml.tokens nor {}.vocab_size says how many tokens there are", architecture);
}

/// Which layers have windows: a number n (all but every n-th; 0: all), an answer for each layer, or what the
/// architecture does.
std::vector<bool> read_windowed_layers(const Metadata& metadata, const HyperParameters& h) {
  const std::string key = fmt::format("{}.attention.sliding_window_pattern", h.arch->name);
  const format::MetadataValue* value = metadata.find(key);
  std::vector<bool> layers(h.n_layers);
  if (value && format::type_of(*value) == ValueType::array) {
    const auto& array = std::get<format::MetadataArray>(*value);
    if (array.type != ValueType::boolean && !format::is_integer(array.type))
      throw Error(Errc::corrupt_file, "{} is an array of {}, expected bools", key,
                  format::value_type_name(array.type));
    if (array.n_elements != h.n_layers)
      throw Error(Errc::corrupt_file, "{} has {} elements for {} layers", key, array.n_elements, h.n_layers);
    for (uint32_t i = 0; i < h.n_layers; ++i) {
      const int64_t answer = array.integer(i);
      if (answer != 0 && answer != 1)
        throw Error(Errc::corrupt_file, "{} is {} for layer {}, expected 0 or 1", key, answer, i);
      layers[i] = answer == 1;
    }
    return layers;
  }
  uint32_t period = h.arch->window_period == 1 ? 0 : h.arch->window_period;
  if (value) {
    const int64_t stated = metadata.integer(key).value_or(0);
    if (stated < 0 || stated > UINT32_MAX)
      throw Error(Errc::corrupt_file, "{} is {}, expected 0 or more", key, stated);
    period = static_cast<uint32_t>(stated);
  } else if (h.arch->window_period == 0) {
    return layers;
  }
  for (uint32_t i = 0; i < h.n_layers; ++i) layers[i] = period == 0 || (i + 1) % period != 0;
  return layers;
}

/// Rotation by what llama.cpp's loader makes of the keys: a factor without a type (or under an old name) is
/// linear, 0 is none; yarn_ext_factor makes YaRN of linear scaling.
void read_rope_scaling(const Reader& reader, HyperParameters& h) {
  const auto name = reader.string("rope.scaling.type");
  using enum tensor::RopeScaling;
  if (name && !tensor::find_rope_scaling(*name, h.rope_scaling))
    throw Error(Errc::corrupt_file, "{}.rope.scaling.type is \"{}\", which is unknown", h.arch->name,
                printable(*name, 64));
  if (h.rope_factor == 0) h.rope_factor = h.rope_linear_factor;
  if (h.rope_factor == 0) h.rope_factor = 1;
  if (h.rope_factor < 1e-6f)
    throw Error(Errc::corrupt_file, "{}.rope.scaling.factor is {}, expected 0 or 1e-6 to 1e6", h.arch->name,
                h.rope_factor);
  if (!name && h.rope_factor != 1) h.rope_scaling = linear;
  if (h.yarn_mix < 0) h.yarn_mix = h.rope_scaling == yarn ? 1 : 0;
  if (h.yarn_mix == 0 || h.rope_scaling == yarn || h.rope_scaling == none) return;
  if (h.rope_scaling != linear)
    throw Error(Errc::corrupt_file,
                "{}.rope.scaling.yarn_ext_factor is {}, which has no meaning with this type of scaling",
                h.arch->name, h.yarn_mix);
  h.rope_scaling = yarn;
}

/// Keys of attention and rotation that change nothing here: of training, or of parts that have keys of their
/// own. All others are either read or refused.
constexpr std::array<std::string_view, 4> kIdleKeys = {"rope.scaling.type", "rope.scaling.finetuned",
                                                       "attention.sliding_window_pattern",
                                                       "attention.group_norm_epsilon"};

bool is_read(std::string_view name) {
#define INTEGER(field, key, least, most, fallback) \
  if (name == key) return true;
#define NUMBER(field, key, least, most, fallback) \
  if (name == key) return true;
#define FLAG(field, key, fallback) \
  if (name == key) return true;
#include "model/hparams.def"
#undef INTEGER
#undef NUMBER
#undef FLAG
  return std::ranges::count(kIdleKeys, name) != 0;
}

/// Numbers that mean that what the key is for isn't there.
bool is_neutral(std::string_view name, const Metadata& metadata, const std::string& key) {
  const format::MetadataValue& value = *metadata.find(key);
  const ValueType type = format::type_of(value);
  const double neutral = name == "rope.scaling.yarn_attn_factor" ? 1.0 : 0.0;
  if (type == ValueType::boolean) return metadata.boolean(key) == false;
  if (!format::is_number(type)) return false;
  // Of layers with a window, what all layers have.
  constexpr std::string_view kOfWindows = "_swa";
  if (name.ends_with(kOfWindows) && metadata.number(key) == metadata.number(std::string_view(key).substr(
                                                                0, key.size() - kOfWindows.size())))
    return true;
  return metadata.number(key) == neutral;
}

void refuse_unknown_keys(const Metadata& metadata, std::string_view architecture) {
  const std::string prefix = std::string(architecture) + ".";
  for (const Metadata::Entry& entry : metadata.entries()) {
    if (!entry.key.starts_with(prefix)) continue;
    const std::string_view name = std::string_view(entry.key).substr(prefix.size());
    if (!name.starts_with("attention.") && !name.starts_with("rope.")) continue;
    if (!is_read(name) && !is_neutral(name, metadata, entry.key))
      throw Error(Errc::corrupt_file, "{} is not supported", printable(entry.key, 100));
  }
}

/// Relations between values that are each in range.
void check_relations(const HyperParameters& h) {
  const auto require = [&](bool holds, std::string_view name, uint64_t value, std::string_view wish) {
    if (!holds) throw Error(Errc::corrupt_file, "{}.{} is {}, {}", h.arch->name, name, value, wish);
  };
  require(h.n_heads % h.n_kv_heads == 0, "attention.head_count_kv", h.n_kv_heads,
          fmt::format("which doesn't divide attention.head_count, {}", h.n_heads));
  require(h.head_dimension > 0, "attention.head_count", h.n_heads,
          fmt::format("more than embedding_length, {}", h.width));
  require(h.head_dimension == h.value_dimension, "attention.value_length", h.value_dimension,
          fmt::format("expected attention.key_length, {}", h.head_dimension));
  require(h.rope_dimensions <= h.head_dimension && h.rope_dimensions % 2 == 0, "rope.dimension_count",
          h.rope_dimensions,
          fmt::format("expected an even number up to the head size, {}", h.head_dimension));
  require(h.n_experts_used <= h.n_experts, "expert_used_count", h.n_experts_used,
          fmt::format("more than expert_count, {}", h.n_experts));
  require(h.n_experts == 0 || h.n_experts_used > 0, "expert_used_count", h.n_experts_used,
          "expected 1 or more");
  for (uint32_t i = 0; i < h.n_layers; ++i)
    require(h.causal || h.window_of(i) == 0, "attention.causal", 0, "which windows are not supported with");
  if (h.epsilon() == 0)
    throw Error(Errc::corrupt_file, "{}.attention.layer_norm_{}epsilon is missing", h.arch->name,
                h.arch->norm == NormKind::rms ? "rms_" : "");
}

}  // namespace

float HyperParameters::score_scale() const {
  if (attention_scale != 0) return attention_scale;
  const bool is_wide = arch->wide_query_layers != 0 && n_layers == arch->wide_query_layers;
  const double dimension = is_wide ? static_cast<double>(width) / n_heads : head_dimension;
  return static_cast<float>(1.0 / std::sqrt(dimension));
}

float HyperParameters::input_scale() const {
  const float scale = arch->embedding_times_sqrt_width ? std::sqrt(static_cast<float>(width)) : 1.0f;
  return scale * embedding_scale;
}

HyperParameters read_hyper_parameters(const format::ModelFile& file) {
  HyperParameters h;
  const std::string_view name = architecture_name(file.metadata);
  const ArchSpec& arch = find_architecture(name);
  h.arch = &arch;

  constexpr auto REQUIRED = std::nullopt;
  const auto resolve = [](auto& field, const Reader& reader, const auto& found, const char* key,
                          const auto fallback) {
    if (found)
      field = *found;
    else if constexpr (std::is_same_v<std::remove_const_t<decltype(fallback)>, std::nullopt_t>)
      reader.missing(key);
    else
      field = static_cast<std::remove_reference_t<decltype(field)>>(fallback);
  };
#define INTEGER(field, key, least, most, fallback)                             \
  {                                                                            \
    const Reader reader(file.metadata, name, h.n_layers);                      \
    resolve(h.field, reader, reader.integer(key, least, most), key, fallback); \
  }
#define NUMBER(field, key, least, most, fallback)                             \
  {                                                                           \
    const Reader reader(file.metadata, name, h.n_layers);                     \
    resolve(h.field, reader, reader.number(key, least, most), key, fallback); \
  }
#define FLAG(field, key, fallback)                             \
  {                                                            \
    const Reader reader(file.metadata, name, h.n_layers);      \
    resolve(h.field, reader, reader.flag(key), key, fallback); \
  }
#include "model/hparams.def"
#undef INTEGER
#undef NUMBER
#undef FLAG

  read_rope_scaling(Reader(file.metadata, name, h.n_layers), h);
  h.windowed_layers = read_windowed_layers(file.metadata, h);
  if (arch.unscaled_windows && h.local_rope_base == 0) h.local_rope_base = h.rope_base;
  refuse_unknown_keys(file.metadata, name);
  h.n_vocabulary = vocabulary_size(file, name);
  check_relations(h);
  return h;
}

}  // namespace ruvllm::model
