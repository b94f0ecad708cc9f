#include "format/hf_windows.h"

#include "base/utf8.h"

#include <algorithm>
#include <vector>

namespace ruvllm::format {
namespace {

using Layers = std::vector<bool>;

bool has_any(const Layers& layers) { return std::ranges::count(layers, true) != 0; }

bool needs_flag(WindowedLayers rule) {
  return rule == WindowedLayers::all_if_used || rule == WindowedLayers::late ||
         rule == WindowedLayers::early_even;
}

// All but every `period`-th.
Layers all_but_every(uint32_t n_layers, uint32_t period) {
  Layers layers(n_layers);
  for (uint32_t i = 0; i < n_layers; ++i) layers[i] = (i + 1) % period != 0;
  return layers;
}

uint32_t stated_period(const HfFields& config) {
  // The same in the library: the second spelling is that of files it writes.
  for (const char* field : {"_sliding_window_pattern", "sliding_window_pattern"})
    if (const auto period = config.integer(field)) {
      if (*period == 0) throw Error(Errc::corrupt_file, "{} is 0, expected 1 or more", field);
      return *period;
    }
  return 6;
}

// What the family's class makes of its fields.
Layers layers_by_rule(const HfFields& config, WindowedLayers rule, uint32_t n_layers) {
  const uint32_t border = config.integer("max_window_layers").value_or(n_layers);
  Layers layers(n_layers);
  switch (rule) {
    case WindowedLayers::none:
      break;
    case WindowedLayers::all:
    case WindowedLayers::all_if_used:
      layers.assign(n_layers, true);
      break;
    case WindowedLayers::late:
      for (uint32_t i = border; i < n_layers; ++i) layers[i] = true;
      break;
    case WindowedLayers::early_even:
      for (uint32_t i = 0; i < std::min(border, n_layers); i += 2) layers[i] = true;
      break;
    case WindowedLayers::even:
      return all_but_every(n_layers, 2);
    case WindowedLayers::pattern:
      return all_but_every(n_layers, stated_period(config));
  }
  return layers;
}

// layer_types, or nothing.
std::optional<Layers> stated_layers(const HfFields& config, uint32_t n_layers) {
  const auto types = config.strings("layer_types");
  if (!types) return std::nullopt;
  if (types->size() != n_layers)
    throw Error(Errc::corrupt_file, "layer_types has {} layers, num_hidden_layers is {}", types->size(),
                n_layers);
  Layers layers;
  for (const std::string& type : *types) {
    if (type != "full_attention" && type != "sliding_attention")
      throw Error(Errc::corrupt_file,
                  "layer_types[{}] is \"{}\", expected full_attention or sliding_attention", layers.size(),
                  printable(type, 64));
    layers.push_back(type == "sliding_attention");
  }
  return layers;
}

// Fields that the family's class does not ask: what they say otherwise is refused.
void refuse_other_layers(const HfFields& config, const HfFamily& family, const Layers& layers) {
  const auto n_layers = static_cast<uint32_t>(layers.size());
  if (const auto stated = stated_layers(config, n_layers); stated && *stated != layers)
    throw Error(Errc::corrupt_file, "layer_types says other layers than a model of type {} has",
                family.model_type);
  for (const char* field : {"sliding_window_pattern", "_sliding_window_pattern"})
    if (const auto period = config.integer(field);
        period && (*period == 0 || all_but_every(n_layers, *period) != layers))
      throw Error(Errc::corrupt_file, "{} {} is not supported for {}", field, *period, family.model_type);
}

// What readers of GGUF assume where no pattern is stated.
Layers assumed_layers(WindowedLayers rule, uint32_t n_layers) {
  switch (rule) {
    case WindowedLayers::all:
      return Layers(n_layers, true);
    case WindowedLayers::even:
      return all_but_every(n_layers, 2);
    case WindowedLayers::pattern:
      return all_but_every(n_layers, 6);
    default:
      return Layers(n_layers, false);
  }
}

// A number where the pattern is all but every n-th, which is what older readers know; else a bool a layer.
void write_pattern(const Layers& layers, const std::string& key, Metadata& metadata) {
  const auto n_layers = static_cast<uint32_t>(layers.size());
  for (uint32_t period = 1; period <= n_layers; ++period)
    if (layers == all_but_every(n_layers, period)) {
      metadata.set(key, period);
      return;
    }
  std::vector<std::byte> bytes;
  for (const bool layer : layers) bytes.push_back(layer ? std::byte{1} : std::byte{0});
  metadata.set(key, metadata.keep_array(ValueType::boolean, bytes));
}

}  // namespace

bool read_hf_windows(const HfFields& config, const HfFamily& family, uint32_t n_layers,
                     const std::string& prefix, Metadata& metadata) {
  const bool is_used = config.boolean("use_sliding_window").value_or(!needs_flag(family.windows));
  if (family.windows == WindowedLayers::none) {
    if (config.boolean("use_sliding_window").value_or(false) && config.find("sliding_window"))
      throw Error(Errc::corrupt_file, "use_sliding_window is not supported for {}", family.model_type);
    refuse_other_layers(config, family, Layers(n_layers, false));
    return false;
  }
  const uint32_t window = is_used ? config.integer("sliding_window").value_or(0) : 0;
  Layers layers = layers_by_rule(config, family.windows, n_layers);
  const bool by_layer_types =
      family.windows != WindowedLayers::all && family.windows != WindowedLayers::all_if_used;
  const auto stated = by_layer_types ? stated_layers(config, n_layers) : std::nullopt;
  if (stated) layers = *stated;
  const bool asks_for_windows =
      stated || family.windows == WindowedLayers::even || family.windows == WindowedLayers::pattern;
  if (window == 0) {
    if (asks_for_windows && has_any(layers))
      throw Error(Errc::corrupt_file, "layers have windows, but sliding_window is {}",
                  is_used ? "missing" : "off (use_sliding_window is false)");
    layers.assign(n_layers, false);
  }
  if (!stated && family.windows != WindowedLayers::pattern) refuse_other_layers(config, family, layers);
  const bool is_assumed = layers == assumed_layers(family.windows, n_layers);
  if (window != 0 && (has_any(layers) || !is_assumed))
    metadata.set(prefix + "attention.sliding_window", window);
  if (!is_assumed && (window != 0 || by_layer_types))
    write_pattern(layers, prefix + "attention.sliding_window_pattern", metadata);
  return has_any(layers);
}

}  // namespace ruvllm::format
