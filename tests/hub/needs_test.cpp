#include "hub/hub_fixture.h"
#include "hub/model_needs.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <cstring>

using namespace ruvllm;
using namespace ruvllm::hub;

namespace {

class Gguf {
 public:
  explicit Gguf(uint64_t n_keys) {
    bytes_ = "GGUF";
    number<uint32_t>(3);
    number<uint64_t>(0);
    number<uint64_t>(n_keys);
  }
  template <typename T>
  void number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(const std::string& value) {
    number<uint64_t>(value.size());
    bytes_ += value;
  }
  void string(const std::string& key, const std::string& value) {
    text(key);
    number<uint32_t>(8);
    text(value);
  }
  void u32(const std::string& key, uint32_t value) {
    text(key);
    number<uint32_t>(4);
    number(value);
  }
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(bytes_)); }
  const std::string& raw() const { return bytes_; }

 private:
  std::string bytes_;
};

Gguf llama() {
  Gguf gguf(1000);  // more keys than there are: the vocabulary would follow
  gguf.string("general.architecture", "llama");
  gguf.u32("llama.block_count", 16);
  gguf.u32("llama.context_length", 2048);
  gguf.u32("llama.embedding_length", 2048);
  gguf.u32("llama.attention.head_count", 32);
  gguf.u32("llama.attention.head_count_kv", 8);
  return gguf;
}

}  // namespace

TEST_CASE("the shape of the cache is told by a file's first keys") {
  const auto shape = kv_shape_of_gguf(llama().bytes());
  REQUIRE(shape.has_value());
  CHECK(shape->kv_values_per_token == 16 * 8 * 64 * 2);
  CHECK(shape->context_tokens == 2048);
}

TEST_CASE("a file cut anywhere tells the same or nothing") {
  const Gguf whole = llama();
  for (size_t n = 0; n < whole.bytes().size(); ++n)
    if (const auto shape = kv_shape_of_gguf(whole.bytes().first(n)))
      CHECK(shape->kv_values_per_token % (16 * 64 * 2) == 0);
}

TEST_CASE("a config.json tells it too") {
  const auto shape = kv_shape_of_config(
      R"({"num_hidden_layers":24,"num_attention_heads":14,"num_key_value_heads":2,"hidden_size":896,"max_position_embeddings":32768})");
  REQUIRE(shape.has_value());
  CHECK(shape->kv_values_per_token == 24 * 2 * 64 * 2);
  CHECK(
      kv_shape_of_config(
          R"({"text_config":{"num_hidden_layers":2,"num_attention_heads":4,"hidden_size":64,"head_dim":32}})")
          ->kv_values_per_token == 2 * 4 * 32 * 2);
  for (const char* none :
       {"", "[]", "{}", R"({"num_hidden_layers":-1,"num_attention_heads":14,"hidden_size":896})",
        R"({"num_hidden_layers":"x"})",
        R"({"num_hidden_layers":24,"num_attention_heads":0,"hidden_size":896})",
        R"({"num_hidden_layers":99999999999,"num_attention_heads":1,"hidden_size":1})"})
    CHECK(!kv_shape_of_config(none).has_value());
}

TEST_CASE("--dry-run adds keys and values to the weights, without fetching more than the beginning") {
  test::HubFixture fixture;
  std::string content = llama().raw();
  content.resize(4 << 20, 'x');
  fixture.hub.add("org/model", "m-Q8_0.gguf", content, true);
  const auto result = fixture.run("pull", {"org/model", "--dry-run", "--json"});
  REQUIRE(result.exit_code == 0);
  const auto memory = nlohmann::json::parse(result.output).at("memory");
  CHECK(memory.at("context") == 2048);
  CHECK(memory.at("kv_bytes") == 16 * 8 * 64 * 2 * 2 * 2048);
  CHECK(memory.at("needed_bytes") == content.size() + 16 * 8 * 64 * 2 * 2 * 2048);
  CHECK(fixture.hub.content_bytes() <= 256 << 10);
}
