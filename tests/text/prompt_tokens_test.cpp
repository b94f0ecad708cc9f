#include "text/prompt_tokens.h"
#include "format/model_file.h"
#include "text/cut.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace ruvllm;
using text::TokenKind;

namespace {

// A SentencePiece vocabulary that spells "ok" with and without a space in front.
std::shared_ptr<const text::Tokenizer> sentence_pieces() {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>", "<mark>"};
  std::vector<int32_t> kinds = {2, 3, 3, 3};
  for (const char* piece :
       {"\xE2\x96\x81", "o", "k", "Q", ":", "ok", "\xE2\x96\x81ok", "\xE2\x96\x81Q", "\n"}) {
    tokens.emplace_back(piece);
    kinds.push_back(1);
  }
  std::vector<float> scores(tokens.size());
  for (size_t i = 0; i < scores.size(); ++i) scores[i] = static_cast<float>(i);
  format::ModelFile file;
  format::Metadata& metadata = file.metadata;
  metadata.set("tokenizer.ggml.model", metadata.keep("llama"));
  metadata.set("tokenizer.ggml.tokens", metadata.keep_strings(tokens));
  metadata.set("tokenizer.ggml.token_type",
               metadata.keep_array(format::ValueType::i32, std::as_bytes(std::span(kinds))));
  metadata.set("tokenizer.ggml.scores",
               metadata.keep_array(format::ValueType::f32, std::as_bytes(std::span(scores))));
  metadata.set("tokenizer.ggml.bos_token_id", uint32_t{1});
  metadata.set("tokenizer.ggml.eos_token_id", uint32_t{2});
  return text::make_tokenizer(file);
}

std::vector<std::string> spell(const text::Tokenizer& tokenizer, const std::vector<text::TokenId>& tokens) {
  std::vector<std::string> spelled;
  for (const text::TokenId token : tokens) spelled.emplace_back(tokenizer.spelling(token));
  return spelled;
}

using Spelled = std::vector<std::string>;

}  // namespace

TEST_CASE("an answer has no space of its own, and keeps one that it is written with") {
  const auto tokenizer = sentence_pieces();
  const auto answer = [&](std::string_view text) {
    return spell(*tokenizer, text::answer_tokens(*tokenizer, text, true));
  };
  CHECK(spell(*tokenizer, text::plain_prompt_tokens(*tokenizer, "Q:", false)) ==
        Spelled{"<s>", "\xE2\x96\x81Q", ":"});
  CHECK(answer("ok") == Spelled{"ok"});
  CHECK(answer(" ok") == Spelled{"\xE2\x96\x81ok"});
  CHECK(answer("").empty());
  CHECK(answer("ok</s>") == Spelled{"ok", "</s>"});
  // Behind a special token a text begins anew, as it does in a prompt.
  CHECK(answer("<mark>ok") == Spelled{"<mark>", "\xE2\x96\x81ok"});
}

TEST_CASE("BOS stands in front once, whoever writes it") {
  const auto tokenizer = sentence_pieces();
  const Spelled wanted = {"<s>", "\xE2\x96\x81Q", ":"};
  CHECK(spell(*tokenizer, text::plain_prompt_tokens(*tokenizer, "<s>Q:", true)) == wanted);
  CHECK(spell(*tokenizer, text::prompt_tokens(*tokenizer, {"Q:", {}})) == wanted);
  CHECK(spell(*tokenizer, text::prompt_tokens(*tokenizer, {"<s>Q:", {}})) == wanted);
  // What a user writes is no BOS.
  const Spelled written = spell(*tokenizer, text::prompt_tokens(*tokenizer, {"<s>Q:", {{0, 3}}}));
  CHECK(std::ranges::count(written, "<s>") == 1);
  CHECK(written.size() > wanted.size());
  CHECK(written.front() == "<s>");
  CHECK(written.back() == ":");
}

TEST_CASE("a template without a system role gets the system text with the user's") {
  const text::ChatTemplate plain(
      "{%- for m in messages -%}{%- if m.role == 'user' -%}[{{ m.content }}]{%- endif -%}{%- endfor -%}",
      "test", {});
  text::ChatRequest request;
  request.messages = {{{"role", "system"}, {"content", "S"}}, {{"role", "user"}, {"content", "U"}}};
  CHECK(text::render_prompt(plain, request).text == "[S\n\nU]");
}

TEST_CASE("cutters put nothing in front of the first word of a text that goes on") {
  const auto cut = [](const text::Cutter& cutter, text::FragmentPlace place) {
    text::CutText text{"ok", {{0, 2}}, place, {}};
    cutter(text);
    return std::string(text.word(text.words.at(0)));
  };
  const text::Cutter always = text::metaspace("_", text::PrependScheme::always, false);
  CHECK(cut(always, text::FragmentPlace::after_added_token) == "_ok");
  CHECK(cut(always, text::FragmentPlace::after_text) == "ok");
  CHECK(cut(text::add_prefix_space(), text::FragmentPlace::first) == " ok");
  CHECK(cut(text::add_prefix_space(), text::FragmentPlace::after_text) == "ok");
}
