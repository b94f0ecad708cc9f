// A small random model in Hugging Face layout, whole: weights, a byte-level tokenizer that is smaller than
// the embedding, chat templates, settings for generation.
#pragma once

#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "format/safetensors_image.h"
#include "text/byte_alphabet.h"

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

namespace ruvllm::test {

inline constexpr uint64_t kSmallWidth = 64, kSmallInner = 96, kSmallRows = 288;

inline void write_small_weights(const std::filesystem::path& folder) {
  Random random(1);
  SafetensorsBuilder weights;
  const auto add = [&](const std::string& name, const std::vector<uint64_t>& shape) {
    std::vector<float> values(shape.size() == 2 ? shape[0] * shape[1] : shape[0]);
    for (float& value : values)
      value =
          (static_cast<float>(random.below(2001)) - 1000.0f) / 8000.0f + (shape.size() == 1 ? 1.0f : 0.0f);
    weights.add(name + ".weight", "F32", shape, values);
  };
  add("model.embed_tokens", {kSmallRows, kSmallWidth});
  add("lm_head", {kSmallRows, kSmallWidth});
  add("model.norm", {kSmallWidth});
  const std::string layer = "model.layers.0.";
  for (const char* norm : {"input_layernorm", "post_attention_layernorm"}) add(layer + norm, {kSmallWidth});
  for (const char* name : {"q", "k", "v", "o"})
    add(layer + "self_attn." + name + "_proj", {kSmallWidth, kSmallWidth});
  for (const char* name : {"gate", "up"}) add(layer + "mlp." + name + "_proj", {kSmallInner, kSmallWidth});
  add(layer + "mlp.down_proj", {kSmallWidth, kSmallInner});
  write_file_atomically(folder / "model.safetensors", weights.file());
}

inline void write_small_tokenizer(const std::filesystem::path& folder) {
  Json vocab = Json::object(), merges = Json::array({"t h", "th e", "\xC4\xA0 the"});
  for (int byte = 0; byte < 256; ++byte)
    vocab[text::to_byte_alphabet(std::string(1, static_cast<char>(byte)))] = byte;
  for (const char* token : {"th", "the", "\xC4\xA0the"}) vocab[token] = vocab.size();
  const Json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};
  const Json added = Json::array({{{"id", 259}, {"content", "<|im_start|>"}, {"special", true}},
                                  {{"id", 260}, {"content", "<|im_end|>"}, {"special", true}}});
  const Json tokenizer = {{"added_tokens", added},
                          {"pre_tokenizer", bytes},
                          {"decoder", bytes},
                          {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}}}};
  write_file_atomically(folder / "tokenizer.json", tokenizer.dump());
  write_file_atomically(folder / "tokenizer_config.json", R"({"eos_token": "<|im_end|>"})");
  write_file_atomically(folder / "generation_config.json",
                        R"({"eos_token_id": 260, "temperature": 0.5, "top_k": 20})");
}

/// Writes all of it into an empty folder.
inline void write_small_folder(const std::filesystem::path& folder) {
  const Json config = {
      {"model_type", "llama"},          {"hidden_size", kSmallWidth},  {"intermediate_size", kSmallInner},
      {"num_hidden_layers", 1},         {"num_attention_heads", 4},    {"num_key_value_heads", 4},
      {"max_position_embeddings", 128}, {"rms_norm_eps", 1e-5},        {"rope_theta", 10000.0},
      {"vocab_size", kSmallRows},       {"tie_word_embeddings", false}};
  std::filesystem::create_directories(folder / "additional_chat_templates");
  write_file_atomically(folder / "config.json", config.dump());
  write_small_weights(folder);
  write_small_tokenizer(folder);
  write_file_atomically(
      folder / "chat_template.jinja",
      "{% for m in messages %}<|im_start|>{{ m.role }}: {{ m.content }}<|im_end|>{% endfor %}"
      "<|im_start|>me: ");
  write_file_atomically(folder / "additional_chat_templates" / "rag.jinja", "{{ documents }}");
}

}  // namespace ruvllm::test
