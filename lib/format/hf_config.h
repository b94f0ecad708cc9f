// A Hugging Face config.json as GGUF metadata: the same keys, so that the model asks no second question. What
// GGUF keeps as a tensor (frequency factors of rotary embedding) comes as values.
//
// Meanings are those of the transformers library's configuration classes. Tested by
// tests/format/hf_config_test.cpp.
#pragma once

#include "base/json.h"
#include "format/metadata.h"
#include "format/tensor_names.h"

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ruvllm::format {

/// What a model_type of Hugging Face is here.
struct HfFamily {
  std::string_view model_type;
  std::string_view architecture;  ///< GGUF's
  NameFamily names = kPlain;
  std::string_view activation = "silu";  ///< what hidden_act may be, with | between
  bool pairs_neighbours =
      false;                   ///< rotation in GGUF pairs neighbouring rows: queries and keys are reordered
  bool norms_add_one = false;  ///< norm weights are stored less one
  bool has_windows = false;    ///< sliding_window holds
};
std::span<const HfFamily> hf_families();

/// Weights kept in eight bits of floating point with scales beside them (quantization_config): NAME.weight is
/// what it holds times NAME.weight_scale_inv or NAME.weight_scale, which has one number for the tensor, one
/// for each row, or one for each block.
struct HfScaling {
  bool has_scales = false;
  uint64_t block_rows = 0, block_columns = 0;  ///< 0: no blocks
};

struct HfModel {
  const HfFamily* family = nullptr;
  Metadata metadata;
  uint64_t n_heads = 0;
  uint64_t n_kv_heads = 0;
  HfScaling scaling;
  bool sees_pictures = false;  ///< tensors of the language model are named under language_model, among others
  bool has_tied_output = false;  ///< an lm_head tensor, if there is one, is not used
  /// Small F32 tensors that the configuration holds, by GGUF name.
  std::vector<std::pair<std::string, std::vector<float>>> tensors;
};

/// Reads a configuration. Throws Errc::corrupt_file naming the field; an unknown model_type lists the known
/// ones.
HfModel read_hf_config(const Json& config);

}  // namespace ruvllm::format
