#include "format/hf_config.h"

#include "base/checked.h"
#include "base/error.h"
#include "base/strings.h"
#include "base/utf8.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

namespace ruvllm::format {
namespace {

constexpr HfFamily kFamilies[] = {
    {.model_type = "llama", .architecture = "llama", .pairs_neighbours = true},
    {.model_type = "mistral", .architecture = "llama", .pairs_neighbours = true, .has_windows = true},
    {.model_type = "mixtral", .architecture = "llama", .pairs_neighbours = true, .has_windows = true},
    {.model_type = "granite", .architecture = "granite", .pairs_neighbours = true},
    {.model_type = "qwen2", .architecture = "qwen2"},
    {.model_type = "qwen2_moe", .architecture = "qwen2moe"},
    {.model_type = "qwen3", .architecture = "qwen3"},
    {.model_type = "qwen3_moe", .architecture = "qwen3moe"},
    {.model_type = "phi",
     .architecture = "phi2",
     .names = kPhi,
     .activation = "gelu_new|gelu_fast|gelu_pytorch_tanh"},
    {.model_type = "phi3", .architecture = "phi3", .has_windows = true},
    {.model_type = "gemma",
     .architecture = "gemma",
     .activation = "gelu|gelu_pytorch_tanh",
     .norms_add_one = true},
    {.model_type = "gemma2",
     .architecture = "gemma2",
     .names = kSandwich,
     .activation = "gelu|gelu_pytorch_tanh",
     .norms_add_one = true,
     .has_windows = true},
    {.model_type = "gemma3_text",
     .architecture = "gemma3",
     .names = kSandwich,
     .activation = "gelu|gelu_pytorch_tanh",
     .norms_add_one = true,
     .has_windows = true},
    {.model_type = "stablelm", .architecture = "stablelm"},
    {.model_type = "olmo2", .architecture = "olmo2", .names = kPostNorm},
    {.model_type = "bert", .architecture = "bert", .names = kBert, .activation = "gelu"},
};

// Fields that are GGUF keys under another name. Where both names of one key stand, the first one wins.
struct FieldRow {
  const char* hf;
  const char* gguf;
};
constexpr FieldRow kIntegers[] = {
    {"num_hidden_layers", "block_count"},
    {"max_position_embeddings", "context_length"},
    {"hidden_size", "embedding_length"},
    {"intermediate_size", "feed_forward_length"},
    {"num_attention_heads", "attention.head_count"},
    {"num_key_value_heads", "attention.head_count_kv"},
    {"head_dim", "attention.key_length"},
    {"head_dim", "attention.value_length"},
    {"vocab_size", "vocab_size"},
    {"type_vocab_size", "token_type_count"},
    {"num_local_experts", "expert_count"},
    {"num_experts", "expert_count"},
    {"num_experts_per_tok", "expert_used_count"},
    {"moe_intermediate_size", "expert_feed_forward_length"},
    {"shared_expert_intermediate_size", "expert_shared_feed_forward_length"},
    {"original_max_position_embeddings", "rope.scaling.original_context_length"},
};
constexpr FieldRow kNumbers[] = {
    {"rms_norm_eps", "attention.layer_norm_rms_epsilon"},
    {"layer_norm_eps", "attention.layer_norm_epsilon"},
    {"attn_logit_softcapping", "attn_logit_softcapping"},
    {"final_logit_softcapping", "final_logit_softcapping"},
    {"attention_multiplier", "attention.scale"},
    {"embedding_multiplier", "embedding_scale"},
    {"residual_multiplier", "residual_scale"},
    {"logits_scaling", "logit_scale"},
    {"rope_theta", "rope.freq_base"},
    {"rope_local_base_freq", "rope.freq_base_swa"},
};

// A JSON object whose fields are asked for by type; null counts as absent.
class Fields {
 public:
  explicit Fields(const Json& object) : object_(object) {}

  const Json* find(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  std::optional<uint32_t> integer(const char* key) const {
    const Json* value = find(key);
    if (!value) return std::nullopt;
    if (!value->is_number_integer()) wrong_type(key, *value, "an integer");
    return value->is_number_unsigned() ? checked_cast<uint32_t>(value->get<uint64_t>(), key)
                                       : checked_cast<uint32_t>(value->get<int64_t>(), key);
  }
  std::optional<double> number(const char* key) const {
    const Json* value = find(key);
    if (!value) return std::nullopt;
    if (!value->is_number()) wrong_type(key, *value, "a number");
    return value->get<double>();
  }
  std::optional<bool> boolean(const char* key) const {
    const Json* value = find(key);
    if (!value) return std::nullopt;
    if (!value->is_boolean()) wrong_type(key, *value, "a bool");
    return value->get<bool>();
  }
  std::optional<std::string> string(const char* key) const {
    const Json* value = find(key);
    if (!value) return std::nullopt;
    if (!value->is_string()) wrong_type(key, *value, "a string");
    return value->get<std::string>();
  }
  /// An object; an empty one where absent.
  Json object(const char* key) const {
    const Json* value = find(key);
    if (!value) return Json::object();
    if (!value->is_object()) wrong_type(key, *value, "an object");
    return *value;
  }
  std::optional<std::vector<float>> numbers(const char* key) const {
    const Json* value = find(key);
    if (!value) return std::nullopt;
    if (!value->is_array()) wrong_type(key, *value, "an array");
    std::vector<float> numbers;
    for (const Json& element : *value) {
      if (!element.is_number()) wrong_type(key, element, "a number");
      numbers.push_back(element.get<float>());
    }
    return numbers;
  }
  template <typename T>
  T required(const std::optional<T>& value, const char* key) const {
    if (!value) throw Error(Errc::corrupt_file, "{} is missing", key);
    return *value;
  }

 private:
  [[noreturn]] void wrong_type(const char* key, const Json& found, std::string_view wanted) const {
    throw Error(Errc::corrupt_file, "{} is a JSON {}, expected {}", key, found.type_name(), wanted);
  }

  const Json& object_;
};

const HfFamily& find_family(const Fields& config) {
  const auto model_type = config.string("model_type");
  if (!model_type) throw Error(Errc::corrupt_file, "model_type is missing");
  std::string known;
  for (const HfFamily& family : kFamilies) {
    if (family.model_type == *model_type) return family;
    known.append(known.empty() ? "" : ", ").append(family.model_type);
  }
  throw Error(Errc::corrupt_file, "model_type \"{}\" is unknown; known are {}", printable(*model_type, 64),
              known);
}

// Gemma 3's larger models see pictures; what speaks is in text_config, which leaves out what is as in the
// library's Gemma3TextConfig.
Json gemma3_text_config(const Json& config) {
  Json text = {{"model_type", "gemma3_text"},
               {"num_attention_heads", 8},
               {"num_key_value_heads", 4},
               {"head_dim", 256},
               {"vocab_size", 262208},
               {"rms_norm_eps", 1e-6},
               {"rope_theta", 1e6},
               {"rope_local_base_freq", 10000},
               {"query_pre_attn_scalar", 256},
               {"max_position_embeddings", 131072}};
  text.update(Fields(config).object("text_config"));
  return text;
}

// What would give wrong answers rather than an error later.
void refuse_unsupported(const Fields& config, const HfFamily& family) {
  for (const char* key : {"hidden_act", "hidden_activation"}) {
    const auto activation = config.string(key);
    if (activation && std::ranges::count(split(family.activation, '|'), *activation) == 0)
      throw Error(Errc::corrupt_file, "{} is \"{}\", expected {}", key, printable(*activation, 64),
                  family.activation);
  }
  if (!family.has_windows && config.boolean("use_sliding_window").value_or(false))
    throw Error(Errc::corrupt_file, "use_sliding_window is not supported for {}", family.model_type);
}

// A block's rows and columns.
void read_block(const Fields& fields, const char* key, HfScaling& scaling) {
  const auto block = fields.numbers(key);
  if (!block) return;
  if (block->size() != 2 || !((*block)[0] >= 1 && (*block)[1] >= 1))
    throw Error(Errc::corrupt_file, "{} is not two numbers of rows and columns", key);
  scaling.block_rows = static_cast<uint64_t>((*block)[0]);
  scaling.block_columns = static_cast<uint64_t>((*block)[1]);
}

// What quantization_config says: scales beside F8 weights are read, everything else is refused. The library
// compressed-tensors says it by groups of layers.
HfScaling read_scaling(const Fields& config) {
  HfScaling scaling;
  if (!config.find("quantization_config")) return scaling;
  const Json json = config.object("quantization_config");
  const Fields fields(json);
  const std::string method = fields.string("quant_method").value_or("");
  scaling.has_scales = method == "fp8" || method == "fbgemm_fp8";
  read_block(fields, "weight_block_size", scaling);
  if (method == "compressed-tensors") {
    const Json groups = fields.object("config_groups");
    for (const auto& [name, group] : groups.items()) {
      const Json weights = group.is_object() ? Fields(group).object("weights") : Json::object();
      const Fields rule(weights);
      scaling.has_scales = rule.integer("num_bits") == 8u && rule.string("type") == "float";
      if (!scaling.has_scales) break;
      read_block(rule, "block_structure", scaling);
    }
  }
  if (!scaling.has_scales)
    throw Error(Errc::corrupt_file,
                "the weights are quantised (quantization_config with method \"{}\"; fp8 is read); use the "
                "original or a GGUF file",
                printable(method, 40));
  return scaling;
}

// The head's size and what part of it is rotated.
struct RotaryShape {
  uint32_t head_dimension;
  uint32_t n_rotated;
};

// Rotary embedding: base, scaling and factors. Newer files say it in rope_parameters, older ones in
// rope_scaling.
class RopeReader {
 public:
  RopeReader(const Fields& config, RotaryShape shape, HfModel& model, std::string prefix)
      : config_(config),
        scaling_json_(scaling_of(config)),
        scaling_(scaling_json_),
        shape_(shape),
        model_(model),
        prefix_(std::move(prefix)) {}

  void read() {
    set("rope.dimension_count", shape_.n_rotated);
    if (const auto base = scaling_.number("rope_theta")) set_number("rope.freq_base", *base);
    if (const Json local = Fields(config_.object("rope_parameters")).object("sliding_attention");
        !local.empty())
      set_number("rope.freq_base_swa", Fields(local).number("rope_theta").value_or(10000.0));
    auto type = scaling_.string("rope_type");
    if (!type) type = scaling_.string("type");
    if (!type || *type == "default") return;
    if (*type == "linear" || *type == "ntk" || *type == "dynamic" || *type == "yarn")
      return factor_scaling(*type);
    if (*type == "longrope" || *type == "su") return longrope();
    if (*type == "llama3") return llama3();
    throw Error(Errc::corrupt_file,
                "rope_scaling type \"{}\" is unknown; known are linear, ntk, dynamic, yarn, longrope, llama3",
                printable(*type, 64));
  }

 private:
  static Json scaling_of(const Fields& config) {
    const Json parameters = config.object("rope_parameters");
    if (parameters.contains("full_attention")) return Fields(parameters).object("full_attention");
    return parameters.empty() ? config.object("rope_scaling") : parameters;
  }

  void set(const char* key, uint32_t value) { model_.metadata.set(prefix_ + key, value); }
  void set_number(const char* key, double value) {
    model_.metadata.set(prefix_ + key, static_cast<float>(value));
  }

  double factor() const { return scaling_.required(scaling_.number("factor"), "rope_scaling.factor"); }
  uint32_t context() const {
    return config_.required(config_.integer("max_position_embeddings"), "max_position_embeddings");
  }
  uint32_t original_context() const {
    for (const Fields& fields : {scaling_, config_})
      if (const auto original = fields.integer("original_max_position_embeddings")) return *original;
    return context();
  }

  void factor_scaling(const std::string& type) {
    model_.metadata.set(prefix_ + "rope.scaling.type", model_.metadata.keep(type));
    set_number("rope.scaling.factor", factor());
    set("rope.scaling.original_context_length", original_context());
    if (type != "yarn") return;
    if (const auto beta = scaling_.number("beta_fast")) set_number("rope.scaling.yarn_beta_fast", *beta);
    if (const auto beta = scaling_.number("beta_slow")) set_number("rope.scaling.yarn_beta_slow", *beta);
    // Here the whole magnitude; in GGUF what multiplies YaRN's own, 0.1 ln(factor) + 1 (Peng et al. 2023).
    if (const auto whole = scaling_.number("attention_factor"))
      set_number("rope.scaling.attn_factor", *whole / (0.1 * std::log(factor()) + 1.0));
  }

  // A factor for each pair, one list up to the original context and one beyond (Ding et al. 2024).
  void longrope() {
    const double original = original_context();
    const double stretch = scaling_.number("factor").value_or(context() / original);
    const double computed = stretch <= 1.0 ? 1.0 : std::sqrt(1.0 + std::log(stretch) / std::log(original));
    set("rope.scaling.original_context_length", original_context());
    set_number("rope.scaling.attn_factor", scaling_.number("attention_factor").value_or(computed));
    for (const auto& [field, name] : {std::pair("long_factor", "rope_factors_long.weight"),
                                      std::pair("short_factor", "rope_factors_short.weight")}) {
      const auto factors = scaling_.required(scaling_.numbers(field), field);
      if (factors.size() != shape_.n_rotated / 2)
        throw Error(Errc::corrupt_file, "{} has {} numbers, expected {}", field, factors.size(),
                    shape_.n_rotated / 2);
      model_.tensors.emplace_back(name, factors);
    }
  }

  // Llama 3.1: slow pairs are divided by the factor, fast ones kept, a smooth passage between, by wave
  // length.
  void llama3() {
    const double low = scaling_.required(scaling_.number("low_freq_factor"), "rope_scaling.low_freq_factor");
    const double high =
        scaling_.required(scaling_.number("high_freq_factor"), "rope_scaling.high_freq_factor");
    const double original = original_context();
    const auto stated = model_.metadata.number(prefix_ + "rope.freq_base");
    const double base = stated.value_or(10000.0);
    if (!(high > low))
      throw Error(Errc::corrupt_file, "high_freq_factor is {}, expected more than low_freq_factor {}", high,
                  low);
    std::vector<float> factors;
    for (uint32_t pair = 0; pair < shape_.n_rotated / 2; ++pair) {
      const double wave_length = 2.0 * std::numbers::pi * std::pow(base, 2.0 * pair / shape_.n_rotated);
      const double kept = std::clamp((original / wave_length - low) / (high - low), 0.0, 1.0);
      factors.push_back(static_cast<float>(1.0 / (kept + (1.0 - kept) / factor())));
    }
    model_.tensors.emplace_back("rope_freqs.weight", std::move(factors));
  }

  const Fields& config_;
  const Json scaling_json_;
  const Fields scaling_;
  RotaryShape shape_;
  HfModel& model_;
  std::string prefix_;
};

RotaryShape rotary_shape(const Fields& config, const HfModel& model) {
  const uint32_t width = config.required(config.integer("hidden_size"), "hidden_size");
  const uint32_t head = config.integer("head_dim").value_or(static_cast<uint32_t>(width / model.n_heads));
  const double share = config.number("partial_rotary_factor").value_or(1.0);
  if (!(share > 0.0 && share <= 1.0))
    throw Error(Errc::corrupt_file, "partial_rotary_factor is {}, expected more than 0 and at most 1", share);
  return {head, static_cast<uint32_t>(head * share)};
}

}  // namespace

std::span<const HfFamily> hf_families() { return kFamilies; }

HfModel read_hf_config(const Json& json) {
  if (!json.is_object()) throw Error(Errc::corrupt_file, "not a JSON object");
  HfModel model;
  model.sees_pictures = Fields(json).string("model_type") == "gemma3";
  const Json language = model.sees_pictures ? gemma3_text_config(json) : json;
  const Fields config(language);
  model.family = &find_family(config);
  refuse_unsupported(config, *model.family);
  model.scaling = read_scaling(Fields(json));
  const std::string prefix = std::string(model.family->architecture) + ".";
  Metadata& metadata = model.metadata;
  metadata.add("general.architecture", metadata.keep(std::string(model.family->architecture)));
  metadata.add("general.type", metadata.keep("model"));
  for (const FieldRow& row : kIntegers)
    if (const auto value = config.integer(row.hf)) metadata.add(prefix + row.gguf, *value);
  for (const FieldRow& row : kNumbers)
    if (const auto value = config.number(row.hf)) metadata.add(prefix + row.gguf, static_cast<float>(*value));
  if (const auto value = config.boolean("norm_topk_prob"))
    metadata.add(prefix + "expert_weights_norm", *value);
  if (const auto window = config.integer("sliding_window"); window && model.family->has_windows)
    metadata.add(prefix + "attention.sliding_window", *window);
  // Gemma states the size whose root divides the scores.
  if (const auto scalar = config.number("query_pre_attn_scalar"); scalar && *scalar > 0)
    metadata.add(prefix + "attention.scale", static_cast<float>(1.0 / std::sqrt(*scalar)));

  model.n_heads = config.required(config.integer("num_attention_heads"), "num_attention_heads");
  if (model.n_heads == 0) throw Error(Errc::corrupt_file, "num_attention_heads is 0");
  model.n_kv_heads = config.integer("num_key_value_heads").value_or(static_cast<uint32_t>(model.n_heads));
  model.has_tied_output = config.boolean("tie_word_embeddings").value_or(model.family->norms_add_one);
  if (model.family->names == kBert)
    metadata.add(prefix + "attention.causal", false);
  else
    RopeReader(config, rotary_shape(config, model), model, prefix).read();
  return model;
}

}  // namespace ruvllm::format
