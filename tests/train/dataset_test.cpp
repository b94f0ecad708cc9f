#include "train/dataset.h"
#include "base/file.h"
#include "format/model_file.h"
#include "test_support.h"
#include "train/chat_pieces.h"
#include "train/fresh_model.h"

#include <doctest/doctest.h>

using namespace ruvllm;
using namespace ruvllm::train;

namespace {

constexpr std::string_view kChat =
    R"({"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":"Hi <|im_end|>"},)"
    R"({"role":"assistant","content":"Hello there."},{"role":"user","content":"Bye"},)"
    R"({"role":"assistant","content":"See you."}]})";

// A tokenizer trained on what the folder's file says, and its chat template.
struct Corpus {
  test::TemporaryFolder folder;
  std::vector<std::filesystem::path> files;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::optional<text::ChatTemplate> chat_template;

  explicit Corpus(std::string_view lines) : files{folder / "data.jsonl"} {
    write_file_atomically(files[0], std::string(lines));
    ModelShape shape = read_model_shape(Json{{"vocab_size", 270}}, "shape");
    add_trained_tokenizer(shape, read_plain_text(files));
    format::ModelFile file;
    file.metadata = shape.metadata;
    tokenizer = text::make_tokenizer(file);
    chat_template = text::load_chat_template(file, *tokenizer);
  }
  std::vector<Document> read() const {
    return read_documents(files, *tokenizer,
                          [&](const OrderedJson& messages) { return chat_pieces(*chat_template, messages); });
  }
  // The tokens that are learned, as text.
  std::string learned(const Document& document) const {
    std::vector<text::TokenId> tokens;
    for (size_t i = 0; i < document.tokens.size(); ++i)
      if (document.is_target[i]) tokens.push_back(document.tokens[i]);
    return tokenizer->decode(tokens, true);
  }
};

}  // namespace

TEST_CASE("of a chat the assistant's turns are learned, each with the token that ends it") {
  const Corpus corpus(kChat);
  const std::vector<Document> documents = corpus.read();
  REQUIRE(documents.size() == 1);
  CHECK(corpus.learned(documents[0]) == "Hello there.<|im_end|>See you.<|im_end|>");
  CHECK(documents[0].tokens[0] == corpus.tokenizer->bos());
  CHECK(corpus.tokenizer->decode(documents[0].tokens, true) ==
        "<|endoftext|><|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi <|im_end|><|im_end|>\n"
        "<|im_start|>assistant\nHello there.<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n"
        "<|im_start|>assistant\nSee you.<|im_end|>");
}

TEST_CASE(
    "the tokens before an answer are those that a chat would have fed, a user's spelled-out token as text") {
  const Corpus corpus(kChat);
  const Document document = corpus.read()[0];
  text::ChatRequest request;
  request.messages = parse_ordered_json(kChat, "JSON")["messages"];
  request.messages.erase(request.messages.begin() + 4, request.messages.end());
  std::vector<text::TokenId> prompt = {*corpus.tokenizer->bos()};
  for (const text::TokenId token : encode_prompt(*corpus.tokenizer, corpus.chat_template->render(request)))
    prompt.push_back(token);
  REQUIRE(document.tokens.size() > prompt.size());
  CHECK(std::equal(prompt.begin(), prompt.end(), document.tokens.begin()));
  const auto end = *corpus.tokenizer->find("<|im_end|>");
  CHECK(std::count(document.tokens.begin(), document.tokens.end(), end) == 5);  // one a message
}

TEST_CASE("a text is learned whole, and its end with it") {
  const Corpus corpus(R"({"text":"The cat sat."})");
  const Document document = corpus.read()[0];
  CHECK(corpus.learned(document) == "The cat sat.<|endoftext|>");
  CHECK_FALSE(document.is_target[0]);
}

TEST_CASE("a vocabulary is trained on what files say, without the JSON around it") {
  const Corpus corpus(kChat);
  CHECK(read_plain_text(corpus.files) == "Be kind.\nHi <|im_end|>\nHello there.\nBye\nSee you.\n");
}

TEST_CASE("bad lines are named by file and number") {
  const auto message_of = [](std::string_view lines) -> std::string {
    const Corpus corpus(lines);
    try {
      corpus.read();
    } catch (const Error& error) {
      CHECK(error.code() == Errc::corrupt_file);
      return error.what();
    }
    return "nothing was thrown";
  };
  CHECK(message_of("{\"text\":\"a\"}\n{\"text\":1}").find("data.jsonl:2") != std::string::npos);
  CHECK(message_of(R"({"messages":[{"role":"user","content":"Hi"}]})").find("assistant") !=
        std::string::npos);
  CHECK(message_of(R"({"messages":"Hi"})").find("no list") != std::string::npos);
}

TEST_CASE("where a template rewrites earlier answers, only the last is learned") {
  const Corpus corpus(kChat);
  // As templates do that drop what a model thought: only the last message is written in full.
  const text::ChatTemplate forgetful(
      "{%- for m in messages -%}{{ '<' + m['role'] + '>' }}"
      "{%- if m['role'] == 'assistant' and not loop.last -%}...{%- else -%}{{ m['content'] }}{%- endif -%}"
      "{{ '</>' }}{%- endfor -%}{%- if add_generation_prompt -%}<assistant>{%- endif -%}",
      "test", {});
  const auto pieces = chat_pieces(forgetful, parse_ordered_json(kChat, "JSON")["messages"]);
  REQUIRE(pieces.size() == 2);
  CHECK_FALSE(pieces[0].is_target);
  CHECK(pieces[0].text.ends_with("<assistant>...</><user>Bye</><assistant>"));
  CHECK(pieces[1].text == "See you.</>");
}

TEST_CASE("text to judge by is taken from the documents, or from the end of a single one") {
  const auto make = [](size_t n_documents, size_t n_tokens) {
    std::vector<Document> documents(n_documents);
    int32_t token = 0;
    for (Document& document : documents)
      for (size_t i = 0; i < n_tokens; ++i, document.is_target.push_back(1))
        document.tokens.push_back(token++);
    return documents;
  };
  auto many = make(45, 10);
  const auto taken = hold_back(many, 16, 1000);
  REQUIRE(taken.size() == 2);
  CHECK(many.size() == 43);
  CHECK(taken[0].tokens[0] == 190);
  CHECK(std::ranges::none_of(many, [&](const Document& kept) { return kept.tokens == taken[0].tokens; }));
  auto limited = make(400, 10);
  CHECK(hold_back(limited, 16, 25).size() == 3);

  auto one = make(1, 1000);
  const auto end = hold_back(one, 16, 1000);
  REQUIRE(end.size() == 1);
  CHECK(end[0].tokens.size() == 50);
  CHECK(end[0].tokens[0] == 950);
  CHECK(one[0].tokens.size() == 950);
  CHECK(one[0].is_target.size() == 950);
  auto little = make(1, 100);
  CHECK(hold_back(little, 16, 1000).empty());
  CHECK(little[0].tokens.size() == 100);
  auto few = make(19, 100);
  CHECK(hold_back(few, 16, 1000).empty());
}
