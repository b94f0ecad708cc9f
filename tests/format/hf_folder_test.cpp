#include "format/hf_folder.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "safetensors_image.h"
#include "tensor/ops.h"
#include "test_support.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

using namespace ruvllm;
using test::SafetensorsBuilder;

namespace {

Json tiny_config(const std::string& model_type) {
  return {{"model_type", model_type},     {"hidden_size", 8},         {"num_hidden_layers", 1},
          {"num_attention_heads", 2},     {"num_key_value_heads", 1}, {"intermediate_size", 4},
          {"max_position_embeddings", 32}};
}

void write_folder(const test::TemporaryFolder& folder, const Json& config,
                  const SafetensorsBuilder& weights) {
  write_file_atomically(folder / "config.json", config.dump());
  write_file_atomically(folder / "model.safetensors", weights.file());
}

std::shared_ptr<const format::ModelFile> open(const Json& config, const SafetensorsBuilder& weights) {
  const test::TemporaryFolder folder;
  write_folder(folder, config, weights);
  return format::open_model_file(folder.path());
}

std::string refusal(const std::filesystem::path& folder, Errc code = Errc::corrupt_file) {
  try {
    format::open_model_file(folder);
  } catch (const Error& error) {
    CHECK(error.code() == code);
    return error.what();
  }
  FAIL("accepted");
  return "";
}

std::string refusal(const Json& config, const SafetensorsBuilder& weights) {
  const test::TemporaryFolder folder;
  write_folder(folder, config, weights);
  return refusal(folder.path());
}

std::vector<float> counting(size_t n, float first = 0) {
  std::vector<float> values(n);
  std::iota(values.begin(), values.end(), first);
  return values;
}

std::vector<float> floats_of(const format::ModelFile& model, std::string_view name) {
  const format::Tensor* tensor = model.find(name);
  REQUIRE(tensor);
  REQUIRE(tensor->format == tensor::Format::F32);
  std::vector<float> values(tensor->n_values());
  std::memcpy(values.data(), tensor->bytes.data(), tensor->bytes.size());
  return values;
}

}  // namespace

TEST_CASE("stories260K as a Hugging Face folder has the tensors of the GGUF file, to the bit") {
  const auto folder = test::test_data("stories260K/hf");
  const auto file = test::test_data("stories260K/stories260K.gguf");
  if (!folder || !file) return;
  const auto hf = format::open_model_file(*folder);
  const auto gguf = format::open_model_file(*file);
  CHECK(hf->kind == "safetensors");
  CHECK(hf->folder == *folder);
  REQUIRE(hf->tensors.size() == gguf->tensors.size());
  for (const format::Tensor& expected : gguf->tensors) {
    CAPTURE(expected.name);
    const format::Tensor* found = hf->find(expected.name);
    REQUIRE(found);
    CHECK(found->format == expected.format);
    CHECK(found->dimensions == expected.dimensions);
    CHECK(std::ranges::equal(found->bytes, expected.bytes));
  }
  for (const auto& [key, value] : gguf->metadata.entries()) {
    if (!key.starts_with("llama.") && key != "general.architecture")
      continue;  // tokenizers are read elsewhere
    CAPTURE(key);
    REQUIRE(hf->metadata.find(key));
    CHECK(*hf->metadata.find(key) == value);
  }
}

TEST_CASE("queries and keys are reordered so that pairs are neighbours, for the Llama family only") {
  const std::string q = "model.layers.0.self_attn.q_proj.", k = "model.layers.0.self_attn.k_proj.";
  SafetensorsBuilder weights;
  weights.add(q + "weight", "F32", {8, 2}, counting(16)).add(k + "weight", "F32", {4, 2}, counting(8));
  weights.add(q + "bias", "F32", {8}, counting(8))
      .add("model.layers.0.self_attn.v_proj.weight", "F32", {4, 2}, counting(8));
  for (const char* model_type : {"llama", "mistral", "mixtral", "granite"}) {
    const auto model = open(tiny_config(model_type), weights);
    CHECK(floats_of(*model, "blk.0.attn_q.weight") ==
          std::vector<float>{0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15});
    CHECK(floats_of(*model, "blk.0.attn_k.weight") == std::vector<float>{0, 1, 4, 5, 2, 3, 6, 7});
    CHECK(floats_of(*model, "blk.0.attn_q.bias") == std::vector<float>{0, 2, 1, 3, 4, 6, 5, 7});
    CHECK(floats_of(*model, "blk.0.attn_v.weight") == counting(8));
  }
  const auto model = open(tiny_config("qwen2"), weights);
  CHECK(floats_of(*model, "blk.0.attn_q.weight") == counting(16));
  CHECK(floats_of(*model, "blk.0.attn_q.bias") == counting(8));
}

TEST_CASE("rows that don't divide into heads are refused") {
  SafetensorsBuilder weights;
  weights.add("model.layers.0.self_attn.q_proj.weight", "F32", {6, 1}, counting(6));
  CHECK(refusal(tiny_config("llama"), weights).find("heads of even size") != std::string::npos);
}

TEST_CASE("experts and heads are stacked in the order of their numbers") {
  SafetensorsBuilder weights;
  for (int i = 11; i >= 0; --i)  // 10 and 11 sort before 2 as text
    weights.add(fmt::format("model.layers.0.mlp.experts.{}.up_proj.weight", i), "F32", {2, 3},
                counting(6, static_cast<float>(6 * i)));
  const auto model = open(tiny_config("qwen2_moe"), weights);
  CHECK(model->find("blk.0.ffn_up_exps.weight")->dimensions == std::vector<uint64_t>{3, 2, 12});
  CHECK(floats_of(*model, "blk.0.ffn_up_exps.weight") == counting(72));

  SafetensorsBuilder norms;
  for (int i : {1, 0})
    norms.add(fmt::format("model.layers.0.self_attn.q_layernorm.norms.{}.weight", i), "F32", {4},
              counting(4, static_cast<float>(4 * i)));
  CHECK(floats_of(*open(tiny_config("stablelm"), norms), "blk.0.attn_q_norm.weight") == counting(8));

  SafetensorsBuilder gap;
  for (int i : {0, 2})
    gap.add(fmt::format("model.layers.0.mlp.experts.{}.up_proj.weight", i), "F32", {1}, counting(1));
  CHECK(refusal(tiny_config("qwen2_moe"), gap).find("member 1 of blk.0.ffn_up_exps.weight is missing") !=
        std::string::npos);
  SafetensorsBuilder uneven;
  uneven.add("model.layers.0.mlp.experts.0.up_proj.weight", "F32", {1, 2}, counting(2));
  uneven.add("model.layers.0.mlp.experts.1.up_proj.weight", "F32", {2, 2}, counting(4));
  CHECK(refusal(tiny_config("qwen2_moe"), uneven).find("differ in type or shape") != std::string::npos);
}

TEST_CASE("vectors become F32, and Gemma's norms gain the one that they are stored without") {
  const std::vector<uint16_t> bf16 = {0x3F80, 0xC000, 0x3F00};  // 1, -2, 0.5
  SafetensorsBuilder weights;
  weights.add("model.norm.weight", "BF16", {3}, bf16);
  weights.add("model.layers.0.self_attn.q_proj.bias", "BF16", {2}, std::vector<uint16_t>{0x3F80, 0xC000});
  weights.add("model.embed_tokens.weight", "BF16", {1, 3}, bf16);
  weights.add("model.layers.0.mlp.up_proj.weight", "BF16", {2, 3}, std::vector<uint16_t>(6));
  const auto qwen = open(tiny_config("qwen2"), weights);
  CHECK(floats_of(*qwen, "output_norm.weight") == std::vector<float>{1, -2, 0.5});
  CHECK(qwen->find("blk.0.ffn_up.weight")->format == tensor::Format::BF16);
  const auto gemma = open(tiny_config("gemma"), weights);
  CHECK(floats_of(*gemma, "output_norm.weight") == std::vector<float>{2, -1, 1.5});
  CHECK(floats_of(*gemma, "blk.0.attn_q.bias") == std::vector<float>{1, -2});
}

TEST_CASE("every F8 value is the same value in F16") {
  std::vector<uint8_t> all(256);
  std::iota(all.begin(), all.end(), uint8_t{0});
  SafetensorsBuilder weights;
  weights.add("model.layers.0.mlp.up_proj.weight", "F8_E4M3", {2, 128}, all);
  weights.add("model.layers.0.mlp.gate_proj.weight", "F8_E5M2", {2, 128}, all);
  // As vectors they become F32, through the decoder of F16.
  weights.add("model.layers.0.mlp.up_proj.bias", "F8_E4M3", {256}, all);
  weights.add("model.layers.0.mlp.gate_proj.bias", "F8_E5M2", {256}, all);
  const auto model = open(tiny_config("llama"), weights);
  CHECK(model->find("blk.0.ffn_up.weight")->format == tensor::Format::F16);
  CHECK(model->find("blk.0.ffn_up.weight")->bytes.size() == 512);
  const auto e4m3 = floats_of(*model, "blk.0.ffn_up.bias");
  const auto e5m2 = floats_of(*model, "blk.0.ffn_gate.bias");
  const auto value = [](uint8_t bits, int n_mantissa, int bias) {
    const int mantissa = bits & ((1 << n_mantissa) - 1), exponent = (bits & 0x7F) >> n_mantissa;
    const double fraction = std::ldexp(mantissa, -n_mantissa) + (exponent == 0 ? 0 : 1);
    return (bits & 0x80 ? -1 : 1) * std::ldexp(fraction, std::max(exponent, 1) - bias);
  };
  for (size_t i = 0; i < 256; ++i) {
    CAPTURE(i);
    if ((i & 0x7F) == 0x7F)
      CHECK(std::isnan(e4m3[i]));
    else
      CHECK(e4m3[i] == value(all[i], 3, 7));
    if ((i & 0x7C) != 0x7C)
      CHECK(e5m2[i] == value(all[i], 2, 15));
    else
      CHECK((i & 3 ? std::isnan(e5m2[i]) : std::isinf(e5m2[i])));
  }
}

TEST_CASE("F8 weights are multiplied by the scales beside them: one, one a row, or one a block") {
  const std::vector<uint8_t> codes = {0x38, 0x40, 0xB8, 0x3C, 0x38, 0x38, 0x48, 0x00};  // 1 2 -1 1.5, 1 1 4 0
  const auto values = [&](const Json& quantisation, const std::string& name,
                          const std::vector<uint64_t>& shape, const std::vector<float>& scales) {
    Json config = tiny_config("qwen2");
    config["quantization_config"] = quantisation;
    SafetensorsBuilder weights;
    weights.add("model.layers.0.mlp.up_proj.weight", "F8_E4M3", {2, 4}, codes);
    weights.add("model.layers.0.mlp.up_proj." + name, "F32", shape, scales);
    weights.add("model.layers.0.mlp.up_proj.input_scale", "F32", {1}, counting(1));
    const auto model = open(config, weights);
    CHECK(model->tensors.size() == 1);
    const format::Tensor* tensor = model->find("blk.0.ffn_up.weight");
    REQUIRE(tensor);
    REQUIRE(tensor->format == tensor::Format::BF16);
    std::vector<float> floats(tensor->n_values());
    tensor::decode_values(tensor->format, tensor->bytes, floats);
    return floats;
  };
  using Floats = std::vector<float>;
  const Json fp8 = {{"quant_method", "fp8"}};
  CHECK(values(fp8, "weight_scale", {}, {0.5f}) == Floats{0.5f, 1, -0.5f, 0.75f, 0.5f, 0.5f, 2, 0});
  CHECK(values(fp8, "weight_scale", {2, 1}, {2, 3}) == Floats{2, 4, -2, 3, 3, 3, 12, 0});
  const Json blocks = {{"quant_method", "fp8"}, {"weight_block_size", {1, 3}}};
  CHECK(values(blocks, "weight_scale_inv", {2, 2}, {2, 3, 5, 7}) == Floats{2, 4, -2, 4.5f, 5, 5, 20, 0});
  const Json compressed = {
      {"quant_method", "compressed-tensors"},
      {"config_groups",
       {{"group_0", {{"weights", {{"num_bits", 8}, {"type", "float"}, {"strategy", "channel"}}}}}}}};
  CHECK(values(compressed, "weight_scale", {2, 1}, {2, 3}) == Floats{2, 4, -2, 3, 3, 3, 12, 0});
}

TEST_CASE("scales may lie in another shard; missing ones, and as many as fit nothing, are refused") {
  Json config = tiny_config("qwen2");
  config["quantization_config"] = {{"quant_method", "fp8"}, {"weight_block_size", {128, 128}}};
  const std::string name = "model.layers.0.mlp.up_proj.weight";
  const std::vector<uint8_t> codes(130 * 2, 0x38);
  SafetensorsBuilder weights, scales;
  weights.add(name, "F8_E4M3", {130, 2}, codes);
  CHECK(refusal(config, weights).find("scale of its values is missing") != std::string::npos);
  scales.add(name + "_scale_inv", "BF16", {2, 1}, std::vector<uint16_t>{0x3F80, 0x4000});  // 1, 2
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "config.json", config.dump());
  write_file_atomically(folder / "a.safetensors", weights.file());
  write_file_atomically(folder / "b.safetensors", scales.file());
  write_file_atomically(
      folder / "model.safetensors.index.json",
      Json{{"weight_map", {{name, "a.safetensors"}, {name + "_scale_inv", "b.safetensors"}}}}.dump());
  const auto model = format::open_model_file(folder.path());
  std::vector<float> floats(260);
  tensor::decode_values(tensor::Format::BF16, model->find("blk.0.ffn_up.weight")->bytes, floats);
  CHECK(floats[255] == 1);
  CHECK(floats[256] == 2);
  weights.add(name + "_scale_inv", "F32", {3, 1}, counting(3));
  CHECK(refusal(config, weights).find("3 scales, expected 2 x 1") != std::string::npos);
  config["quantization_config"] = {
      {"quant_method", "compressed-tensors"},
      {"config_groups", {{"group_0", {{"weights", {{"num_bits", 4}, {"type", "int"}}}}}}}};
  CHECK(refusal(config, weights).find("quantised") != std::string::npos);
}

TEST_CASE("of a Gemma 3 that sees pictures, the language model is read") {
  const Json config = {{"model_type", "gemma3"},
                       {"vision_config", {{"hidden_size", 4}}},
                       {"text_config",
                        {{"hidden_size", 8},
                         {"num_hidden_layers", 1},
                         {"intermediate_size", 4},
                         {"sliding_window", 512},
                         {"rope_scaling", {{"factor", 8.0}, {"rope_type", "linear"}}}}}};
  for (const std::string prefix : {"language_model.model.", "model.language_model."}) {
    SafetensorsBuilder weights;
    weights.add(prefix + "norm.weight", "F32", {8}, counting(8));
    weights.add(prefix + "layers.0.mlp.up_proj.weight", "F32", {4, 8}, counting(32));
    weights.add("vision_tower.vision_model.embeddings.weight", "F32", {8}, counting(8));
    weights.add("model.multi_modal_projector.weight", "F32", {8}, counting(8));
    const auto model = open(config, weights);
    CHECK(model->tensors.size() == 2);
    CHECK(floats_of(*model, "output_norm.weight") == counting(8, 1));
    CHECK(model->find("blk.0.ffn_up.weight"));
    CHECK(model->metadata.string("general.architecture") == "gemma3");
    CHECK(model->metadata.integer("gemma3.attention.head_count") == 8);
    CHECK(model->metadata.integer("gemma3.attention.key_length") == 256);
    CHECK(model->metadata.integer("gemma3.attention.sliding_window") == 512);
    CHECK(model->metadata.number("gemma3.rope.freq_base") == 1e6);
    CHECK(model->metadata.number("gemma3.rope.scaling.factor") == 8);
  }
}

TEST_CASE("what generation_config.json recommends becomes GGUF's keys") {
  const test::TemporaryFolder folder;
  SafetensorsBuilder weights;
  weights.add("model.norm.weight", "F32", {8}, counting(8));
  write_folder(folder, tiny_config("qwen2"), weights);
  CHECK_FALSE(format::open_model_file(folder.path())->metadata.find("general.sampling.temp"));
  write_file_atomically(folder / "generation_config.json",
                        R"({"temperature": 0.6, "top_k": 20, "top_p": 0.95, "repetition_penalty": 1.05})");
  const auto number = [](const format::ModelFile& model, const char* key) {
    return static_cast<float>(model.metadata.number(std::string("general.sampling.") + key).value_or(-1));
  };
  const auto model = format::open_model_file(folder.path());
  CHECK(number(*model, "temp") == 0.6f);
  CHECK(number(*model, "top_k") == 20);
  CHECK(number(*model, "top_p") == 0.95f);
  CHECK(number(*model, "penalty_repeat") == 1.05f);
  write_file_atomically(folder / "generation_config.json", R"({"do_sample": false, "temperature": 0.6})");
  CHECK(number(*format::open_model_file(folder.path()), "temp") == 0);
}

TEST_CASE("data that lies at an odd address is moved to an even one") {
  SafetensorsBuilder weights;
  weights.add("model.layers.0.mlp.up_proj.weight", "F8_E5M2", {1, 1}, std::vector<uint8_t>{0x3C});
  weights.add("model.layers.0.mlp.gate_proj.weight", "F32", {2, 2}, counting(4));
  const auto model = open(tiny_config("llama"), weights);
  const format::Tensor* tensor = model->find("blk.0.ffn_gate.weight");
  CHECK(reinterpret_cast<uintptr_t>(tensor->bytes.data()) % alignof(float) == 0);
  CHECK(floats_of(*model, "blk.0.ffn_gate.weight") == counting(4));
}

TEST_CASE("tied heads and training's leftovers are left out, unknown tensors are told") {
  SafetensorsBuilder weights;
  weights.add("lm_head.weight", "F32", {2, 2}, counting(4));
  weights.add("model.layers.0.self_attn.rotary_emb.inv_freq", "F32", {2}, counting(2));
  Json config = tiny_config("llama");
  CHECK(open(config, weights)->tensors.size() == 1);
  config["tie_word_embeddings"] = true;
  CHECK(open(config, weights)->tensors.empty());
  weights.add("model.layers.0.mystery.weight", "F32", {2}, counting(2));
  CHECK(refusal(config, weights)
            .find("tensor model.layers.0.mystery.weight: it has no place in a model of type llama") !=
        std::string::npos);
  SafetensorsBuilder integers;
  integers.add("model.norm.weight", "I32", {1}, std::vector<int32_t>{1});
  CHECK(refusal(config, integers).find("type I32 is not supported") != std::string::npos);
  SafetensorsBuilder bert;
  bert.add("bert.embeddings.LayerNorm.gamma", "F32", {2}, counting(2))
      .add("bert.pooler.dense.bias", "F32", {2}, counting(2));
  CHECK(floats_of(*open(tiny_config("bert"), bert), "token_embd_norm.weight") == counting(2));
}

TEST_CASE("a sharded model is read through its index, which names files of its folder only") {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "config.json", tiny_config("llama").dump());
  const auto write_shard = [&](const std::string& name, const std::string& tensor) {
    write_file_atomically(folder / name, SafetensorsBuilder().add(tensor, "F32", {1}, counting(1)).file());
  };
  write_shard("model-00001-of-00002.safetensors", "model.norm.weight");
  write_shard("model-00002-of-00002.safetensors", "model.layers.0.input_layernorm.weight");
  const auto write_index = [&](const Json& map) {
    write_file_atomically(folder / "model.safetensors.index.json", Json{{"weight_map", map}}.dump());
  };
  write_index({{"model.norm.weight", "model-00001-of-00002.safetensors"},
               {"model.layers.0.input_layernorm.weight", "model-00002-of-00002.safetensors"}});
  const auto model = format::open_model_file(folder.path());
  CHECK(model->files.size() == 2);
  CHECK(model->tensors.size() == 2);
  CHECK(model->find("blk.0.attn_norm.weight")->file_index == 1);

  for (const char* name :
       {"../model-00001-of-00002.safetensors", "/etc/passwd", "..", "", "sub/x.safetensors", "x.bin"}) {
    CAPTURE(name);
    write_index({{"model.norm.weight", name}});
    CHECK(refusal(folder.path()).find("no plain name") != std::string::npos);
  }
  write_index({{"model.norm.weight", 7}});
  refusal(folder.path());
  write_index(Json::object());
  refusal(folder.path());
  write_index({{"model.norm.weight", "absent.safetensors"}});
  CHECK(refusal(folder.path(), Errc::not_found).find("absent.safetensors") != std::string::npos);
  std::filesystem::remove(folder / "model.safetensors.index.json");
  CHECK(refusal(folder.path(), Errc::not_found).find("neither model.safetensors nor") != std::string::npos);
  std::filesystem::remove(folder / "config.json");
  CHECK(refusal(folder.path(), Errc::not_found).find("config.json") != std::string::npos);
}

TEST_CASE("pooling is read where the folder says it") {
  const test::TemporaryFolder folder;
  write_folder(folder, tiny_config("bert"), SafetensorsBuilder());
  CHECK(format::open_model_file(folder.path())->metadata.find("bert.pooling_type") == nullptr);
  std::filesystem::create_directory(folder / "1_Pooling");
  write_file_atomically(folder / "1_Pooling/config.json",
                        R"({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false})");
  CHECK(format::open_model_file(folder.path())->metadata.integer("bert.pooling_type") == 2);
}

TEST_CASE("a safetensors file alone is no model") {
  const test::TemporaryFolder folder;
  write_folder(folder, tiny_config("llama"), SafetensorsBuilder());
  CHECK(refusal(folder / "model.safetensors", Errc::usage).find("give the folder") != std::string::npos);
}

TEST_CASE("the same tensor in two shards is refused") {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "config.json", tiny_config("llama").dump());
  for (const char* name : {"a.safetensors", "b.safetensors"})
    write_file_atomically(folder / name,
                          SafetensorsBuilder().add("model.norm.weight", "F32", {1}, counting(1)).file());
  write_file_atomically(folder / "model.safetensors.index.json",
                        R"({"weight_map":{"x":"a.safetensors","y":"b.safetensors"}})");
  CHECK(refusal(folder.path()).find("two tensors are named output_norm.weight") != std::string::npos);
}
