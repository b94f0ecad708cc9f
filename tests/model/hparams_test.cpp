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
  CHECK(windows("qwen2") == std::vector<uint32_t>{0, 0, 0, 0, 0, 0, 0});
}

}  // namespace ruvllm::model
