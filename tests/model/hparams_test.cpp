// Hyper-parameters that no model could have are refused by name, in every architecture.
#include "model/hparams.h"

#include "base/error.h"
#include "test_support.h"

#include <doctest/doctest.h>

#include <string>

namespace ruvllm::model {
namespace {

struct Field {
  std::string key;
  bool is_integer;
};

std::vector<Field> all_fields() {
  std::vector<Field> fields;
#define INTEGER(field, key, least, most, fallback) fields.push_back({key, true});
#define NUMBER(field, key, least, most, fallback) fields.push_back({key, false});
#define FLAG(field, key, fallback)
#include "model/hparams.def"
#undef INTEGER
#undef NUMBER
#undef FLAG
  return fields;
}

/// The metadata of a sound model.
format::ModelFile sound(std::string_view architecture) {
  format::ModelFile file;
  file.source = "test";
  format::Metadata& m = file.metadata;
  const std::string p = std::string(architecture) + ".";
  m.set("general.architecture", m.keep(std::string(architecture)));
  m.set(p + "block_count", uint32_t{4});
  m.set(p + "context_length", uint32_t{128});
  m.set(p + "embedding_length", uint32_t{64});
  m.set(p + "feed_forward_length", uint32_t{96});
  m.set(p + "attention.head_count", uint32_t{4});
  m.set(p + "attention.head_count_kv", uint32_t{2});
  m.set(p + "attention.layer_norm_rms_epsilon", 1e-5f);
  m.set(p + "attention.layer_norm_epsilon", 1e-5f);
  m.set(p + "vocab_size", uint32_t{100});
  return file;
}

/// Reads; an Error must be about the file, and name the key.
bool accepts(const format::ModelFile& file, const std::string& key) {
  try {
    read_hyper_parameters(file);
    return true;
  } catch (const Error& error) {
    CHECK(error.code() == Errc::corrupt_file);
    INFO(error.what());
    CHECK((std::string(error.what()).find(key) != std::string::npos || key.empty()));
    return false;
  }
}

}  // namespace

TEST_CASE(
    "every number in every architecture survives hostile values, and no zero passes that is divided by") {
  for (const ArchSpec& arch : architectures()) {
    CHECK(accepts(sound(arch.name), ""));
    for (const Field& field : all_fields()) {
      const std::string key = std::string(arch.name) + "." + field.key;
      CAPTURE(key);
      const auto with = [&](format::MetadataValue value) {
        format::ModelFile file = sound(arch.name);
        file.metadata.set(key, std::move(value));
        try {
          const HyperParameters h = read_hyper_parameters(file);
          CHECK(h.n_heads > 0);
          CHECK(h.n_kv_heads > 0);
          CHECK(h.head_dimension > 0);
          CHECK(h.n_heads % h.n_kv_heads == 0);
          CHECK(h.n_layers > 0);
          CHECK(h.n_layers <= limits::kLayers);
          CHECK(h.rope_dimensions <= h.head_dimension);
          CHECK(h.n_experts_used <= h.n_experts);
          return true;
        } catch (const Error& error) {
          CHECK(error.code() == Errc::corrupt_file);
          return false;
        }
      };
      with(uint32_t{0});
      with(uint32_t{1});
      with(uint64_t{1} << 31);
      with(uint64_t{0xFFFFFFFF});
      CHECK_FALSE(with(~uint64_t{0}));
      CHECK_FALSE(with(int32_t{-1}));
      CHECK_FALSE(with(std::string_view("64")));
      if (field.is_integer) {
        CHECK_FALSE(with(64.0f));
        CHECK_FALSE(with(true));
      } else {
        CHECK_FALSE(with(std::numeric_limits<float>::quiet_NaN()));
        CHECK_FALSE(with(std::numeric_limits<float>::infinity()));
        CHECK_FALSE(with(-1.0f));
      }
    }
  }
}

TEST_CASE("an array stands for one number only if it has that number once a layer") {
  const auto with = [](std::vector<uint32_t> values) {
    format::ModelFile file = sound("llama");
    format::MetadataArray array;
    array.type = format::ValueType::u32;
    array.n_elements = values.size();
    array.bytes = std::as_bytes(std::span(values));
    file.metadata.set("llama.attention.head_count_kv", std::move(array));
    return accepts(file, "llama.attention.head_count_kv");
  };
  CHECK(with({2, 2, 2, 2}));
  CHECK_FALSE(with({2, 2, 2}));
  CHECK_FALSE(with({2, 2, 2, 2, 2}));
  CHECK_FALSE(with({}));
  CHECK_FALSE(with({2, 2, 1, 2}));
  CHECK_FALSE(with({0, 0, 0, 0}));
}

TEST_CASE(
    "a required key that is missing is named, and so is an unknown architecture with those that are known") {
  format::ModelFile file = sound("llama");
  file.metadata.set("general.architecture", std::string_view("qwen2"));  // whose keys are not there
  CHECK_FALSE(accepts(file, "qwen2.block_count"));
  file.metadata.set("general.architecture", std::string_view("nobody\x1b[2J"));
  CHECK_FALSE(accepts(file, "qwen3moe"));
  CHECK_FALSE(accepts(file, "nobody\\x1b[2J"));
  file.metadata.set("general.architecture", uint32_t{7});
  CHECK_FALSE(accepts(file, "general.architecture"));
  CHECK_FALSE(accepts(format::ModelFile{}, "general.architecture"));
  file = sound("llama");
  file.metadata.set("llama.rope.scaling.type", std::string_view("magic"));
  CHECK_FALSE(accepts(file, "llama.rope.scaling.type"));
}

TEST_CASE("windows follow the pattern of the architecture") {
  const auto windows = [](std::string_view name) {
    format::ModelFile file = sound(name);
    file.metadata.set(std::string(name) + ".block_count", uint32_t{7});
    file.metadata.set(std::string(name) + ".attention.sliding_window", uint32_t{5});
    const HyperParameters h = read_hyper_parameters(file);
    std::vector<uint32_t> found;
    for (uint32_t layer = 0; layer < h.n_layers; ++layer) found.push_back(h.window_of(layer));
    return found;
  };
  CHECK(windows("llama") == std::vector<uint32_t>{5, 5, 5, 5, 5, 5, 5});
  CHECK(windows("gemma2") == std::vector<uint32_t>{5, 0, 5, 0, 5, 0, 5});
  CHECK(windows("gemma3") == std::vector<uint32_t>{5, 5, 5, 5, 5, 0, 5});
  CHECK(windows("olmo2") == std::vector<uint32_t>{5, 5, 5, 0, 5, 5, 5});
  CHECK(windows("qwen2") == std::vector<uint32_t>{0, 0, 0, 0, 0, 0, 0});
}

TEST_CASE("a pattern of windows in the file is obeyed, as a number or an answer a layer") {
  const auto windows = [](std::string_view name, format::MetadataValue pattern) {
    format::ModelFile file = sound(name);
    file.metadata.set(std::string(name) + ".attention.sliding_window", uint32_t{5});
    file.metadata.set(std::string(name) + ".attention.sliding_window_pattern", std::move(pattern));
    std::vector<uint32_t> found;
    if (!accepts(file, "attention.sliding_window_pattern")) return found;
    const HyperParameters h = read_hyper_parameters(file);
    for (uint32_t layer = 0; layer < h.n_layers; ++layer) found.push_back(h.window_of(layer));
    return found;
  };
  using Windows = std::vector<uint32_t>;
  const auto array = [](format::ValueType type, std::span<const uint8_t> bytes) {
    return format::MetadataArray{type, bytes.size(), std::as_bytes(bytes), {}};
  };
  for (const char* name : {"llama", "gemma2", "gemma3", "qwen3"}) {
    CAPTURE(name);
    CHECK(windows(name, uint32_t{2}) == Windows{5, 0, 5, 0});
    CHECK(windows(name, uint32_t{3}) == Windows{5, 5, 0, 5});
    CHECK(windows(name, uint32_t{1}) == Windows{0, 0, 0, 0});
    CHECK(windows(name, uint32_t{0}) == Windows{5, 5, 5, 5});
    CHECK(windows(name, array(format::ValueType::boolean, std::vector<uint8_t>{0, 1, 1, 0})) ==
          Windows{0, 5, 5, 0});
    CHECK(windows(name, array(format::ValueType::u8, std::vector<uint8_t>{1, 0, 0, 1})) ==
          Windows{5, 0, 0, 5});
  }
  CHECK(windows("gemma3", int32_t{-1}).empty());
  CHECK(windows("gemma3", std::string_view("2")).empty());
  CHECK(windows("gemma3", array(format::ValueType::boolean, std::vector<uint8_t>{0, 1, 1})).empty());
  CHECK(windows("gemma3", array(format::ValueType::u8, std::vector<uint8_t>{0, 1, 1, 2})).empty());
}

TEST_CASE("Gemma 2's first files, which have no such keys, mean what the architecture does") {
  const HyperParameters h = read_hyper_parameters(sound("gemma2"));
  CHECK(h.attention_soft_cap == 50.0f);
  CHECK(h.final_soft_cap == 30.0f);
  CHECK(h.window_of(0) == 4096);
  CHECK(h.window_of(1) == 0);
  CHECK(read_hyper_parameters(sound("gemma3")).final_soft_cap == 0.0f);
}

TEST_CASE("scaling of rotation is what llama.cpp's loader makes of the keys") {
  using enum tensor::RopeScaling;
  using Keys = std::vector<std::pair<const char*, format::MetadataValue>>;
  const auto read = [](const Keys& keys) {
    format::ModelFile file = sound("llama");
    for (const auto& [key, value] : keys) file.metadata.set(std::string("llama.rope.") + key, value);
    return read_hyper_parameters(file);
  };
  CHECK(read({}).rope_scaling == none);
  const HyperParameters untyped = read({{"scaling.factor", 4.0f}});
  CHECK(untyped.rope_scaling == linear);
  CHECK(untyped.rope_factor == 4.0f);
  const HyperParameters old = read({{"scale_linear", 4.0f}});
  CHECK(old.rope_scaling == linear);
  CHECK(old.rope_factor == 4.0f);
  CHECK(read({{"scaling.factor", 2.0f}, {"scale_linear", 4.0f}}).rope_factor == 2.0f);
  CHECK(read({{"scaling.factor", 0.0f}}).rope_scaling == none);
  CHECK(read({{"scaling.factor", 0.0f}}).rope_factor == 1.0f);
  CHECK(read({{"scaling.type", std::string_view("none")}, {"scaling.factor", 4.0f}}).rope_scaling == none);
  const HyperParameters yarned = read({{"scaling.type", std::string_view("yarn")}, {"scaling.factor", 4.0f}});
  CHECK(yarned.rope_scaling == yarn);
  CHECK(yarned.yarn_mix == 1.0f);
  const HyperParameters mixed = read({{"scaling.factor", 4.0f}, {"scaling.yarn_ext_factor", 0.5f}});
  CHECK(mixed.rope_scaling == yarn);
  CHECK(mixed.yarn_mix == 0.5f);
  CHECK(read({{"scaling.factor", 4.0f}}).yarn_mix == 0.0f);
  CHECK_THROWS_AS(read({{"scaling.factor", 1e-9f}}), Error);
  CHECK_THROWS_AS(read({{"scaling.type", std::string_view("longrope")}, {"scaling.yarn_ext_factor", 1.0f}}),
                  Error);
}

TEST_CASE("keys of attention and rotation that nothing here reads are refused, unless they say none") {
  const auto with = [](const char* name, format::MetadataValue value) {
    format::ModelFile file = sound("llama");
    file.metadata.set(std::string("llama.") + name, std::move(value));
    return accepts(file, name);
  };
  CHECK_FALSE(with("attention.clamp_kqv", 8.0f));
  CHECK(with("attention.clamp_kqv", 0.0f));
  CHECK_FALSE(with("attention.temperature_scale", 0.1f));
  CHECK_FALSE(with("rope.dimension_sections", format::MetadataArray{}));
  CHECK_FALSE(with("rope.scaling.yarn_attn_factor", 0.5f));
  CHECK(with("rope.scaling.yarn_attn_factor", 1.0f));
  CHECK(with("rope.scaling.finetuned", true));
  CHECK(with("tensor_data_layout", std::string_view("Meta AI original pth")));
}

TEST_CASE("attention in both directions is a key; windows with it are refused") {
  format::ModelFile file = sound("llama");
  CHECK(read_hyper_parameters(file).causal);
  file.metadata.set("llama.attention.causal", false);
  CHECK_FALSE(read_hyper_parameters(file).causal);
  CHECK(read_hyper_parameters(file).pooling() == Pooling::mean);
  file.metadata.set("llama.attention.sliding_window", uint32_t{5});
  CHECK_FALSE(accepts(file, "llama.attention.causal"));
  CHECK_FALSE(read_hyper_parameters(sound("bert")).causal);
}

}  // namespace ruvllm::model
