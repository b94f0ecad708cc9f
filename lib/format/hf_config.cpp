#include "format/hf_config.h"

#include "base/limits.h"
#include "base/strings.h"
#include "base/utf8.h"
#include "format/hf_fields.h"
#include "format/hf_rope.h"
#include "format/hf_windows.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace ruvllm::format {
namespace {

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
};

// Fields that change the answer in some model and are not obeyed, with the values that mean what is done
// here: a JSON list. Absent, null, false, 0 and [] are fine with all of them.
struct NeutralRow {
  const char* field;
  const char* values;
};
constexpr NeutralRow kNeutral[] = {
    {"use_bidirectional_attention", "[]"},
    {"no_rope_layers", "[]"},
    {"no_rope_layer_interval", "[]"},
    {"attn_temperature_tuning", "[]"},
    {"clip_qkv", "[]"},
    {"logit_scale", "[1]"},
    {"position_embedding_type", R"(["absolute", "rope", "rotary"])"},
    {"alibi", "[]"},
    {"use_alibi", "[]"},
    {"num_shared_experts", "[]"},
    {"n_shared_experts", "[]"},
    {"routed_scaling_factor", "[1]"},
    {"scoring_func", R"(["softmax"])"},
    {"scale_embedding", "[]"},
    {"scale_emb", "[1]"},
    {"scale_depth", "[]"},
    {"rope_interleaved", "[]"},
    {"full_attn_mod", "[1]"},
    {"add_cross_attention", "[]"},
};

// Words that make a field one of rotation or attention, and the fields with them that are read here, that
// belong to training, or that choose between ways of computing the same.
constexpr std::array<std::string_view, 6> kCheckedWords = {"rope",      "rotary", "attn",
                                                           "attention", "window", "softcap"};
constexpr std::array<std::string_view, 24> kKnownFields = {
    "num_attention_heads", "attention_bias", "attention_multiplier", "attn_logit_softcapping",
    "final_logit_softcapping", "query_pre_attn_scalar", "rope_theta", "rope_scaling", "rope_parameters",
    "rope_local_base_freq", "partial_rotary_factor", "sliding_window", "sliding_window_pattern",
    "_sliding_window_pattern", "use_sliding_window", "max_window_layers", "attention_probs_dropout_prob",
    "attention_dropout", "attn_pdrop", "output_attentions", "attention_softmax_in_fp32",
    "attn_softmax_in_fp32", "attention_probs_in_fp32",
    // for contexts beyond the trained one alone
    "dual_chunk_attention_config"};
constexpr std::array<std::string_view, 3> kKnownParts = {"attn_implementation", "flash", "dropout"};

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

bool says_nothing(const Json& value) {
  return value.is_null() || value == false || value == 0 ||
         ((value.is_array() || value.is_object()) && value.empty());
}

bool is_known(std::string_view field) {
  return std::ranges::count(kKnownFields, field) != 0 ||
         std::ranges::any_of(kKnownParts, [&](std::string_view part) { return contains(field, part); });
}

void refuse_unknown_attention(const Json& config) {
  for (const auto& [field, value] : config.items()) {
    const bool is_checked =
        std::ranges::any_of(kCheckedWords, [&](std::string_view word) { return contains(field, word); });
    if (!is_checked || says_nothing(value) || is_known(field) ||
        std::ranges::any_of(kNeutral, [&](const NeutralRow& row) { return row.field == field; }))
      continue;
    throw Error(Errc::corrupt_file, "{} is {}, which is not supported", printable(field, 64),
                printable(dump_json(value), 64));
  }
}

// What would give wrong answers rather than an error later.
void refuse_unsupported(const HfFields& config, const Json& json, const HfFamily& family) {
  for (const char* key : {"hidden_act", "hidden_activation"}) {
    const auto activation = config.string(key);
    if (activation && std::ranges::count(split(family.activation, '|'), *activation) == 0)
      throw Error(Errc::corrupt_file, "{} is \"{}\", expected {}", key, printable(*activation, 64),
                  family.activation);
  }
  for (const NeutralRow& row : kNeutral) {
    const Json* value = config.find(row.field);
    if (!value || says_nothing(*value)) continue;
    if (std::ranges::count(Json::parse(row.values), *value) == 0)
      throw Error(Errc::corrupt_file, "{} is {}, which is not supported for {}", row.field,
                  printable(dump_json(*value), 64), family.model_type);
  }
  const bool is_encoder = family.names == kBert;
  if (is_encoder && config.boolean("is_decoder").value_or(false))
    throw Error(Errc::corrupt_file, "is_decoder is true, which is not supported for {}", family.model_type);
  if (!is_encoder && !config.boolean("is_causal").value_or(true))
    throw Error(Errc::corrupt_file, "is_causal is false, which is not supported for {}", family.model_type);
  refuse_unknown_attention(json);
}

// Biases that the configuration states, against those that are there.
void check_biases(const HfFields& config, const HfFamily& family, const HfShapes& shapes) {
  const auto check = [&](std::string_view field, bool is_there) {
    if (field.empty()) return;
    const auto stated = config.boolean(field.data());
    if (stated && *stated != is_there)
      throw Error(Errc::corrupt_file, "{} is {}, but the weights have {}", field, *stated,
                  is_there ? "such biases" : "none");
  };
  check(family.query_bias, shapes.has_query_bias);
  check(family.ffn_bias, shapes.has_ffn_bias);
}

// A block's rows and columns.
void read_block(const HfFields& fields, const char* key, HfScaling& scaling) {
  const auto block = fields.numbers(key);
  if (!block) return;
  if (block->size() != 2 || !((*block)[0] >= 1 && (*block)[1] >= 1))
    throw Error(Errc::corrupt_file, "{} is not two numbers of rows and columns", key);
  scaling.block_rows = static_cast<uint64_t>((*block)[0]);
  scaling.block_columns = static_cast<uint64_t>((*block)[1]);
}

// What quantization_config says: scales beside F8 weights are read, everything else is refused. The library
// compressed-tensors says it by groups of layers.
HfScaling read_scaling(const HfFields& config) {
  HfScaling scaling;
  if (!config.find("quantization_config")) return scaling;
  const Json json = config.object("quantization_config");
  const HfFields fields(json);
  const std::string method = fields.string("quant_method").value_or("");
  scaling.has_scales = method == "fp8" || method == "fbgemm_fp8";
  read_block(fields, "weight_block_size", scaling);
  if (method == "compressed-tensors") {
    const Json groups = fields.object("config_groups");
    for (const auto& [name, group] : groups.items()) {
      const Json weights = group.is_object() ? HfFields(group).object("weights") : Json::object();
      const HfFields rule(weights);
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

const HfFamily& family_of(const HfFields& config) {
  const auto model_type = config.string("model_type");
  if (!model_type) throw Error(Errc::corrupt_file, "model_type is missing");
  if (const HfFamily* family = find_hf_family(*model_type)) return *family;
  std::string known;
  for (const HfFamily& family : hf_families())
    known.append(known.empty() ? "" : ", ").append(family.model_type);
  throw Error(Errc::corrupt_file, "model_type \"{}\" is unknown; known are {}", printable(*model_type, 64),
              known);
}

// Gemma 3's larger models see pictures; what speaks is in text_config.
Json language_part(const Json& config) {
  Json text = {{"model_type", "gemma3_text"}};
  text.update(HfFields(config).object("text_config"));
  return text;
}

// The configuration with what it leaves out. What is null stays so: the class was told None.
Json with_defaults(const Json& config, const HfFamily& family, const std::optional<HfShapes>& shapes) {
  Json whole = Json::parse(family.defaults);
  const bool has_own_head = whole.contains("head_dim") && !config.contains("head_dim");
  whole.update(config);
  if (!has_own_head || !shapes) return whole;
  // Weights know better than a class what size a head has.
  const uint32_t n_heads = HfFields(whole).integer("num_attention_heads").value_or(0);
  if (shapes->head_norm != 0)
    whole["head_dim"] = shapes->head_norm;
  else if (shapes->query_rows != 0 && n_heads != 0)
    whole["head_dim"] = shapes->query_rows / n_heads;
  return whole;
}

void add_keys(const HfFields& config, const HfFamily& family, const std::string& prefix, Metadata& metadata) {
  for (const FieldRow& row : kIntegers)
    if (const auto value = config.integer(row.hf)) metadata.add(prefix + row.gguf, *value);
  const Json defaults = Json::parse(family.defaults);
  for (const FieldRow& row : kNumbers) {
    if (const auto value = config.number(row.hf))
      metadata.add(prefix + row.gguf, static_cast<float>(*value));
    else if (contains(row.hf, "softcapping") && defaults.contains(row.hf))
      metadata.add(prefix + row.gguf, 0.0f);  // None: the cap that readers of GGUF would assume is off
  }
  if (const auto value = config.boolean("norm_topk_prob"))
    metadata.add(prefix + "expert_weights_norm", *value);
  // Gemma states the size whose root divides the scores.
  if (const auto scalar = config.number("query_pre_attn_scalar"); scalar && *scalar > 0)
    metadata.add(prefix + "attention.scale", static_cast<float>(1.0 / std::sqrt(*scalar)));
}

}  // namespace

HfModel read_hf_config(const Json& json, const std::optional<HfShapes>& shapes) {
  if (!json.is_object()) throw Error(Errc::corrupt_file, "not a JSON object");
  HfModel model;
  model.sees_pictures = HfFields(json).string("model_type") == "gemma3";
  const Json stated = model.sees_pictures ? language_part(json) : json;
  model.family = &family_of(HfFields(stated));
  const HfFamily& family = *model.family;
  const Json whole = with_defaults(stated, family, shapes);
  const HfFields config(whole);
  refuse_unsupported(config, whole, family);
  if (shapes) check_biases(HfFields(stated), family, *shapes);
  model.scaling = read_scaling(HfFields(json));
  const std::string prefix = std::string(family.architecture) + ".";
  Metadata& metadata = model.metadata;
  metadata.add("general.architecture", metadata.keep(std::string(family.architecture)));
  metadata.add("general.type", metadata.keep("model"));
  add_keys(config, family, prefix, metadata);

  const uint32_t width = config.required(config.integer("hidden_size"), "hidden_size");
  const uint32_t n_layers = config.required(config.integer("num_hidden_layers"), "num_hidden_layers");
  model.n_heads = config.required(config.integer("num_attention_heads"), "num_attention_heads");
  if (model.n_heads == 0) throw Error(Errc::corrupt_file, "num_attention_heads is 0");
  model.n_kv_heads = config.integer("num_key_value_heads").value_or(static_cast<uint32_t>(model.n_heads));
  model.has_tied_output = config.boolean("tie_word_embeddings").value_or(false);
  if (family.names == kBert) {
    metadata.add(prefix + "attention.causal", false);
    return model;
  }
  if (n_layers > limits::kLayers)
    throw Error(Errc::corrupt_file, "num_hidden_layers is {}, expected 1 to {}", n_layers, limits::kLayers);
  const bool has_windows = read_hf_windows(config, family, n_layers, prefix, metadata);
  const uint32_t head = config.integer("head_dim").value_or(static_cast<uint32_t>(width / model.n_heads));
  read_hf_rope(config, head, has_windows, prefix, model);
  return model;
}

}  // namespace ruvllm::format
