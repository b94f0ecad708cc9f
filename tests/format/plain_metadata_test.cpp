#include "format/plain_metadata.h"

#include <doctest/doctest.h>

#include <array>

using namespace ruvllm;
using format::MetadataValue;
using format::ValueType;

TEST_CASE("numbers are written in the type that their key has, and the file's own layout is left out") {
  format::ModelFile model;
  format::Metadata& given = model.metadata;
  given.set("general.architecture", std::string_view("llama"));
  given.set("general.alignment", uint32_t{64});
  given.set("split.count", uint16_t{2});
  given.set("llama.block_count", uint64_t{4});
  given.set("llama.context_length", int16_t{512});
  given.set("llama.rope.freq_base", uint32_t{10000});
  given.set("llama.attention.layer_norm_rms_epsilon", 1e-5);
  given.set("llama.leading_dense_block_count", int32_t{-1});
  given.set("llama.unheard.of", 0.5);
  given.set("llama.expert_weights_norm", true);
  given.set("general.sampling.top_k", 40.0f);
  given.set("general.sampling.temp", uint8_t{1});
  given.set("tokenizer.ggml.bos_token_id", int64_t{1});
  given.set("other.count", uint64_t{7});
  const std::array<uint64_t, 2> heads = {4, 8};
  given.set("llama.attention.head_count", given.keep_array(ValueType::u64, std::as_bytes(std::span(heads))));
  format::Tensor down{"blk.0.ffn_down.weight", tensor::Format::F32, {96, 64}, {}};
  model.tensors.push_back(down);
  model.tensors.push_back({"token_types.weight", tensor::Format::F32, {64, 2}, {}});
  model.index_tensors();

  const format::Metadata plain = format::plain_metadata(model);
  const auto is = [&](const char* key, const MetadataValue& value) {
    const MetadataValue* found = plain.find(key);
    return found && *found == value;
  };
  CHECK(plain.find("general.alignment") == nullptr);
  CHECK(plain.find("split.count") == nullptr);
  CHECK(is("llama.block_count", uint32_t{4}));
  CHECK(is("llama.context_length", uint32_t{512}));
  CHECK(is("llama.rope.freq_base", 10000.0f));
  CHECK(is("llama.attention.layer_norm_rms_epsilon", 1e-5f));
  CHECK(is("llama.leading_dense_block_count", int32_t{-1}));
  CHECK(is("llama.unheard.of", 0.5f));
  CHECK(is("llama.expert_weights_norm", true));
  CHECK(is("general.sampling.top_k", int32_t{40}));
  CHECK(is("general.sampling.temp", 1.0f));
  CHECK(is("tokenizer.ggml.bos_token_id", uint32_t{1}));
  CHECK(is("other.count", uint64_t{7}));
  CHECK(is("llama.feed_forward_length", uint32_t{96}));
  CHECK(is("tokenizer.ggml.token_type_count", uint32_t{2}));
  const auto* words = plain.array("llama.attention.head_count", ValueType::i32);
  REQUIRE(words);
  CHECK(words->integer(1) == 8);
}
