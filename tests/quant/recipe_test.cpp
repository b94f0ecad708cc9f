#include "quant/recipe.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "test_support.h"

#include <map>
#include <string>

namespace ruvllm::quant {
namespace {

/// A model of n_layers with the usual tensors, without bytes.
format::ModelFile make_model(uint64_t n_layers, uint64_t width, uint64_t heads, uint64_t kv_heads,
                             bool tied) {
  format::ModelFile model;
  model.metadata.set("general.architecture", std::string_view("llama"));
  model.metadata.set("llama.block_count", n_layers);
  model.metadata.set("llama.attention.head_count", heads);
  model.metadata.set("llama.attention.head_count_kv", kv_heads);
  const auto add = [&](const std::string& name, std::vector<uint64_t> dimensions) {
    format::Tensor tensor;
    tensor.name = name;
    tensor.format = Format::F16;
    tensor.dimensions = std::move(dimensions);
    model.tensors.push_back(std::move(tensor));
  };
  add("token_embd.weight", {width, 1000});
  if (!tied) add("output.weight", {width, 1000});
  add("output_norm.weight", {width});
  for (uint64_t layer = 0; layer < n_layers; ++layer) {
    const std::string block = "blk." + std::to_string(layer) + ".";
    add(block + "attn_norm.weight", {width});
    for (const char* part : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"})
      add(block + part + ".weight", {width, width});
    add(block + "ffn_gate_inp.weight", {width, 8});
  }
  model.index_tensors();
  return model;
}

std::map<std::string, Format> choose(const format::ModelFile& model, const Recipe& recipe) {
  std::map<std::string, Format> formats;
  const auto choices = choose_formats(model, recipe);
  for (size_t i = 0; i < choices.size(); ++i) formats[model.tensors[i].name] = choices[i].format;
  return formats;
}

}  // namespace

TEST_CASE("every mix chooses, tensor by tensor, what the reference chose for the small model") {
  const auto path = test::test_data("stories260K/ref/quant-ppl.json");
  if (!path) return;
  const auto model = format::open_model_file(*test::test_data("stories260K/stories260K.gguf"));
  const Json reference = parse_json(read_file(*path, 1 << 22), "quant-ppl.json");
  size_t n_compared = 0;
  for (const Json& entry : reference["results"]) {
    const std::string type = entry["type"];
    if (!entry["works"].get<bool>() || type.find(' ') != std::string::npos) continue;
    CAPTURE(type);
    Recipe recipe;
    recipe.mix = &find_mix(type);
    recipe.guided = entry["imatrix"].get<bool>();
    std::map<std::string, std::map<std::string, int>> found;
    const auto choices = choose_formats(*model, recipe);
    for (size_t i = 0; i < choices.size(); ++i) {
      std::string name = model->tensors[i].name;
      if (name.starts_with("blk.")) name = "blk.*" + name.substr(name.find('.', 4));
      ++found[name][std::string(tensor::format_name(choices[i].format))];
    }
    CHECK(Json(found) == entry["tensor_types"]);
    ++n_compared;
  }
  CHECK(n_compared >= 25);
}

TEST_CASE("Q4_K_M spends its bits at both ends and on every third layer between") {
  Recipe recipe;
  recipe.mix = &find_mix("q4_k_m");
  const auto formats = choose(make_model(24, 512, 8, 8, false), recipe);
  for (const auto& [layer, format] : std::map<std::string, Format>{{"0", Format::Q6_K},
                                                                   {"2", Format::Q6_K},
                                                                   {"3", Format::Q4_K},
                                                                   {"4", Format::Q4_K},
                                                                   {"5", Format::Q6_K},
                                                                   {"20", Format::Q6_K},
                                                                   {"21", Format::Q6_K}}) {
    CAPTURE(layer);
    CHECK(formats.at("blk." + layer + ".ffn_down.weight") == format);
    CHECK(formats.at("blk." + layer + ".attn_v.weight") == format);
    CHECK(formats.at("blk." + layer + ".ffn_up.weight") == Format::Q4_K);
  }
  CHECK(formats.at("output.weight") == Format::Q6_K);
  CHECK(formats.at("token_embd.weight") == Format::Q4_K);
  CHECK(formats.at("blk.0.ffn_gate_inp.weight") == Format::F32);
  CHECK(formats.at("output_norm.weight") == Format::F32);
}

TEST_CASE("a token embedding that is the output matrix too is treated as that") {
  Recipe recipe;
  recipe.mix = &find_mix("Q4_K_M");
  CHECK(choose(make_model(2, 512, 8, 8, true), recipe).at("token_embd.weight") == Format::Q6_K);
  recipe.output_format = Format::Q8_0;
  CHECK(choose(make_model(2, 512, 8, 8, true), recipe).at("token_embd.weight") == Format::Q8_0);
  recipe.embedding_format = Format::Q5_K;
  CHECK(choose(make_model(2, 512, 8, 8, true), recipe).at("token_embd.weight") == Format::Q5_K);
}

TEST_CASE("rules come before mixes, the first that matches counts, and --pure levels the rest") {
  Recipe recipe;
  recipe.mix = &find_mix("Q2_K");
  recipe.pure = true;
  recipe.rules.push_back(parse_tensor_rule("blk\\.0\\.ffn_(up|gate)=q8_0"));
  recipe.rules.push_back(parse_tensor_rule("ffn_up=Q5_K"));
  const auto formats = choose(make_model(4, 512, 8, 8, false), recipe);
  CHECK(formats.at("blk.0.ffn_up.weight") == Format::Q8_0);
  CHECK(formats.at("blk.1.ffn_up.weight") == Format::Q5_K);
  CHECK(formats.at("blk.1.ffn_down.weight") == Format::Q2_K);
  CHECK(formats.at("output.weight") == Format::Q2_K);
}

TEST_CASE("a pattern for a layer is for its matrices; what steers has to be named whole") {
  Recipe recipe;
  recipe.mix = &find_mix("F16");
  recipe.rules.push_back(parse_tensor_rule("blk\\.0\\.ffn_gate_inp\\.weight=BF16"));
  recipe.rules.push_back(parse_tensor_rule("blk.1.attn_norm.weight=F16"));
  recipe.rules.push_back(parse_tensor_rule("blk\\.[01]\\.=Q8_0"));
  const auto formats = choose(make_model(2, 512, 8, 8, false), recipe);
  CHECK(formats.at("blk.0.attn_q.weight") == Format::Q8_0);
  CHECK(formats.at("blk.1.ffn_up.weight") == Format::Q8_0);
  CHECK(formats.at("blk.0.attn_norm.weight") == Format::F32);
  CHECK(formats.at("blk.1.attn_norm.weight") == Format::F16);
  CHECK(formats.at("blk.0.ffn_gate_inp.weight") == Format::BF16);
  CHECK(formats.at("blk.1.ffn_gate_inp.weight") == Format::F32);
}

TEST_CASE("a rule that is for no tensor is refused by name") {
  const format::ModelFile model = make_model(2, 512, 8, 8, false);
  for (const char* rule : {"atn_q=Q8_0", "norm=Q8_0", "blk\\.7\\.=Q8_0"}) {
    Recipe recipe;
    recipe.mix = &find_mix("F16");
    recipe.rules.push_back(parse_tensor_rule(rule));
    std::string message;
    try {
      choose_formats(model, recipe);
    } catch (const Error& error) {
      CHECK(error.code() == Errc::usage);
      message = error.what();
    }
    CHECK(message.find(recipe.rules[0].pattern.text()) != std::string::npos);
  }
}

TEST_CASE("MXFP4_MOE is for experts, and Q8_0 elsewhere") {
  format::ModelFile model = make_model(2, 512, 8, 8, false);
  for (const char* name :
       {"blk.0.ffn_up_exps.weight", "blk.0.ffn_down.3.weight", "blk.0.ffn_up_shexp.weight"}) {
    format::Tensor tensor;
    tensor.name = name;
    tensor.format = Format::F16;
    tensor.dimensions = {512, 512, 4};
    model.tensors.push_back(std::move(tensor));
  }
  model.index_tensors();
  Recipe recipe;
  recipe.mix = &find_mix("mxfp4_moe");
  CHECK(recipe.mix->file_type == 38);
  const auto formats = choose(model, recipe);
  CHECK(formats.at("blk.0.ffn_up_exps.weight") == Format::MXFP4);
  CHECK(formats.at("blk.0.ffn_down.3.weight") == Format::MXFP4);
  for (const char* name : {"blk.0.ffn_up_shexp.weight", "blk.0.ffn_up.weight", "blk.1.attn_q.weight",
                           "token_embd.weight", "output.weight"})
    CHECK(formats.at(name) == Format::Q8_0);
}

TEST_CASE("importance, and few KV heads, change what low-bit mixes choose") {
  Recipe recipe;
  recipe.mix = &find_mix("IQ3_XXS");
  CHECK(choose(make_model(8, 512, 8, 8, false), recipe).at("blk.4.attn_v.weight") == Format::IQ3_S);
  CHECK(choose(make_model(8, 512, 8, 2, false), recipe).at("blk.4.attn_v.weight") == Format::Q4_K);
  recipe.guided = true;
  CHECK(choose(make_model(8, 512, 8, 8, false), recipe).at("blk.4.attn_v.weight") == Format::IQ3_XXS);
}

TEST_CASE("rows that don't divide fall back, and say from what") {
  const auto model = make_model(1, 96, 8, 8, false);
  Recipe recipe;
  recipe.mix = &find_mix("Q4_K_S");
  for (const Choice& choice : choose_formats(model, recipe))
    if (choice.format != Format::F32) CHECK(choice.wanted.has_value());
  recipe.mix = &find_mix("Q4_0");
  const auto narrow = make_model(1, 50, 8, 8, false);
  CHECK(choose(narrow, recipe).at("blk.0.attn_q.weight") == Format::F16);
}

TEST_CASE("wrong names, rules and patterns are usage errors that say what is right") {
  const auto message_of = [](auto&& function) {
    try {
      function();
    } catch (const Error& error) {
      CHECK(error.code() == Errc::usage);
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(message_of([] { find_mix("Q4_K_X"); }).find("Q4_K_M") != std::string::npos);
  CHECK(message_of([] { find_format("Q9"); }).find("IQ4_NL") != std::string::npos);
  CHECK(message_of([] { parse_tensor_rule("ffn_down"); }).find("REGEX=FORMAT") != std::string::npos);
  CHECK(message_of([] { parse_tensor_rule("ffn_(=Q4_K"); }).find("character") != std::string::npos);
  CHECK(find_mix("q3_k").name == "Q3_K_M");
}

TEST_CASE("a pattern that backtracks without end does not hang") {
  const NamePattern pattern("(a+)+$");
  CHECK_FALSE(pattern.occurs_in(std::string(60, 'a') + "!"));
}

}  // namespace ruvllm::quant
