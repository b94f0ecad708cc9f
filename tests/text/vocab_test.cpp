#include "text/vocab.h"

#include "base/error.h"
#include "format/model_file.h"
#include "text/tokenizer.h"

#include <doctest/doctest.h>

#include <cmath>

using namespace ruvllm;
using format::ValueType;

namespace {

struct TinyModel {
  std::vector<std::string> spellings{"<unk>", "<s>", "</s>", "\xE2\x96\x81", "a", "b", "ab", "<0x0A>"};
  std::vector<float> scores{0, 0, 0, -1, -2, -3, -4, 0};
  std::vector<int32_t> kinds{2, 3, 3, 1, 1, 1, 1, 6};
  std::string model = "llama";

  format::ModelFile build() const {
    format::ModelFile file;
    format::Metadata& metadata = file.metadata;
    metadata.set("tokenizer.ggml.model", metadata.keep(model));
    metadata.set("tokenizer.ggml.tokens", metadata.keep_strings(spellings));
    metadata.set("tokenizer.ggml.scores",
                 metadata.keep_array(ValueType::f32, std::as_bytes(std::span(scores))));
    metadata.set("tokenizer.ggml.token_type",
                 metadata.keep_array(ValueType::i32, std::as_bytes(std::span(kinds))));
    return file;
  }
};

// The message of the refusal, which must be of the kind "corrupt file"; empty where the model is accepted.
std::string refusal(const format::ModelFile& file) {
  try {
    (void)text::make_tokenizer(file);
    return "";
  } catch (const Error& error) {
    CHECK(error.code() == Errc::corrupt_file);
    return error.what();
  }
}

bool names(const std::string& message, std::string_view key) {
  return message.find(key) != std::string::npos;
}

}  // namespace

TEST_CASE("a small sound vocabulary is accepted and found again") {
  const format::ModelFile file = TinyModel().build();
  CHECK(refusal(file) == "");
  const text::Vocab vocab = text::read_vocab(file.metadata);
  CHECK(vocab.n_tokens() == 8);
  CHECK(vocab.find("ab") == 6);
  CHECK(!vocab.find("ba"));
  CHECK(vocab.byte_token('\n') == 7);
  CHECK(!vocab.byte_token('a'));
  CHECK(vocab.longest_spelling() == 6);
}

TEST_CASE("arrays of another element type or length are refused, and the key is named") {
  constexpr ValueType kTypes[] = {ValueType::u8,  ValueType::i8,  ValueType::u16, ValueType::i16,
                                  ValueType::u32, ValueType::i32, ValueType::f32, ValueType::boolean,
                                  ValueType::u64, ValueType::i64, ValueType::f64};
  const std::vector<std::byte> zeros(8 * 16);
  for (const std::string key :
       {"tokenizer.ggml.tokens", "tokenizer.ggml.scores", "tokenizer.ggml.token_type"}) {
    for (const ValueType type : kTypes) {
      for (const size_t n : {size_t{0}, size_t{7}, size_t{8}, size_t{9}}) {
        const bool right_type = (key == "tokenizer.ggml.scores" && type == ValueType::f32) ||
                                (key == "tokenizer.ggml.token_type" && type == ValueType::i32);
        if (right_type && n == 8) continue;
        format::ModelFile file = TinyModel().build();
        file.metadata.set(
            key, file.metadata.keep_array(type, std::span(zeros).first(n * format::value_type_bytes(type))));
        CAPTURE(key);
        CAPTURE(format::value_type_name(type));
        CAPTURE(n);
        CHECK(names(refusal(file), key));
      }
    }
    format::ModelFile file = TinyModel().build();
    if (key != "tokenizer.ggml.tokens") {
      file.metadata.set(key, file.metadata.keep_strings(TinyModel().spellings));
      CHECK(names(refusal(file), key));
    }
    file.metadata.set(key, std::string_view("one string"));
    CHECK(names(refusal(file), key));
  }
}

TEST_CASE("special ids outside the vocabulary are refused, and the key is named") {
  for (const std::string name : {"bos", "eos", "unknown", "padding", "eot", "eom", "mask", "cls"}) {
    const std::string key = "tokenizer.ggml." + name + "_token_id";
    CAPTURE(key);
    format::ModelFile file = TinyModel().build();
    file.metadata.set(key, uint32_t{7});
    CHECK(refusal(file) == "");
    for (const uint32_t id : {8u, 1u << 31, ~0u}) {
      file.metadata.set(key, id);
      CHECK(names(refusal(file), key));
    }
    file.metadata.set(key, int32_t{-1});
    CHECK(names(refusal(file), key));
    file.metadata.set(key, std::string_view("1"));
    CHECK(names(refusal(file), key));
  }
}

TEST_CASE("byte tokens that name no byte are refused") {
  for (const char* spelling : {"<0x-1>", "<0xZZ>", "<0x>", "<0x000>", "<0x0>", "0x00", "<0x1G>", ""}) {
    TinyModel model;
    model.spellings.back() = spelling;
    CAPTURE(spelling);
    CHECK(names(refusal(model.build()), "tokenizer.ggml.tokens"));
    CHECK(!text::parse_byte_spelling(spelling));
  }
  CHECK(text::parse_byte_spelling("<0xfF>") == 255);
}

TEST_CASE("odd but harmless tokens are accepted: empty, doubled, malformed, huge, of unknown kind") {
  TinyModel model;
  model.spellings = {"", "a", "a", "\xFF\xC3", std::string(1 << 20, 'x'), "<unk>", "b", "<0x0A>"};
  model.kinds = {1, 1, 1, 1, 1, 0, 77, 6};
  const format::ModelFile file = model.build();
  REQUIRE(refusal(file) == "");
  const auto tokenizer = text::make_tokenizer(file);
  CHECK(tokenizer->find("a") == 1);
  CHECK(!tokenizer->find(""));
  CHECK(tokenizer->kind(6) == text::TokenKind::unused);
  CHECK_NOTHROW((void)tokenizer->encode("aab\n\xFF\xC3 zz", {}));
}

TEST_CASE("vocabularies of no token are refused and of one token accepted") {
  TinyModel model;
  model.spellings.clear();
  model.scores.clear();
  model.kinds.clear();
  CHECK(names(refusal(model.build()), "tokenizer.ggml.tokens"));
  model.spellings = {"a"};
  model.scores = {0};
  model.kinds = {1};
  CHECK(refusal(model.build()) == "");
  model.scores = {NAN};
  CHECK(names(refusal(model.build()), "tokenizer.ggml.scores"));
}

TEST_CASE("a control token of more than half a kilobyte is refused: it would be searched for at every byte") {
  TinyModel model;
  model.spellings[1] = std::string(513, '<');
  CHECK(names(refusal(model.build()), "513 bytes"));
}

TEST_CASE("missing and unknown keys are named") {
  format::ModelFile file = TinyModel().build();
  file.metadata.erase("tokenizer.ggml.tokens");
  CHECK(names(refusal(file), "tokenizer.ggml.tokens"));
  file = TinyModel().build();
  file.metadata.erase("tokenizer.ggml.model");
  CHECK(names(refusal(file), "tokenizer.ggml.model"));
  TinyModel model;
  model.model = "rwkv\n";
  CHECK(refusal(model.build()) ==
        "tokenizer.ggml.model is \"rwkv\\n\", expected llama, gpt2, gemma4, t5, bert or none");
  file = TinyModel().build();
  file.metadata.set("tokenizer.ggml.add_sep_token", true);
  CHECK(names(refusal(file), "sep"));
}

TEST_CASE("merges with a missing part are refused, those that name no token are passed over and told") {
  TinyModel model;
  model.model = "gpt2";
  const auto with_merges = [&](std::vector<std::string> merges) {
    format::ModelFile file = model.build();
    file.metadata.set("tokenizer.ggml.merges", file.metadata.keep_strings(merges));
    return file;
  };
  CHECK(names(refusal(model.build()), "tokenizer.ggml.merges"));
  for (const char* merge : {"", " ", "a", "a ", " a"}) {
    CAPTURE(merge);
    CHECK(names(refusal(with_merges({"a b", merge})), "tokenizer.ggml.merges"));
  }
  for (const char* merge : {"ab b", "a c", "c a", "b a"}) {
    CAPTURE(merge);
    const auto tokenizer = text::make_tokenizer(with_merges({merge, "a b", merge}));
    CHECK(tokenizer->encode("ab", {.add_special = false}) == std::vector<text::TokenId>{6});
    CHECK(names(std::string(tokenizer->warning()), "tokenizer.ggml.merges: merge 0 names"));
    CHECK(names(std::string(tokenizer->warning()), "ignored 2 such of 3"));
  }
  const auto tokenizer = text::make_tokenizer(with_merges({"a b", "a b"}));  // the first of two counts
  CHECK(tokenizer->encode("ab", {.add_special = false}) == std::vector<text::TokenId>{6});
}

TEST_CASE("an unknown pre-tokeniser is replaced, and the warning says by what") {
  TinyModel model;
  model.model = "gpt2";
  format::ModelFile file = model.build();
  file.metadata.set("tokenizer.ggml.merges", file.metadata.keep_strings(std::vector<std::string>{"a b"}));
  CHECK(names(std::string(text::make_tokenizer(file)->warning()),
              "tokenizer.ggml.pre is missing: assumed \"default\""));
  file.metadata.set("tokenizer.ggml.pre", std::string_view("made-up\x1b"));
  CHECK(names(std::string(text::make_tokenizer(file)->warning()),
              "\"made-up\\x1b\", which is unknown: assumed \"qwen2\""));
  file.metadata.set("tokenizer.ggml.pre", std::string_view("gpt-2"));
  CHECK(text::make_tokenizer(file)->warning() == "");
}

TEST_CASE("a table of replacements of any size is taken or refused, never followed outside itself") {
  TinyModel model;
  model.model = "t5";
  for (size_t n_bytes = 0; n_bytes <= 64; ++n_bytes) {
    for (const uint8_t fill : {0x00, 0x04, 0x08, 0x40, 0xFF}) {
      format::ModelFile file = model.build();
      std::vector<std::byte> table(n_bytes, std::byte{fill});
      if (n_bytes > 8) table[1] = table[2] = table[3] = std::byte{0};
      file.metadata.set("tokenizer.ggml.precompiled_charsmap",
                        file.metadata.keep_array(ValueType::u8, table));
      const std::string message = refusal(file);
      if (!message.empty()) CHECK(names(message, "tokenizer.ggml.precompiled_charsmap"));
      if (n_bytes >= 1 && n_bytes < 4) CHECK(!message.empty());
      if (message.empty()) CHECK_NOTHROW((void)text::make_tokenizer(file)->encode("ab a \xC3\xA9\xFF", {}));
    }
  }
}

TEST_CASE("end tokens are EOS and what chat models end a turn with, and those become control tokens") {
  TinyModel model;
  model.spellings[6] = "<|im_end|>";
  format::ModelFile file = model.build();
  file.metadata.set("tokenizer.ggml.eos_token_id", uint32_t{2});
  const auto tokenizer = text::make_tokenizer(file);
  CHECK(std::vector<text::TokenId>(tokenizer->end_tokens().begin(), tokenizer->end_tokens().end()) ==
        std::vector<text::TokenId>{2, 6});
  CHECK(tokenizer->kind(6) == text::TokenKind::control);
  CHECK(tokenizer->encode("<|im_end|>", {.add_special = false, .parse_special = true}) ==
        std::vector<text::TokenId>{6});
}
