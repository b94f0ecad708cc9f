#include "format/tensor_names.h"

#include <doctest/doctest.h>

#include <array>
#include <set>

using namespace ruvllm;
using format::match_hf_name;
using format::NameFamily;

namespace {

constexpr std::array kFamilies = {format::kPlain, format::kSandwich, format::kPostNorm, format::kPhi,
                                  format::kBert};

std::string with_numbers(std::string pattern, const std::string& layer, const std::string& member) {
  for (const auto& [mark, number] : {std::pair("%d", layer), std::pair("%e", member)})
    if (const size_t at = pattern.find(mark); at != std::string::npos) pattern.replace(at, 2, number);
  return pattern;
}

}  // namespace

TEST_CASE("every row translates both ways, in each of its families") {
  for (const format::TensorNameRow& row : format::tensor_names()) {
    CAPTURE(row.hf);
    CHECK(row.families != 0);
    for (const NameFamily family : kFamilies) {
      if ((row.families & family) == 0) continue;
      for (const char* suffix : {".weight", ".bias"}) {
        const std::string hf = with_numbers(std::string(row.hf), "17", "5") + suffix;
        const std::string gguf = with_numbers(std::string(row.gguf), "17", "5") + suffix;
        const auto match = match_hf_name(hf, family);
        REQUIRE(match);
        CHECK(match->gguf == gguf);
        CHECK(match->rotated == row.rotated);
        CHECK(match->member.has_value() == (row.hf.find("%e") != std::string_view::npos));
        if (match->member) CHECK(*match->member == 5);
        std::set<std::string> spellings;
        for (size_t choice = 0;; ++choice) {
          const auto spelling = hf_name_of(gguf, family, 5, choice);
          if (!spelling) break;
          spellings.insert(*spelling);
        }
        CHECK(spellings.contains(hf));
      }
    }
  }
}

TEST_CASE("one Hugging Face name means one tensor in a family") {
  for (const NameFamily family : kFamilies) {
    std::set<std::string_view> seen;
    for (const format::TensorNameRow& row : format::tensor_names())
      if (row.families & family) CHECK(seen.insert(row.hf).second);
  }
}

TEST_CASE("the same name means different places in different families") {
  const char* name = "model.layers.0.post_attention_layernorm.weight";
  CHECK(match_hf_name(name, format::kPlain)->gguf == "blk.0.ffn_norm.weight");
  CHECK(match_hf_name(name, format::kSandwich)->gguf == "blk.0.post_attention_norm.weight");
  CHECK_FALSE(match_hf_name(name, format::kPhi));
}

TEST_CASE("names that are nearly right are not taken") {
  for (const char* bad :
       {"", ".weight", "model.embed_tokens", "model.embed_tokens.weights", "xmodel.embed_tokens.weight",
        "model.layers..mlp.up_proj.weight", "model.layers.-1.mlp.up_proj.weight",
        "model.layers.01.mlp.up_proj.weight", "model.layers.1024.mlp.up_proj.weight",
        "model.layers.99999999999999999999.mlp.up_proj.weight", "model.layers.1.mlp.up_proj.extra.weight",
        "model.layers.1.mlp.experts.up_proj.weight"}) {
    CAPTURE(bad);
    CHECK_FALSE(match_hf_name(bad, format::kPlain));
  }
  CHECK(match_hf_name("embeddings.LayerNorm.gamma", format::kBert)->gguf == "token_embd_norm.weight");
  CHECK_FALSE(format::hf_name_of("blk.0.unknown.weight", format::kPlain));
}
