// A Hugging Face config.json as GGUF metadata: the same keys, so that the model asks no second question. What
// GGUF keeps as a tensor (frequency factors of rotary embedding) comes as values.
//
// Meanings are those of the transformers library's configuration classes, also of fields that are left out
// (hf_families.cpp). What would change the answer and is not obeyed is refused by name: fields whose names
// speak of rotation, attention or windows are a closed list. Tested by tests/format/hf_config_test.cpp.
#pragma once

#include "base/json.h"
#include "format/hf_families.h"
#include "format/metadata.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ruvllm::format {

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

/// What tensors say of the model's shape; 0 where there is no such tensor.
struct HfShapes {
  uint64_t query_rows = 0;      ///< of the first layer's q_proj
  uint64_t head_norm = 0;       ///< values of the first layer's q_norm
  bool has_query_bias = false;  ///< biases of the first layer, of queries ...
  bool has_ffn_bias = false;    ///< ... and of the feed-forward
};

/// Reads a configuration. Throws Errc::corrupt_file naming the field; an unknown model_type lists the known
/// ones. `shapes`, where they are given, say a head's size before the class's default does, and must have
/// the biases that the configuration tells of.
HfModel read_hf_config(const Json& config, const std::optional<HfShapes>& shapes = {});

}  // namespace ruvllm::format
