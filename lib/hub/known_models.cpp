#include "hub/known_models.h"

#include <algorithm>
#include <array>

namespace ruvllm::hub {
namespace {

// K and V of one token in f16.
constexpr uint64_t kv_bytes(uint64_t n_layers, uint64_t n_kv_heads, uint64_t head_size) {
  return n_layers * n_kv_heads * head_size * 2 * 2;
}

constexpr uint64_t kMB = 1'000'000;

constexpr std::array<KnownModel, 7> kModels = {{
    {"qwen", "Qwen/Qwen2.5-1.5B-Instruct-GGUF:Q4_K_M", "Qwen2.5 1.5B Instruct", 1'117 * kMB,
     kv_bytes(28, 2, 128)},
    {"qwen-small", "Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q4_K_M", "Qwen2.5 0.5B Instruct", 491 * kMB,
     kv_bytes(24, 2, 64)},
    {"mistral", "bartowski/Mistral-7B-Instruct-v0.3-GGUF:Q4_K_M", "Mistral 7B Instruct v0.3", 4'373 * kMB,
     kv_bytes(32, 8, 128)},
    {"phi", "bartowski/Phi-3.5-mini-instruct-GGUF:Q4_K_M", "Phi 3.5 mini Instruct", 2'393 * kMB,
     kv_bytes(32, 32, 96)},
    {"llama", "bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M", "Llama 3.2 3B Instruct", 2'019 * kMB,
     kv_bytes(28, 8, 128)},
    {"ruvltra-small", "ruv/ruvltra/ruvltra-small-0.5b-q4_k_m.gguf", "RuvLTRA Small 0.5B", 398 * kMB,
     kv_bytes(24, 2, 64)},
    {"ruvltra-medium", "ruv/ruvltra/ruvltra-medium-1.1b-q4_k_m.gguf", "RuvLTRA Medium 1.1B", 669 * kMB,
     kv_bytes(22, 4, 64)},
}};

}  // namespace

std::span<const KnownModel> known_models() { return kModels; }

const KnownModel* find_known_model(std::string_view alias) {
  const auto found = std::find_if(kModels.begin(), kModels.end(),
                                  [&](const KnownModel& model) { return model.alias == alias; });
  return found == kModels.end() ? nullptr : &*found;
}

}  // namespace ruvllm::hub
