// THE table of architectures. A row says only what differs from a plain Llama with rotation by halves.
#include "model/arch.h"

#include "base/error.h"
#include "base/utf8.h"

#include <algorithm>
#include <array>

namespace ruvllm::model {
namespace {

using tensor::Activation;

constexpr ArchSpec kArchitectures[] = {
    // Llama 1 to 3, Mistral, Mixtral, SmolLM, TinyLlama: rotation by neighbours in GGUF files.
    {.name = "llama", .positions = Positions::rotary_adjacent, .window_period = 1},
    // Granite 3: Llama with four multipliers (embedding, attention, residual, logits), which are keys.
    {.name = "granite", .positions = Positions::rotary_adjacent},
    {.name = "granitemoe", .positions = Positions::rotary_adjacent},
    {.name = "qwen2", .qkv_bias = Bias::required},
    {.name = "qwen2moe", .qkv_bias = Bias::required, .renormalise_experts = false},
    {.name = "qwen3", .qk_norm = QkNorm::head},
    {.name = "qwen3moe", .qk_norm = QkNorm::head},
    {.name = "gemma", .activation = Activation::gelu_tanh, .embedding_times_sqrt_width = true},
    // Files of the first days have no keys of caps and windows.
    {.name = "gemma2",
     .norm_place = NormPlace::before_and_after,
     .activation = Activation::gelu_tanh,
     .embedding_times_sqrt_width = true,
     .window_period = 2,
     .window = 4096,
     .attention_soft_cap = 50.0f,
     .final_soft_cap = 30.0f,
     .wide_query_layers = 46},
    {.name = "gemma3",
     .norm_place = NormPlace::before_and_after,
     .qk_norm = QkNorm::head,
     .activation = Activation::gelu_tanh,
     .embedding_times_sqrt_width = true,
     .window_period = 6,
     .local_rope_base = 10000.0f,
     .wide_query_layers = 62},
    // Phi 1, 1.5 and 2.
    {.name = "phi2",
     .norm = NormKind::layer,
     .residual = Residual::parallel,
     .qkv_bias = Bias::required,
     .other_bias = Bias::required,
     .head_bias = Bias::required,
     .activation = Activation::gelu_tanh,
     .gated = false},
    // Phi 3, 3.5 and 4.
    {.name = "phi3", .window_period = 1},
    {.name = "stablelm",
     .norm = NormKind::layer,
     .residual = Residual::parallel_if_one_norm,
     .qk_norm = QkNorm::head_optional},
    // OLMo 2, and OLMo 3, which has windows.
    {.name = "olmo2",
     .norm_place = NormPlace::after,
     .qk_norm = QkNorm::row,
     .window_period = 4,
     .unscaled_windows = true},
    {.name = "bloom",
     .norm = NormKind::layer,
     .positions = Positions::alibi,
     .qkv_bias = Bias::required,
     .other_bias = Bias::required,
     .activation = Activation::gelu_tanh,
     .gated = false},
    // BERT and its kin (bge, e5, MiniLM): encoders for embeddings.
    {.name = "bert",
     .norm = NormKind::layer,
     .norm_place = NormPlace::after_sum,
     .positions = Positions::learned,
     .qkv_bias = Bias::required,
     .other_bias = Bias::required,
     .activation = Activation::gelu_erf,
     .gated = false,
     .causal = false,
     .has_head = false},
};

}  // namespace

std::span<const ArchSpec> architectures() { return kArchitectures; }

const ArchSpec& find_architecture(std::string_view name) {
  const auto* row = std::find_if(std::begin(kArchitectures), std::end(kArchitectures),
                                 [&](const ArchSpec& spec) { return spec.name == name; });
  if (row != std::end(kArchitectures)) return *row;
  std::string known;
  for (const ArchSpec& spec : kArchitectures) known.append(known.empty() ? "" : ", ").append(spec.name);
  throw Error(Errc::corrupt_file, "architecture \"{}\" is unknown; known are {}", printable(name, 64), known);
}

}  // namespace ruvllm::model
