// Which tokens have a part to play where a file says so, and where it leaves that out. Expected ids are those
// that llama.cpp v0.5.0 takes for the same files.
#include "base/error.h"
#include "format/model_file.h"
#include "text/tokenizer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

using namespace ruvllm;
using format::ValueType;
using text::TokenId;
using Ids = std::vector<TokenId>;

namespace {

// A GGUF file's metadata with a vocabulary of `n_tokens` fillers, some of them spelled otherwise.
struct Vocabulary {
  std::string model = "llama";
  size_t n_tokens = 16;
  std::map<TokenId, std::string> spellings = {};
  std::map<TokenId, text::TokenKind> kinds = {};

  format::ModelFile build() const {
    format::ModelFile file;
    format::Metadata& metadata = file.metadata;
    std::vector<std::string> words;
    std::vector<float> scores(n_tokens);
    std::vector<int32_t> numbers(n_tokens, 1);
    for (size_t i = 0; i < n_tokens; ++i) words.push_back("word" + std::to_string(i));
    for (const auto& [id, spelling] : spellings) words.at(static_cast<size_t>(id)) = spelling;
    for (const auto& [id, kind] : kinds) numbers.at(static_cast<size_t>(id)) = static_cast<int32_t>(kind);
    metadata.set("tokenizer.ggml.model", metadata.keep(model));
    metadata.set("tokenizer.ggml.tokens", metadata.keep_strings(words));
    metadata.set("tokenizer.ggml.scores",
                 metadata.keep_array(ValueType::f32, std::as_bytes(std::span(scores))));
    metadata.set("tokenizer.ggml.token_type",
                 metadata.keep_array(ValueType::i32, std::as_bytes(std::span(numbers))));
    if (model == "gpt2") {
      metadata.set("tokenizer.ggml.merges", metadata.keep_strings(std::vector<std::string>()));
      metadata.set("tokenizer.ggml.pre", std::string_view("gpt-2"));
    }
    return file;
  }
};

Ids ends_of(const text::Tokenizer& tokenizer) {
  Ids ends(tokenizer.end_tokens().begin(), tokenizer.end_tokens().end());
  std::ranges::sort(ends);
  return ends;
}

// Whether a token of plain kind that is spelled so ends a text, beside EOS (2) and what `others` add.
bool ends_a_text(const std::string& spelling, std::map<TokenId, std::string> others = {}) {
  Vocabulary vocabulary;
  vocabulary.spellings = std::move(others);
  vocabulary.spellings[5] = spelling;
  const auto tokenizer = text::make_tokenizer(vocabulary.build());
  return std::ranges::find(tokenizer->end_tokens(), 5) != tokenizer->end_tokens().end();
}

}  // namespace

TEST_CASE("a SentencePiece file without ids begins with token 1, ends with 2 and knows 0 as unknown") {
  const auto tokenizer = text::make_tokenizer(Vocabulary().build());
  CHECK(tokenizer->bos() == 1);
  CHECK(tokenizer->eos() == 2);
  CHECK(tokenizer->adds_bos());
  CHECK(ends_of(*tokenizer) == Ids{2});
  CHECK(tokenizer->encode("word5", {}).front() == 1);
  CHECK(tokenizer->encode("\xC3\xA9", {.add_special = false}) == Ids{0, 0});

  format::ModelFile file = Vocabulary().build();
  file.metadata.set("tokenizer.ggml.add_bos_token", false);
  file.metadata.set("tokenizer.ggml.bos_token_id", uint32_t{7});
  const auto stated = text::make_tokenizer(file);
  CHECK(stated->bos() == 7);
  CHECK_FALSE(stated->adds_bos());
}

TEST_CASE("a byte-level file without ids begins with token 11 where it wants a BOS, with a warning") {
  Vocabulary vocabulary{.model = "gpt2"};
  CHECK_FALSE(text::make_tokenizer(vocabulary.build())->bos());
  CHECK(ends_of(*text::make_tokenizer(vocabulary.build())).empty());

  format::ModelFile file = vocabulary.build();
  file.metadata.set("tokenizer.ggml.add_bos_token", true);
  const auto tokenizer = text::make_tokenizer(file);
  CHECK(tokenizer->bos() == 11);
  CHECK(tokenizer->adds_bos());
  CHECK(tokenizer->warning() == "tokenizer.ggml.bos_token_id is missing: assumed 11, \"word11\"");
  CHECK(ends_of(*tokenizer).empty());  // an ordinary word ends nothing

  vocabulary.kinds[11] = text::TokenKind::control;
  const auto falcon = text::make_tokenizer(vocabulary.build());
  CHECK(falcon->bos() == 11);
  CHECK(ends_of(*falcon) == Ids{11});
  CHECK(falcon->warning().empty());
}

TEST_CASE("WordPiece and Unigram files without ids find their roles by spelling, else by the usual ids") {
  Vocabulary bert{.model = "bert", .n_tokens = 110};
  const auto by_id = text::make_tokenizer(bert.build());
  CHECK(by_id->encode("", {}) == Ids{101, 102});
  bert.spellings = {{3, "[CLS]"}, {4, "[SEP]"}};
  CHECK(text::make_tokenizer(bert.build())->encode("", {}) == Ids{3, 4});

  Vocabulary t5{.model = "t5"};
  CHECK(text::make_tokenizer(t5.build())->eos() == 1);
  t5.spellings = {{6, "</s>"}};
  CHECK(text::make_tokenizer(t5.build())->eos() == 6);
}

TEST_CASE("a text ends with any token that is spelled as an end, whatever its kind") {
  for (const char* spelling : {"<|im_end|>",
                               "<|eot_id|>",
                               "<end_of_turn>",
                               "<|endoftext|>",
                               "<|eom_id|>",
                               "<EOT>",
                               "_<EOT>",
                               "[EOT]",
                               "[EOS]",
                               "<|end_of_text|>",
                               "<|return|>",
                               "<|call|>",
                               "<|calls|>",
                               "<|flush|>",
                               "<turn|>",
                               "<|tool_response>",
                               "<end_of_utterance>",
                               "<｜end▁of▁sentence｜>",
                               "<eos>",
                               "[e~[",
                               "<|end|>",
                               "<|fim_pad|>",
                               "<fim-pad>",
                               "<fim_pad>",
                               "<PAD>",
                               "[PAD]",
                               "<|fim_repo|>",
                               "<|repo_name|>",
                               "<fim-repo>",
                               "<REPO>",
                               "<reponame>",
                               "<|file_sep|>"})
    CHECK_MESSAGE(ends_a_text(spelling), spelling);
  for (const char* spelling :
       {"<|eos|>", "<|eot|>", "<|user|>", "<|observation|>", "<|end_of_turn|>", "<|END_OF_TURN_TOKEN|>",
        "<|endofturn|>", "<|message_end|>", "<|EOT|>", "<calls|>", "<|tool_response|>", "<|fim_prefix|>"})
    CHECK_MESSAGE(!ends_a_text(spelling), spelling);
}

TEST_CASE("<|end|> is inside a turn where calls end it together with returns or flushes") {
  CHECK(ends_a_text("<|end|>", {{6, "<|return|>"}}));
  CHECK(ends_a_text("<|end|>", {{6, "<|call|>"}}));
  CHECK_FALSE(ends_a_text("<|end|>", {{6, "<|return|>"}, {7, "<|call|>"}}));
  CHECK_FALSE(ends_a_text("<|end|>", {{6, "<|return|>"}, {7, "<|calls|>"}}));
  CHECK_FALSE(ends_a_text("<|end|>", {{6, "<|flush|>"}, {7, "<|calls|>"}}));
  CHECK(ends_a_text("<|end|>", {{6, "<|call|>"}, {7, "<|calls|>"}}));
}

TEST_CASE("one padding, one repository and one file mark end a text: the one that the file names") {
  Vocabulary vocabulary;
  vocabulary.spellings = {{4, "<fim_pad>"}, {5, "<|fim_pad|>"}, {6, "<reponame>"}, {7, "<|file_sep|>"}};
  CHECK(ends_of(*text::make_tokenizer(vocabulary.build())) == Ids{2, 5, 6, 7});
  format::ModelFile file = vocabulary.build();
  file.metadata.set("tokenizer.ggml.fim_pad_token_id", uint32_t{4});
  file.metadata.set("tokenizer.ggml.fim_rep_token_id", uint32_t{9});
  CHECK(ends_of(*text::make_tokenizer(file)) == Ids{2, 4, 7, 9});
}

TEST_CASE("what is never sampled: suppressed tokens, and rows that pad the embedding") {
  format::ModelFile file = Vocabulary().build();
  const std::vector<int32_t> suppressed = {9, 3, 9};
  file.metadata.set("tokenizer.ggml.suppress_tokens",
                    file.metadata.keep_array(ValueType::i32, std::as_bytes(std::span(suppressed))));
  const auto tokenizer = text::make_tokenizer(file);
  CHECK(text::forbidden_tokens(*tokenizer, 16) == Ids{3, 9});
  CHECK(text::forbidden_tokens(*tokenizer, 19) == Ids{3, 9, 16, 17, 18});

  const std::vector<int32_t> beyond = {16};
  file.metadata.set("tokenizer.ggml.suppress_tokens",
                    file.metadata.keep_array(ValueType::i32, std::as_bytes(std::span(beyond))));
  CHECK_THROWS_WITH_AS((void)text::make_tokenizer(file), doctest::Contains("suppress_tokens"), Error);
}

TEST_CASE("a model that says it has no tokenizer gives none of its text, and takes none") {
  for (const char* kind : {"none", "no_vocab"}) {
    format::ModelFile file;
    file.metadata.set("tokenizer.ggml.model", std::string_view(kind));
    const auto tokenizer = text::make_tokenizer(file);
    CHECK_THROWS_WITH_AS((void)tokenizer->encode("a", {}), doctest::Contains("no tokenizer"), Error);
    CHECK_THROWS_WITH_AS((void)tokenizer->decode(Ids{1}, true), doctest::Contains(kind), Error);
    CHECK(tokenizer->token_bytes(1, true).empty());
  }
}

TEST_CASE("keys of normalisation win over what a WordPiece vocabulary looks like") {
  Vocabulary bert{.model = "bert", .n_tokens = 110};
  bert.spellings = {{5,
                     "\xE2\x96\x81"
                     "cafe"},
                    {6,
                     "\xE2\x96\x81"
                     "caf\xC3\xA9"},
                    {7,
                     "\xE2\x96\x81"
                     "Cafe"}};
  const auto ids = [&](std::optional<bool> lower, std::optional<bool> strip) {
    format::ModelFile file = bert.build();
    if (lower) file.metadata.set("tokenizer.ggml.normalizer.lowercase", *lower);
    if (strip) file.metadata.set("tokenizer.ggml.normalizer.strip_accents", *strip);
    return text::make_tokenizer(file)->encode("Cafe caf\xC3\xA9", {.add_special = false});
  };
  CHECK(ids({}, {}) == Ids{7, 6});  // a capital letter: a cased vocabulary
  CHECK(ids(true, {}) == Ids{5, 5});
  CHECK(ids(true, false) == Ids{5, 6});
  CHECK(ids(false, true) == Ids{7, 5});
}

TEST_CASE("templates are lent the special tokens that a file names") {
  Vocabulary vocabulary;
  vocabulary.spellings = {{0, "<unk>"}, {3, "<pad>"}};
  format::ModelFile file = vocabulary.build();
  file.metadata.set("tokenizer.ggml.padding_token_id", uint32_t{3});
  const auto tokenizer = text::make_tokenizer(file);
  using Named = std::vector<std::pair<std::string, std::string>>;
  CHECK(tokenizer->special_texts().named == Named{{"unk_token", "<unk>"}, {"pad_token", "<pad>"}});
}
