#include "train/dataset.h"
#include "base/file.h"
#include "format/model_file.h"
#include "test_support.h"
#include "text/prompt_tokens.h"
#include "train/fresh_model.h"
#include "train/row_documents.h"

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
  std::shared_ptr<const text::ChatTemplate> chat_template;
  mutable DataNotes notes;

  explicit Corpus(std::string_view lines, const char* name = "data.jsonl") : files{folder / name} {
    write_file_atomically(files[0], std::string(lines));
    ModelShape shape = read_model_shape(Json{{"vocab_size", 270}}, "shape");
    add_trained_tokenizer(shape, "Hi there. Be kind. Hello, hello. See you. Bye.");
    format::ModelFile file;
    file.metadata = shape.metadata;
    tokenizer = text::make_tokenizer(file);
    chat_template = std::make_shared<const text::ChatTemplate>(*text::load_chat_template(file, *tokenizer));
  }
  void speak(std::string_view source) {
    chat_template =
        std::make_shared<const text::ChatTemplate>(source, "test", text::tokenizer_variables(*tokenizer));
  }
  std::vector<Document> read() const {
    return read_documents(files, *tokenizer, ChatReader(chat_template), false, notes);
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
  const auto prompt =
      text::prompt_tokens(*corpus.tokenizer, text::render_prompt(*corpus.chat_template, request));
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
  CHECK(message_of(R"({"messages":"Hi"})").find("data.jsonl:1: \"messages\" is no list") !=
        std::string::npos);
  CHECK(message_of(R"({"messages":[{"role":"user","content":"Hi"}]})").find("nothing to learn") !=
        std::string::npos);
}

TEST_CASE(
    "where a template rewrites earlier answers, each answer is learned after the prompt that asks for it") {
  Corpus corpus(kChat);
  // As templates do that drop what a model thought: only the last message is written in full.
  corpus.speak(
      "{%- for m in messages -%}{{ '<' + m['role'] + '>' }}"
      "{%- if m['role'] == 'assistant' and not loop.last -%}...{%- else -%}{{ m['content'] }}{%- endif -%}"
      "{{ '</>' }}{%- endfor -%}{%- if add_generation_prompt -%}<assistant>{%- endif -%}");
  const std::vector<Document> documents = corpus.read();
  REQUIRE(documents.size() == 2);
  const auto text_of = [&](size_t i) { return corpus.tokenizer->decode(documents[i].tokens, true); };
  CHECK(text_of(0) ==
        "<|endoftext|><system>Be kind.</><user>Hi <|im_end|></><assistant>Hello there.</><|endoftext|>");
  CHECK(text_of(1) ==
        "<|endoftext|><system>Be kind.</><user>Hi <|im_end|></><assistant>...</><user>Bye</><assistant>"
        "See you.</><|endoftext|>");
  CHECK(corpus.learned(documents[0]) == "Hello there.</><|endoftext|>");
  CHECK(corpus.learned(documents[1]) == "See you.</><|endoftext|>");
}

TEST_CASE("a template that writes BOS itself gives a row one, as it gives a prompt one") {
  const Corpus plain(kChat);
  Corpus with_bos(kChat);
  with_bos.speak("{{- bos_token -}}" + std::string(*text::find_chat_format("chatml")));
  CHECK(plain.read()[0].tokens == with_bos.read()[0].tokens);
}

TEST_CASE("special tokens that a text spells out are special, and its end is not written twice") {
  const Corpus corpus(
      R"({"text":"<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n"})");
  const Document document = corpus.read()[0];
  const auto count = [&](const char* spelling) {
    return std::ranges::count(document.tokens, *corpus.tokenizer->find(spelling));
  };
  CHECK(count("<|im_start|>") == 2);
  CHECK(count("<|im_end|>") == 2);
  CHECK(count("<|endoftext|>") == 1);  // in front
  CHECK(corpus.notes.n_marked == 1);
  CHECK(corpus.notes.marks.contains("<|im_start|>"));

  const Corpus begun(R"({"text":"<|endoftext|>Hello"})");
  const Document one = begun.read()[0];
  CHECK(std::ranges::count(one.tokens, *begun.tokenizer->bos()) == 2);  // one in front, one at the end
}

TEST_CASE("rows with nothing to learn are left out and counted") {
  const Corpus corpus(
      "{\"text\":\"\"}\n{\"prompt\":\"Hi\",\"completion\":\"\"}\n{\"text\":\"Hello\"}\n"
      R"({"messages":[{"role":"user","content":"Hi"}]})");
  CHECK(corpus.read().size() == 1);
  CHECK(corpus.notes.n_rows == 4);
  CHECK(corpus.notes.n_empty == 3);
  CHECK(corpus.notes.lines()[0].starts_with("3 of 4 rows"));
}

TEST_CASE("pieces without a target are no part of a batch, and prompts that fill a sequence are counted") {
  std::vector<Document> documents(2);
  for (int32_t token = 0; token < 40; ++token) {
    documents[0].tokens.push_back(token);
    documents[0].is_target.push_back(token >= 35);
    documents[1].tokens.push_back(100 + token);
    documents[1].is_target.push_back(token >= 2);
  }
  BatchMaker batches(documents, 16, 64, 1);
  CHECK(batches.n_cut_prompts() == 1);
  CHECK(batches.n_idle_pieces() == 2);
  CHECK(batches.n_pieces() == 4);
  uint64_t n_targets = 0;
  for (const Batch& batch : batches.epoch(0)) {
    for (const int32_t target : batch.targets) n_targets += target >= 0;
    CHECK(std::ranges::none_of(batch.tokens, [](int32_t token) { return token < 32; }));
  }
  CHECK(n_targets == 5 + 38);
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

TEST_CASE("by real templates, the tokens before each answer are those that a chat feeds") {
  const auto folder = test::test_data("chat-templates/templates");
  const auto model = test::test_data("stories260K/stories260K.gguf");
  if (!folder || !model) return;
  const auto tokenizer = text::make_tokenizer(*format::open_model_file(*model));
  const Conversation conversation =
      read_row(parse_ordered_json(
                   R"({"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello."},)"
                   R"({"role":"user","content":"Bye"},{"role":"assistant","content":"See you."}]})",
                   "JSON"),
               true)
          .conversation;
  uint64_t n_templates = 0, n_refused = 0;
  for (const auto& entry : std::filesystem::directory_iterator(*folder)) {
    CAPTURE(entry.path().string());
    ++n_templates;
    const auto chat_template = std::make_shared<const text::ChatTemplate>(
        read_file(entry.path(), 1 << 20), "test", text::tokenizer_variables(*tokenizer));
    DataNotes notes;
    const ChatRenderer render = ChatReader(chat_template);
    RowReader reader(*tokenizer, render, notes);
    std::vector<Document> documents;
    try {
      documents = reader.read({{"messages", conversation.messages}});
    } catch (const Error& error) {
      MESSAGE(entry.path().filename().string() << ": " << std::string(error.what()));
      ++n_refused;
      continue;
    }
    for (const size_t n : {1, 3}) {
      text::ChatRequest request;
      request.messages = {conversation.messages.begin(),
                          conversation.messages.begin() + static_cast<ptrdiff_t>(n)};
      std::tm day{};  // data is read as of the first of 2025
      day.tm_mday = 1, day.tm_year = 125, day.tm_wday = 3;
      request.now = day;
      const auto prompt = text::prompt_tokens(*tokenizer, text::render_prompt(*chat_template, request));
      // A document goes on from the prompt with something to learn.
      CHECK(std::ranges::any_of(documents, [&](const Document& document) {
        return document.tokens.size() > prompt.size() &&
               std::equal(prompt.begin(), prompt.end(), document.tokens.begin()) &&
               document.is_target[prompt.size()] && !document.is_target[prompt.size() - 1];
      }));
    }
  }
  MESSAGE(n_refused << " of " << n_templates << " templates refuse the conversation");
  CHECK(n_refused * 9 <= n_templates);
}
