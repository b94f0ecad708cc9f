// THE table of Hugging Face's model types. Defaults are those of the transformers library, version 5
// (src/transformers/models/*/configuration_*.py): a config.json that leaves a field out means them.
#include "format/hf_families.h"

#include <algorithm>
#include <array>

namespace ruvllm::format {
namespace {

// clang-format off
constexpr HfFamily kFamilies[] = {
    {.model_type = "llama", .architecture = "llama", .pairs_neighbours = true,
     .query_bias = "attention_bias", .ffn_bias = "mlp_bias",
     .defaults = R"({"vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008,
       "num_hidden_layers": 32, "num_attention_heads": 32, "hidden_act": "silu",
       "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "rope_theta": 1e4,
       "tie_word_embeddings": false})"},
    {.model_type = "mistral", .architecture = "llama", .pairs_neighbours = true,
     .windows = WindowedLayers::all,
     .defaults = R"({"vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 14336,
       "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_act": "silu",
       "max_position_embeddings": 131072, "rms_norm_eps": 1e-6, "rope_theta": 1e4, "sliding_window": 4096,
       "tie_word_embeddings": false})"},
    {.model_type = "mixtral", .architecture = "llama", .pairs_neighbours = true,
     .windows = WindowedLayers::all,
     .defaults = R"({"vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 14336,
       "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_act": "silu",
       "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_theta": 1e6,
       "num_local_experts": 8, "num_experts_per_tok": 2, "tie_word_embeddings": false})"},
    {.model_type = "granite", .architecture = "granite", .pairs_neighbours = true,
     .query_bias = "attention_bias", .ffn_bias = "mlp_bias",
     .defaults = R"({"vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008,
       "num_hidden_layers": 32, "num_attention_heads": 32, "hidden_act": "silu",
       "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "rope_theta": 1e4,
       "embedding_multiplier": 1.0, "attention_multiplier": 1.0, "residual_multiplier": 1.0,
       "logits_scaling": 1.0, "tie_word_embeddings": false})"},
    {.model_type = "qwen2", .architecture = "qwen2", .windows = WindowedLayers::late,
     .defaults = R"({"vocab_size": 151936, "hidden_size": 4096, "intermediate_size": 22016,
       "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "hidden_act": "silu",
       "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "rope_theta": 1e4,
       "use_sliding_window": false, "sliding_window": 4096, "max_window_layers": 28,
       "tie_word_embeddings": false})"},
    {.model_type = "qwen2_moe", .architecture = "qwen2moe", .windows = WindowedLayers::early_even,
     .query_bias = "qkv_bias",
     .defaults = R"({"vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 5632,
       "num_hidden_layers": 24, "num_attention_heads": 16, "num_key_value_heads": 16, "hidden_act": "silu",
       "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "rope_theta": 1e4,
       "use_sliding_window": false, "sliding_window": 4096, "max_window_layers": 28,
       "num_experts": 60, "num_experts_per_tok": 4, "moe_intermediate_size": 1408,
       "shared_expert_intermediate_size": 5632, "norm_topk_prob": false, "tie_word_embeddings": false})"},
    {.model_type = "qwen3", .architecture = "qwen3", .windows = WindowedLayers::late,
     .query_bias = "attention_bias",
     .defaults = R"({"vocab_size": 151936, "hidden_size": 4096, "intermediate_size": 22016,
       "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "head_dim": 128,
       "hidden_act": "silu", "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "rope_theta": 1e4,
       "use_sliding_window": false, "sliding_window": 4096, "max_window_layers": 28,
       "tie_word_embeddings": false})"},
    {.model_type = "qwen3_moe", .architecture = "qwen3moe", .windows = WindowedLayers::all_if_used,
     .query_bias = "attention_bias",
     .defaults = R"({"vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 6144,
       "num_hidden_layers": 24, "num_attention_heads": 32, "num_key_value_heads": 4, "hidden_act": "silu",
       "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "rope_theta": 1e4,
       "use_sliding_window": false, "sliding_window": 4096, "num_experts": 128, "num_experts_per_tok": 8,
       "moe_intermediate_size": 768, "norm_topk_prob": false, "tie_word_embeddings": false})"},
    {.model_type = "phi", .architecture = "phi2", .names = kPhi,
     .activation = "gelu_new|gelu_fast|gelu_pytorch_tanh",
     .defaults = R"({"vocab_size": 51200, "hidden_size": 2048, "intermediate_size": 8192,
       "num_hidden_layers": 24, "num_attention_heads": 32, "hidden_act": "gelu_new",
       "max_position_embeddings": 2048, "layer_norm_eps": 1e-5, "rope_theta": 1e4,
       "partial_rotary_factor": 0.5, "tie_word_embeddings": false})"},
    {.model_type = "phi3", .architecture = "phi3", .windows = WindowedLayers::all,
     .defaults = R"({"vocab_size": 32064, "hidden_size": 3072, "intermediate_size": 8192,
       "num_hidden_layers": 32, "num_attention_heads": 32, "hidden_act": "silu",
       "max_position_embeddings": 4096, "original_max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
       "rope_theta": 1e4, "tie_word_embeddings": false})"},
    {.model_type = "gemma", .architecture = "gemma", .activation = "gelu|gelu_pytorch_tanh",
     .norms_add_one = true,
     .query_bias = "attention_bias",
     .defaults = R"({"vocab_size": 256000, "hidden_size": 3072, "intermediate_size": 24576,
       "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 16, "head_dim": 256,
       "hidden_act": "gelu_pytorch_tanh", "max_position_embeddings": 8192, "rms_norm_eps": 1e-6,
       "rope_theta": 1e4, "tie_word_embeddings": true})"},
    {.model_type = "gemma2", .architecture = "gemma2", .names = kSandwich,
     .activation = "gelu|gelu_pytorch_tanh", .norms_add_one = true, .windows = WindowedLayers::even,
     .query_bias = "attention_bias",
     .defaults = R"({"vocab_size": 256000, "hidden_size": 2304, "intermediate_size": 9216,
       "num_hidden_layers": 26, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256,
       "hidden_activation": "gelu_pytorch_tanh", "max_position_embeddings": 8192, "rms_norm_eps": 1e-6,
       "rope_theta": 1e4, "query_pre_attn_scalar": 256, "sliding_window": 4096,
       "attn_logit_softcapping": 50.0, "final_logit_softcapping": 30.0, "tie_word_embeddings": true})"},
    {.model_type = "gemma3_text", .architecture = "gemma3", .names = kSandwich,
     .activation = "gelu|gelu_pytorch_tanh", .norms_add_one = true, .windows = WindowedLayers::pattern,
     .query_bias = "attention_bias",
     .defaults = R"({"vocab_size": 262208, "hidden_size": 2304, "intermediate_size": 9216,
       "num_hidden_layers": 26, "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256,
       "hidden_activation": "gelu_pytorch_tanh", "max_position_embeddings": 131072, "rms_norm_eps": 1e-6,
       "rope_theta": 1e6, "rope_local_base_freq": 1e4, "query_pre_attn_scalar": 256,
       "sliding_window": 4096, "sliding_window_pattern": 6, "tie_word_embeddings": true})"},
    {.model_type = "stablelm", .architecture = "stablelm",
     .query_bias = "use_qkv_bias",
     .defaults = R"({"vocab_size": 50304, "hidden_size": 2560, "intermediate_size": 6912,
       "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "hidden_act": "silu",
       "max_position_embeddings": 4096, "layer_norm_eps": 1e-5, "rope_theta": 1e4,
       "partial_rotary_factor": 0.25, "tie_word_embeddings": false})"},
    {.model_type = "olmo2", .architecture = "olmo2", .names = kPostNorm,
     .query_bias = "attention_bias",
     .defaults = R"({"vocab_size": 50304, "hidden_size": 4096, "intermediate_size": 11008,
       "num_hidden_layers": 32, "num_attention_heads": 32, "hidden_act": "silu",
       "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 1e4,
       "tie_word_embeddings": false})"},
    {.model_type = "bert", .architecture = "bert", .names = kBert, .activation = "gelu",
     .defaults = R"({"vocab_size": 30522, "hidden_size": 768, "intermediate_size": 3072,
       "num_hidden_layers": 12, "num_attention_heads": 12, "hidden_act": "gelu",
       "max_position_embeddings": 512, "type_vocab_size": 2, "layer_norm_eps": 1e-12,
       "tie_word_embeddings": true})"},
};
// clang-format on

}  // namespace

std::span<const HfFamily> hf_families() { return kFamilies; }

const HfFamily* find_hf_family(std::string_view model_type) {
  const auto* row = std::ranges::find(kFamilies, model_type, &HfFamily::model_type);
  return row == std::end(kFamilies) ? nullptr : row;
}

}  // namespace ruvllm::format
