#include "train/fresh_model.h"
#include "base/error.h"

#include <doctest/doctest.h>

using namespace ruvllm;
using namespace ruvllm::train;

TEST_CASE("keys of a shape file become metadata, under the architecture but for general ones") {
  const ModelShape shape = read_model_shape(Json{{"architecture", "qwen2"},
                                                 {"block_count", 2},
                                                 {"rope.freq_base", 1e4},
                                                 {"general.name", "small"},
                                                 {"general.sampling.temp", 0.5},
                                                 {"tied_head", false},
                                                 {"vocab_size", 300}},
                                            "shape");
  CHECK(shape.metadata.string("general.architecture") == "qwen2");
  CHECK(shape.metadata.integer("qwen2.block_count") == 2);
  CHECK(shape.metadata.number("qwen2.rope.freq_base") == 1e4);
  CHECK(shape.metadata.string("general.name") == "small");
  CHECK(shape.metadata.number("general.sampling.temp") == 0.5);
  CHECK_FALSE(shape.tied_head);
  CHECK(shape.n_vocabulary == 300);
}

TEST_CASE("a value that no key takes is refused by name") {
  const auto message_of = [](const Json& json) -> std::string {
    try {
      read_model_shape(json, "shape.json");
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  CHECK(message_of(Json{{"block_count", "two"}}).find("\"block_count\"") != std::string::npos);
  CHECK(message_of(Json{{"tied_head", 1}}).find("\"tied_head\"") != std::string::npos);
  CHECK(message_of(Json{{"general.tags", Json::array()}}).find("\"general.tags\"") != std::string::npos);
}

TEST_CASE("a new model speaks ChatML, begins texts with its BOS, and takes another template") {
  ModelShape shape = read_model_shape(Json{{"vocab_size", 270}}, "shape");
  add_trained_tokenizer(shape, "a cat and a cat and a cat");
  CHECK(shape.metadata.string("tokenizer.chat_template")->find("<|im_start|>") != std::string::npos);
  CHECK(shape.metadata.boolean("tokenizer.ggml.add_bos_token") == true);
  set_chat_template(shape, "{{ messages[0].content }}");
  CHECK(shape.metadata.string("tokenizer.chat_template") == "{{ messages[0].content }}");
}
