// What a model_type of Hugging Face is here: one row a type, with the values that its configuration class
// gives to fields that config.json leaves out. Tested by tests/format/hf_config_test.cpp.
#pragma once

#include "format/tensor_names.h"

#include <span>
#include <string_view>

namespace ruvllm::format {

/// Which layers of a family see a window, where config.json has no layer_types.
enum class WindowedLayers {
  none,         ///< the family has no windows
  all,          ///< all, where sliding_window is set
  all_if_used,  ///< the same, where use_sliding_window says so
  late,         ///< from max_window_layers on, where use_sliding_window says so
  early_even,   ///< every other one before max_window_layers, where use_sliding_window says so
  even,         ///< every other one, from the first on
  pattern,      ///< all but every sliding_window_pattern-th
};

/// What a model_type of Hugging Face is here.
struct HfFamily {
  std::string_view model_type;
  std::string_view architecture;  ///< GGUF's
  NameFamily names = kPlain;
  std::string_view activation = "silu";  ///< what hidden_act may be, with | between
  bool pairs_neighbours =
      false;                   ///< rotation in GGUF pairs neighbouring rows: queries and keys are reordered
  bool norms_add_one = false;  ///< norm weights are stored less one
  WindowedLayers windows = WindowedLayers::none;
  std::string_view query_bias = {};  ///< the field that tells whether queries, keys and values have biases
  std::string_view ffn_bias = {};    ///< the same for the feed-forward
  /// JSON: the fields' values where config.json does not say them, those of the library's configuration
  /// class. What the class calls None is left out.
  std::string_view defaults = "{}";
};
std::span<const HfFamily> hf_families();

/// By model_type; nullptr where it is unknown.
const HfFamily* find_hf_family(std::string_view model_type);

}  // namespace ruvllm::format
