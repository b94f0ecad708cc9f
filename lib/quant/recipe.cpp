#include "quant/recipe.h"

#include "base/error.h"
#include "base/utf8.h"

#include <algorithm>
#include <charconv>
#include <variant>

namespace ruvllm::quant {
namespace {

/// What a tensor is for, as far as mixes care.
enum class Role {
  output,  // the output matrix; the token embedding where that serves as one
  token_embd,
  attn_q,
  attn_k,
  attn_v,
  attn_qkv,
  attn_output,
  ffn_gate,
  ffn_up,
  ffn_down,
  other,
};

/// Which layers (and models) a row is for.
enum class Where {
  all,
  first_2,
  first_4,
  first_eighth,
  first_sixteenth,
  middle,     // all but the first and the last eighth
  more_bits,  // the first and the last eighth, and every third layer between
  grouped,    // where four or more query heads share a KV head: attn_v is small then, and every error in it
              // counts
  unguided,   // without importance
  first_eighth_unguided,
  experts,  // matrices of which a layer has several to choose from
};

struct Row {
  std::string_view mix;
  Role role;
  Where where;
  Format format;
};

constexpr Mix kMixes[] = {
#define MIX(name, base, file_type, about) {#name, Format::base, file_type, about},
#include "quant/recipes.def"
};

constexpr Row kRows[] = {
#define ROW(mix, role, where, format) {#mix, Role::role, Where::where, Format::format},
#include "quant/recipes.def"
};

/// What the choice depends on besides the tensor.
struct Model {
  uint64_t n_layers = 0;
  uint64_t heads_per_kv_head = 1;
  uint64_t n_experts = 0;
  bool has_output = false;
};

Model describe(const format::ModelFile& file) {
  Model model;
  const std::string architecture(file.metadata.string("general.architecture").value_or(""));
  const auto number = [&](const char* key) -> uint64_t {
    const format::MetadataValue* value = file.metadata.find(architecture + key);
    if (value == nullptr || std::holds_alternative<format::MetadataArray>(*value)) return 0;  // one a layer
    return static_cast<uint64_t>(std::max<int64_t>(0, file.metadata.integer(architecture + key).value_or(0)));
  };
  model.n_layers = number(".block_count");
  const uint64_t n_kv_heads = number(".attention.head_count_kv");
  if (n_kv_heads > 0) model.heads_per_kv_head = number(".attention.head_count") / n_kv_heads;
  model.n_experts = number(".expert_count");
  model.has_output = file.find("output.weight") != nullptr;
  return model;
}

/// "blk.12.ffn_down_exps.weight" is layer 12's "ffn_down_exps".
struct Name {
  std::optional<uint64_t> layer;
  std::string_view part;

  /// One of several that a router chooses from: "ffn_up_exps", of old files "ffn_up.3".
  bool is_expert() const {
    const size_t dot = part.rfind('.');
    return part.ends_with("_exps") ||
           (dot != std::string_view::npos && dot + 1 < part.size() &&
            part.find_first_not_of("0123456789", dot + 1) == std::string_view::npos);
  }
};

Name split_name(std::string_view name) {
  Name split;
  if (name.starts_with("blk.")) {
    const std::string_view rest = name.substr(4);
    uint64_t layer = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), layer);
    if (error == std::errc() && end != rest.data() + rest.size() && *end == '.') {
      split.layer = layer;
      name = rest.substr(static_cast<size_t>(end - rest.data()) + 1);
    }
  }
  split.part = name.substr(0, name.rfind('.'));
  return split;
}

Role role_of(Name name, const Model& model) {
  if (name.part == "output") return Role::output;
  if (name.part == "token_embd") return model.has_output ? Role::token_embd : Role::output;
  if (!name.layer) return Role::other;
  if (name.is_expert() && !name.part.ends_with("_exps"))
    name.part = name.part.substr(0, name.part.rfind('.'));
  for (const std::string_view suffix : {"_exps", "_shexp"})
    if (name.part.ends_with(suffix)) name.part.remove_suffix(suffix.size());
  struct Part {
    std::string_view name;
    Role role;
  };
  static constexpr Part kParts[] = {
      {"attn_q", Role::attn_q},     {"attn_k", Role::attn_k},           {"attn_v", Role::attn_v},
      {"attn_qkv", Role::attn_qkv}, {"attn_output", Role::attn_output}, {"ffn_gate", Role::ffn_gate},
      {"ffn_up", Role::ffn_up},     {"ffn_down", Role::ffn_down},
  };
  for (const Part& part : kParts)
    if (name.part == part.name) return part.role;
  return Role::other;
}

bool fits(Where where, uint64_t layer, bool is_expert, const Model& model, bool guided) {
  const uint64_t n = model.n_layers;
  const bool in_first_eighth = layer < n / 8;
  const bool in_last_eighth = layer >= 7 * n / 8;
  switch (where) {
    case Where::all:
      return true;
    case Where::first_2:
      return layer < 2;
    case Where::first_4:
      return layer < 4;
    case Where::first_eighth:
      return in_first_eighth;
    case Where::first_sixteenth:
      return layer < n / 16;
    case Where::middle:
      return !in_first_eighth && !in_last_eighth;
    case Where::more_bits:
      return in_first_eighth || in_last_eighth || (layer - n / 8) % 3 == 2;
    case Where::grouped:
      return model.heads_per_kv_head >= 4 || model.n_experts >= 4;
    case Where::unguided:
      return !guided;
    case Where::first_eighth_unguided:
      return in_first_eighth && !guided;
    case Where::experts:
      return is_expert;
  }
  return false;
}

Format choose_by_mix(const Mix& mix, Role role, const Name& name, const Model& model, bool guided) {
  if (!tensor::traits(mix.base).is_quantised) return mix.base;
  for (const Row& row : kRows)
    if (row.mix == mix.name && row.role == role &&
        fits(row.where, name.layer.value_or(0), name.is_expert(), model, guided))
      return row.format;
  // The output matrix decides every token: at least six bits.
  if (role == Role::output && mix.base != Format::Q8_0) return Format::Q6_K;
  // In mixtures of eight experts attention is a small part, and all of them share it.
  if (model.n_experts == 8 && (role == Role::attn_v || role == Role::attn_k)) return Format::Q8_0;
  return mix.base;
}

/// Tensors that steer what others do: small, and worth their bits.
bool keeps_floats(const format::Tensor& tensor, const Name& name) {
  if (tensor.dimensions.size() < 2 || !tensor.name.ends_with(".weight")) return true;
  for (const std::string_view part : {"norm", "ffn_gate_inp", "position_embd", "token_types", "ssm_conv1d"})
    if (name.part.find(part) != std::string_view::npos) return true;
  return false;
}

bool is_for(const TensorRule& rule, const format::Tensor& tensor, const Name& name) {
  return keeps_floats(tensor, name) ? rule.pattern.is_name(tensor.name) : rule.pattern.occurs_in(tensor.name);
}

/// A rule that changes nothing is a slip in its pattern.
void refuse_idle_rules(const format::ModelFile& file, const Recipe& recipe) {
  for (const TensorRule& rule : recipe.rules) {
    bool occurs = false;
    const bool has_use = std::ranges::any_of(file.tensors, [&](const format::Tensor& tensor) {
      occurs |= rule.pattern.occurs_in(tensor.name);
      return is_for(rule, tensor, split_name(tensor.name));
    });
    if (has_use) continue;
    if (occurs)
      throw Error(Errc::usage,
                  "--tensor {}: only norms, vectors and routers have such names, and they keep their floats; "
                  "name one whole to change it",
                  printable(rule.pattern.text()));
    throw Error(Errc::usage, "--tensor {}: no tensor has such a name; ruvllm inspect tensors lists them",
                printable(rule.pattern.text()));
  }
}

/// The format to use where rows of n_columns don't divide into blocks of `wanted`.
Format fall_back(Format wanted, uint64_t n_columns, Role role) {
  const auto divides = [&](Format format) { return tensor::divides(format, n_columns); };
  if (divides(wanted)) return wanted;
  Format next = Format::IQ4_NL;
  if (wanted == Format::Q4_K) next = Format::Q5_0;
  if (wanted == Format::Q5_K) next = Format::Q5_1;
  if (wanted == Format::TQ1_0 || wanted == Format::TQ2_0) next = Format::Q4_0;
  if (wanted == Format::Q6_K || wanted == Format::Q8_K || role == Role::output) next = Format::Q8_0;
  return divides(next) ? next : Format::F16;
}

Choice choose(const format::Tensor& tensor, const Model& model, const Recipe& recipe) {
  const Name name = split_name(tensor.name);
  const Role role = role_of(name, model);
  const bool is_float = !tensor::traits(tensor.format).is_quantised;
  const auto rule = std::ranges::find_if(
      recipe.rules, [&](const TensorRule& candidate) { return is_for(candidate, tensor, name); });
  Format wanted;
  bool is_free = false;
  if (rule != recipe.rules.end()) {
    wanted = rule->format;
  } else if (keeps_floats(tensor, name)) {
    return {is_float ? Format::F32 : tensor.format, std::nullopt, false, false};
  } else if (recipe.embedding_format && name.part == "token_embd") {
    wanted = *recipe.embedding_format;
  } else if (recipe.output_format && role == Role::output) {
    wanted = *recipe.output_format;
  } else if (recipe.pure) {
    wanted = recipe.mix->base;
    is_free = true;
  } else {
    wanted = choose_by_mix(*recipe.mix, role, name, model, recipe.guided);
    is_free = true;
  }
  const Format format = fall_back(wanted, tensor.n_columns(), role);
  return {format, format != wanted ? std::optional(wanted) : std::nullopt, is_free, role == Role::output};
}

std::string upper_case(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return result;
}

}  // namespace

std::span<const Mix> all_mixes() { return kMixes; }

const Mix* find_mix_or_null(std::string_view name) {
  const std::string wanted = upper_case(name);
  for (const std::string& candidate : {wanted, wanted + "_M"})
    for (const Mix& mix : kMixes)
      if (mix.name == candidate) return &mix;
  return nullptr;
}

const Mix& find_mix(std::string_view name) {
  if (const Mix* mix = find_mix_or_null(name)) return *mix;
  std::string names;
  for (const Mix& mix : kMixes) names += (names.empty() ? "" : " ") + std::string(mix.name);
  throw Error(Errc::usage, "no type is called \"{}\"; choose one of {}", printable(name), names);
}

Format find_format(std::string_view name) {
  if (const kernels::Traits* found = kernels::find_format(std::string(name).c_str())) return found->format;
  size_t n_formats = 0;
  const kernels::Traits* formats = kernels::all_formats(&n_formats);
  std::string names;
  for (size_t i = 0; i < n_formats; ++i) names += (i == 0 ? "" : " ") + std::string(formats[i].name);
  throw Error(Errc::usage, "no tensor format is called \"{}\"; choose one of {}", printable(name), names);
}

TensorRule parse_tensor_rule(std::string_view text) {
  const size_t equals = text.rfind('=');
  if (equals == std::string_view::npos || equals == 0)
    throw Error(Errc::usage, "\"{}\" is not REGEX=FORMAT, for example 'ffn_down=Q6_K'", printable(text));
  return {NamePattern(text.substr(0, equals)), find_format(text.substr(equals + 1))};
}

std::vector<Choice> choose_formats(const format::ModelFile& file, const Recipe& recipe) {
  RUVLLM_ASSERT(recipe.mix != nullptr);
  refuse_idle_rules(file, recipe);
  const Model model = describe(file);
  std::vector<Choice> choices;
  choices.reserve(file.tensors.size());
  for (const format::Tensor& tensor : file.tensors) choices.push_back(choose(tensor, model, recipe));
  return choices;
}

}  // namespace ruvllm::quant
