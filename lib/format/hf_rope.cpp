#include "format/hf_rope.h"

#include "base/utf8.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace ruvllm::format {
namespace {

// The fields that a type of scaling has, with spaces around each. A field of another type changes nothing in
// the library, which only warns; whoever wrote it meant something by it.
struct ScalingRow {
  std::string_view type;
  std::string_view fields;
};
constexpr std::string_view kFieldsOfAll =
    " rope_type type rope_theta partial_rotary_factor original_max_position_embeddings ";
constexpr std::array<ScalingRow, 8> kScalings = {{
    {"default", " "},
    {"linear", " factor "},
    {"ntk", " factor "},
    {"dynamic", " factor "},
    {"yarn", " factor attention_factor beta_fast beta_slow mscale mscale_all_dim truncate "},
    {"longrope", " factor attention_factor short_factor long_factor "},
    {"su", " factor attention_factor short_factor long_factor "},  // Phi 3's first name for it
    {"llama3", " factor low_freq_factor high_freq_factor "},
}};

bool has_word(std::string_view words, std::string_view word) {
  return words.find(" " + std::string(word) + " ") != std::string_view::npos;
}

const ScalingRow& find_scaling(const std::string& type, const std::string& block) {
  const auto* row = std::ranges::find(kScalings, type, &ScalingRow::type);
  if (row != kScalings.end()) return *row;
  throw Error(Errc::corrupt_file,
              "{} type \"{}\" is unknown; known are linear, ntk, dynamic, yarn, longrope, llama3", block,
              printable(type, 64));
}

// The block of settings, by the name that messages give it.
struct Block {
  std::string name;
  Json fields;
};

bool is_by_layer_type(const Json& parameters) {
  return parameters.contains("full_attention") || parameters.contains("sliding_attention");
}

// What layers that see everything rotate by. The library lets rope_scaling go over into rope_parameters; a
// file that has both is believed where they agree.
Block global_block(const HfFields& config) {
  const Json parameters = config.object("rope_parameters"), scaling = config.object("rope_scaling");
  Block block{parameters.empty() ? "rope_scaling" : "rope_parameters", parameters};
  if (is_by_layer_type(parameters)) {
    for (const auto& [type, value] : parameters.items())
      if (type != "full_attention" && type != "sliding_attention")
        throw Error(Errc::corrupt_file,
                    "rope_parameters.{} is unknown beside full_attention and sliding_attention",
                    printable(type, 64));
    block = {"rope_parameters.full_attention", HfFields(parameters).object("full_attention")};
  }
  for (const auto& [field, value] : scaling.items()) {
    if (const auto other = block.fields.find(field); other != block.fields.end() && *other != value)
      throw Error(Errc::corrupt_file, "rope_scaling.{} is {}, but {}.{} is {}", printable(field, 64),
                  printable(dump_json(value), 64), block.name, printable(field, 64),
                  printable(dump_json(*other), 64));
    block.fields[field] = value;
  }
  return block;
}

std::string type_of(const HfFields& fields) {
  if (const auto type = fields.string("rope_type")) return *type;
  return fields.string("type").value_or("default");
}

void refuse_foreign_fields(const Block& block) {
  const std::string type = type_of(HfFields(block.fields));
  const ScalingRow& row = find_scaling(type, block.name);
  for (const auto& [field, value] : block.fields.items())
    if (!value.is_null() && !has_word(kFieldsOfAll, field) && !has_word(row.fields, field))
      throw Error(Errc::corrupt_file, "{}.{} has no meaning with type \"{}\"", block.name,
                  printable(field, 64), type);
}

// YaRN's magnitude for a factor (Peng et al. 2023, equation 22).
double yarn_magnitude(double factor, double weight = 1.0) {
  return factor <= 1.0 ? 1.0 : 0.1 * weight * std::log(factor) + 1.0;
}

class RopeReader {
 public:
  RopeReader(const HfFields& config, uint32_t head_dimension, std::string prefix, HfModel& model)
      : config_(config), prefix_(std::move(prefix)), model_(model), block_(global_block(config)) {
    refuse_foreign_fields(block_);
    base_ = fields_.number("rope_theta").value_or(config.number("rope_theta").value_or(10000.0));
    n_rotated_ = static_cast<uint32_t>(head_dimension * share_of(block_));
  }

  void read() {
    set("rope.dimension_count", n_rotated_);
    set_number("rope.freq_base", base_);
    const std::string type = type_of(fields_);
    if (type == "linear" || type == "ntk" || type == "dynamic") factor_scaling(type);
    if (type == "yarn") yarn();
    if (type == "longrope" || type == "su") longrope();
    if (type == "llama3") llama3();
  }

  // Layers with a window: they may have a base of their own, and are never scaled.
  void read_local() {
    const Block local{"rope_parameters.sliding_attention",
                      HfFields(config_.object("rope_parameters")).object("sliding_attention")};
    const HfFields fields(local.fields);
    const auto own_base = config_.number("rope_local_base_freq");
    if (local.fields.empty() && !own_base) return;
    refuse_foreign_fields(local);
    const double base = fields.number("rope_theta").value_or(own_base.value_or(base_));
    // GGUF's local layers are unscaled; the same rotation as elsewhere needs no words.
    const bool is_plain = type_of(fields) == "default";
    if (!is_plain && !is_same_as_global(local.fields))
      throw Error(Errc::corrupt_file, "{}.rope_type is \"{}\", expected default", local.name,
                  type_of(fields));
    if (local.fields.contains("partial_rotary_factor") && share_of(local) != share_of(block_))
      throw Error(Errc::corrupt_file, "{}.partial_rotary_factor is {}, expected that of full_attention, {}",
                  local.name, share_of(local), share_of(block_));
    if (is_plain && (base != base_ || type_of(fields_) != "default" || own_base))
      set_number("rope.freq_base_swa", base);
  }

 private:
  void set(const char* key, uint32_t value) { model_.metadata.set(prefix_ + key, value); }
  void set_number(const char* key, double value) {
    model_.metadata.set(prefix_ + key, static_cast<float>(value));
  }
  std::string name_of(const char* field) const { return fmt::format("{}.{}", block_.name, field); }

  bool is_same_as_global(Json local) const {
    if (!local.contains("rope_theta")) local["rope_theta"] = base_;
    Json global = block_.fields;
    if (!global.contains("rope_theta")) global["rope_theta"] = base_;
    return local == global;
  }

  double share_of(const Block& block) const {
    double share = config_.number("partial_rotary_factor").value_or(1.0);
    if (const auto inside = HfFields(block.fields).number("partial_rotary_factor")) share = *inside;
    if (!(share > 0.0 && share <= 1.0))
      throw Error(Errc::corrupt_file, "partial_rotary_factor is {}, expected more than 0 and at most 1",
                  share);
    return share;
  }

  double context() const {
    return config_.required(config_.integer("max_position_embeddings"), "max_position_embeddings");
  }
  uint32_t original_context() const {
    for (const HfFields* fields : {&fields_, &config_})
      if (const auto original = fields->integer("original_max_position_embeddings");
          original && *original > 0)
        return *original;
    return static_cast<uint32_t>(context());
  }
  double factor() const {
    const double factor = fields_.required(fields_.number("factor"), name_of("factor"));
    if (!(factor > 0.0))
      throw Error(Errc::corrupt_file, "{} is {}, expected more than 0", name_of("factor"), factor);
    return factor;
  }
  /// The factor, or how much longer than the original the context is.
  double stretch() const { return fields_.find("factor") ? factor() : context() / original_context(); }

  void factor_scaling(const std::string& type) {
    model_.metadata.set(prefix_ + "rope.scaling.type", model_.metadata.keep(type));
    set_number("rope.scaling.factor", factor());
    set("rope.scaling.original_context_length", original_context());
  }

  void yarn() {
    const double by = stretch(), own = yarn_magnitude(by);
    const auto mscale = fields_.number("mscale"), all = fields_.number("mscale_all_dim");
    double magnitude = own;
    if (mscale.value_or(0.0) != 0.0 && all.value_or(0.0) != 0.0)
      magnitude = yarn_magnitude(by, *mscale) / yarn_magnitude(by, *all);
    magnitude = fields_.number("attention_factor").value_or(magnitude);
    // 0 stands for what is usual, as in the library.
    const auto or_usual = [](std::optional<double> turns, double usual) {
      return turns.value_or(0.0) == 0.0 ? usual : *turns;
    };
    const double fast = or_usual(fields_.number("beta_fast"), 32.0),
                 slow = or_usual(fields_.number("beta_slow"), 1.0);
    if (!fields_.boolean("truncate").value_or(true)) return untruncated_yarn(by, fast, slow, magnitude);
    model_.metadata.set(prefix_ + "rope.scaling.type", model_.metadata.keep("yarn"));
    set_number("rope.scaling.factor", by);
    set("rope.scaling.original_context_length", original_context());
    if (fields_.find("beta_fast")) set_number("rope.scaling.yarn_beta_fast", fast);
    if (fields_.find("beta_slow")) set_number("rope.scaling.yarn_beta_slow", slow);
    // In GGUF what multiplies YaRN's own.
    if (magnitude != own || fields_.find("attention_factor"))
      set_number("rope.scaling.attn_factor", magnitude / own);
  }

  // GGUF rounds the ends of the ramp to whole pairs and has no word for not doing so: the frequencies come as
  // factors.
  void untruncated_yarn(double by, double fast, double slow, double magnitude) {
    const auto pair_with_turns = [&](double turns) {
      return n_rotated_ * std::log(original_context() / (turns * 2.0 * std::numbers::pi)) /
             (2.0 * std::log(base_));
    };
    const double first = std::max(pair_with_turns(fast), 0.0),
                 last = std::min(pair_with_turns(slow), n_rotated_ - 1.0);
    std::vector<float> factors;
    for (uint32_t pair = 0; pair < n_rotated_ / 2; ++pair) {
      const double kept = 1.0 - std::clamp((pair - first) / (last == first ? 0.001 : last - first), 0.0, 1.0);
      factors.push_back(static_cast<float>(1.0 / (kept + (1.0 - kept) / by)));
    }
    model_.tensors.emplace_back("rope_freqs.weight", std::move(factors));
    set_number("rope.scaling.attn_factor", magnitude);
  }

  // A factor for each pair, one list up to the original context and one beyond (Ding et al. 2024).
  void longrope() {
    const double original = original_context(), by = stretch();
    const double computed = by <= 1.0 ? 1.0 : std::sqrt(1.0 + std::log(by) / std::log(original));
    set("rope.scaling.original_context_length", original_context());
    set_number("rope.scaling.attn_factor", fields_.number("attention_factor").value_or(computed));
    for (const auto& [field, name] : {std::pair("long_factor", "rope_factors_long.weight"),
                                      std::pair("short_factor", "rope_factors_short.weight")}) {
      const auto factors = fields_.required(fields_.numbers(field), field);
      if (factors.size() != n_rotated_ / 2)
        throw Error(Errc::corrupt_file, "{} has {} numbers, expected {}", field, factors.size(),
                    n_rotated_ / 2);
      model_.tensors.emplace_back(name, factors);
    }
  }

  // Llama 3.1: slow pairs are divided by the factor, fast ones kept, a smooth passage between, by wave
  // length.
  void llama3() {
    const double low = fields_.required(fields_.number("low_freq_factor"), name_of("low_freq_factor"));
    const double high = fields_.required(fields_.number("high_freq_factor"), name_of("high_freq_factor"));
    if (!(high > low))
      throw Error(Errc::corrupt_file, "high_freq_factor is {}, expected more than low_freq_factor {}", high,
                  low);
    std::vector<float> factors;
    for (uint32_t pair = 0; pair < n_rotated_ / 2; ++pair) {
      const double wave_length = 2.0 * std::numbers::pi * std::pow(base_, 2.0 * pair / n_rotated_);
      const double kept = std::clamp((original_context() / wave_length - low) / (high - low), 0.0, 1.0);
      factors.push_back(static_cast<float>(1.0 / (kept + (1.0 - kept) / factor())));
    }
    model_.tensors.emplace_back("rope_freqs.weight", std::move(factors));
  }

  const HfFields& config_;
  std::string prefix_;
  HfModel& model_;
  const Block block_;
  const HfFields fields_{block_.fields};
  double base_ = 0;
  uint32_t n_rotated_ = 0;
};

}  // namespace

void read_hf_rope(const HfFields& config, uint32_t head_dimension, bool has_windows,
                  const std::string& prefix, HfModel& model) {
  RopeReader reader(config, head_dimension, prefix, model);
  reader.read();
  if (has_windows) reader.read_local();
}

}  // namespace ruvllm::format
