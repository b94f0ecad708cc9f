#include "text/chat_template.h"

#include "base/error.h"
#include "base/file.h"
#include "reference.h"
#include "test_support.h"
#include "text/tokenizer_json.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <map>

using namespace ruvllm;
using namespace ruvllm::text;

namespace {

const TokenizerVariables kTokens = {.bos_token = "<s>", .eos_token = "</s>"};

OrderedJson conversation(std::initializer_list<std::pair<const char*, const char*>> turns) {
  OrderedJson messages = OrderedJson::array();
  for (const auto& [role, content] : turns) messages.push_back({{"role", role}, {"content", content}});
  return messages;
}

std::string render_format(std::string_view name, const OrderedJson& messages) {
  const ChatTemplate format(find_chat_format(name).value(), name, kTokens);
  ChatRequest request;
  request.messages = messages;
  return format.render(request).text;
}

std::string read_template(const std::string& name) {
  const auto path = test::test_data("chat-templates/templates/" + name);
  return path ? read_file(*path, 1 << 20) : std::string();
}

}  // namespace

TEST_CASE("built-in formats write what their families were trained on") {
  const OrderedJson messages =
      conversation({{"system", "S"}, {"user", "A"}, {"assistant", "B"}, {"user", "C"}});
  CHECK(render_format("chatml", messages) ==
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nA<|im_end|>\n<|im_start|>assistant\nB<|im_end|>\n"
        "<|im_start|>user\nC<|im_end|>\n<|im_start|>assistant\n");
  CHECK(render_format("llama3", messages) ==
        "<s><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>"
        "\n\n"
        "A<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nB<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nC<|eot_id|><|start_header_id|>assistant<|end_header_id|>"
        "\n\n");
  CHECK(render_format("gemma", messages) ==
        "<s><start_of_turn>user\nS\n\nA<end_of_turn>\n<start_of_turn>model\nB<end_of_turn>\n<start_of_turn>"
        "user\nC"
        "<end_of_turn>\n<start_of_turn>model\n");
  CHECK(render_format("phi3", messages) ==
        "<|system|>\nS<|end|>\n<|user|>\nA<|end|>\n<|assistant|>\nB<|end|>\n<|user|>\nC<|end|>\n<|assistant|>"
        "\n");
  CHECK(render_format("mistral", messages) == "<s>[INST]S\n\nA[/INST]B</s>[INST]C[/INST]");
  CHECK(render_format("llama2", messages) ==
        "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nA [/INST] B </s><s>[INST] C [/INST]");
}

TEST_CASE("every built-in format takes a system message and marks what users wrote") {
  for (const std::string_view name : chat_format_names()) {
    CAPTURE(name);
    const ChatTemplate format(find_chat_format(name).value(), name, kTokens);
    CHECK(format.capabilities().system_role);
    ChatRequest request;
    request.messages = conversation({{"user", "hello<|im_end|>"}});
    const Prompt prompt = format.render(request);
    const size_t at = prompt.text.find("hello<|im_end|>");
    CHECK(prompt.from_input == std::vector<ByteRange>{{at, at + 15}});
  }
}

TEST_CASE("capabilities are found out by trying") {
  struct Row {
    const char* file;
    ChatCapabilities wanted;
  };
  const Row rows[] = {{"Qwen-Qwen3-0.6B.jinja", {true, true, true}},
                      {"Qwen-Qwen2.5-7B-Instruct.jinja", {true, true, false}},
                      {"google-gemma-2-2b-it.jinja", {false, false, false}},
                      {"meta-llama-Llama-3.1-8B-Instruct.jinja", {true, true, false}},
                      {"microsoft-Phi-3.5-mini-instruct.jinja", {true, false, false}}};
  for (const Row& row : rows) {
    CAPTURE(row.file);
    const std::string source = read_template(row.file);
    if (source.empty()) return;
    CHECK(ChatTemplate(source, row.file, kTokens).capabilities() == row.wanted);
  }
}

TEST_CASE("a template for tools is taken when tools are offered; variables of the request win") {
  const ChatTemplate both("plain{{ x }}", "t", kTokens, "tools{{ tools|length }}");
  ChatRequest request;
  request.variables = {{"x", 7}};
  CHECK(both.render(request).text == "plain7");
  request.tools = OrderedJson::array({1, 2});
  CHECK(both.render(request).text == "tools2");
  const ChatTemplate tokens("{{ bos_token }}{{ eos_token is defined }}", "t",
                            {.bos_token = "<s>", .eos_token = {}});
  request.variables = {{"bos_token", "<b>"}};
  CHECK(tokens.render(request).text == "<b>False");
}

TEST_CASE("a system message folds into the first question where a template knows none") {
  CHECK(fold_system_message(conversation({{"system", "S"}, {"user", "A"}})) ==
        conversation({{"user", "S\n\nA"}}));
  for (const OrderedJson& same :
       {conversation({{"user", "A"}}), conversation({{"system", "S"}}), OrderedJson::array()})
    CHECK(fold_system_message(same) == same);
}

TEST_CASE("control tokens that users write stay text; those of the template are taken") {
  const auto tokenizer = test::vocabulary("llama-bpe");
  if (!tokenizer) return;
  const ChatTemplate format(find_chat_format("llama3").value(), "llama3", tokenizer_variables(*tokenizer));
  for (TokenId special = 0; special < tokenizer->n_tokens(); ++special) {
    if (tokenizer->kind(special) != TokenKind::control) continue;
    const std::string spelling(tokenizer->spelling(special));
    CAPTURE(spelling);
    ChatRequest plain;
    plain.messages = conversation({{"user", "x y"}});
    ChatRequest hostile;
    hostile.messages = OrderedJson::array({{{"role", "user"}, {"content", "x " + spelling + " y"}}});
    const auto count_control = [&](const ChatRequest& request) {
      int n_control = 0;
      for (const TokenId token : encode_prompt(*tokenizer, format.render(request)))
        n_control += tokenizer->kind(token) == TokenKind::control;
      return n_control;
    };
    CHECK(count_control(plain) == 6);
    CHECK(count_control(hostile) == 6);
    const auto ids = encode_prompt(*tokenizer, format.render(hostile));
    CHECK(tokenizer->decode(ids, true) == format.render(hostile).text);
  }
}

TEST_CASE("a token half of the template and half of a user is text") {
  const auto tokenizer = test::vocabulary("llama-bpe");
  if (!tokenizer) return;
  const std::string text = "<|eot_id|>";
  const auto whole = tokenizer->encode(text, {.add_special = false, .parse_special = true});
  CHECK(whole.size() == 1);
  for (size_t i = 0; i < text.size(); ++i) {
    const ByteRange range[] = {{i, i + 1}};
    const auto ids = tokenizer->encode(text, {.add_special = false, .parse_special = true, .literal = range});
    CHECK(ids == tokenizer->encode(text, {.add_special = false, .parse_special = false}));
  }
  const ByteRange behind[] = {{text.size(), text.size() + 3}};
  CHECK(tokenizer->encode(text + "abc",
                          {.add_special = false, .parse_special = true, .literal = behind})[0] == whole[0]);
}

namespace {

// What a folder's template makes of nothing; `files` by their paths in it.
std::string render_folder(const std::map<std::string, std::string>& files, bool tools = false,
                          std::string_view name = {}) {
  const test::TemporaryFolder folder;
  std::filesystem::create_directories(folder / "additional_chat_templates");
  for (const auto& [path, content] : files) write_file_atomically(folder / path, content);
  format::ModelFile model;
  model.source = folder.path().string();
  const Json vocabulary = {{"model", {{"type", "BPE"}, {"vocab", {{"a", 0}}}, {"merges", Json::array()}}}};
  TokenizerConfig config;
  config.config = {{"pad_token", "<pad>"}, {"additional_special_tokens", {"<x>", "<y>"}}};
  const auto tokenizer = parse_tokenizer_json(vocabulary.dump(), config);
  const auto found = load_chat_template(model, *tokenizer, name);
  if (!found) return "no template";
  ChatRequest request;
  if (tools) request.tools = OrderedJson::array();
  return found->render(request).text;
}

}  // namespace

TEST_CASE("templates are found in all files of a folder that may hold them, the newer winning") {
  const std::string config = "tokenizer_config.json", more = "additional_chat_templates/";
  CHECK(render_folder({}) == "no template");
  CHECK(render_folder({{config, R"({"chat_template": "C"})"}}) == "C");
  CHECK(render_folder({{config, R"({"chat_template": "C"})"},
                       {"chat_template.json", R"({"chat_template": "J"})"}}) == "C");
  CHECK(render_folder({{"chat_template.json", R"({"chat_template": "J"})"}}) == "J");
  CHECK(render_folder({{config, R"({"chat_template": "C"})"}, {"chat_template.jinja", "F"}}) == "F");
  const std::map<std::string, std::string> two = {{"chat_template.jinja", "F"},
                                                  {more + "tool_use.jinja", "T"}};
  CHECK(render_folder(two) == "F");
  CHECK(render_folder(two, true) == "T");
  CHECK(render_folder(two, false, "tool_use") == "T");
  CHECK_THROWS_WITH_AS(render_folder(two, false, "rag"), doctest::Contains("it has default, tool_use"),
                       Error);
}

TEST_CASE("of a list of templates the default is taken, and there has to be one") {
  const auto listed = [](const char* names) {
    Json list = Json::array();
    for (const char name : std::string_view(names))
      list.push_back({{"name", name == 'd'   ? "default"
                               : name == 't' ? "tool_use"
                                             : "rag"},
                      {"template", std::string(1, name)}});
    return std::map<std::string, std::string>{
        {"tokenizer_config.json", Json{{"chat_template", list}}.dump()}};
  };
  CHECK(render_folder(listed("rdt")) == "d");
  CHECK(render_folder(listed("rdt"), true) == "t");
  CHECK(render_folder(listed("rd"), true) == "d");
  CHECK(render_folder(listed("rd"), false, "rag") == "r");
  CHECK_THROWS_WITH_AS(render_folder(listed("rt")), doctest::Contains("no chat template \"default\""), Error);
}

TEST_CASE("a GGUF file may bring templates by names") {
  format::ModelFile model;
  model.metadata.set("tokenizer.chat_template", std::string_view("D"));
  model.metadata.set("tokenizer.chat_template.rag", std::string_view("R"));
  model.metadata.set("tokenizer.chat_template.tool_use", std::string_view("T"));
  model.metadata.set("tokenizer.ggml.model", std::string_view("none"));
  const auto tokenizer = make_tokenizer(model);
  const auto render = [&](std::string_view name, bool tools) {
    ChatRequest request;
    if (tools) request.tools = OrderedJson::array();
    return load_chat_template(model, *tokenizer, name)->render(request).text;
  };
  CHECK(render("", false) == "D");
  CHECK(render("", true) == "T");
  CHECK(render("rag", true) == "R");
}

TEST_CASE("a template sees special tokens beside BOS and EOS, and what it isn't lent is undefined") {
  CHECK(render_folder({{"chat_template.jinja",
                        "{{ pad_token }}{{ additional_special_tokens[1] }}{{ unk_token is defined }}"}}) ==
        "<pad><y>False");
}
