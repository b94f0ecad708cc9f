#include "text/tokenizer_json.h"

#include "base/error.h"
#include "base/random.h"
#include "base/utf8.h"
#include "reference.h"
#include "text/normalise.h"

#include <fstream>

using namespace ruvllm;
using Ids = std::vector<text::TokenId>;

namespace {

const std::string kByteLevel =
    R"({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true})";

std::shared_ptr<const text::Tokenizer> parse(const Json& document, const Json& config = Json::object()) {
  text::TokenizerConfig beside;
  beside.config = config;
  return text::parse_tokenizer_json(document.dump(), beside);
}

std::string refusal(const Json& document, const Json& config = Json::object()) {
  try {
    (void)parse(document, config);
    return "";
  } catch (const Error& error) {
    CHECK(error.code() == Errc::corrupt_file);
    return error.what();
  }
}

// A GGUF vocabulary of byte pairs written as the tokenizer.json that it came from.
Json to_tokenizer_json(const std::string& name, Json pre_tokenizer, bool ignore_merges) {
  const auto model = format::open_model_file(*test::vocabulary_file(name));
  const auto* tokens = model->metadata.array("tokenizer.ggml.tokens", format::ValueType::string);
  const auto* kinds = model->metadata.array("tokenizer.ggml.token_type", format::ValueType::i32);
  const auto* merges = model->metadata.array("tokenizer.ggml.merges", format::ValueType::string);
  Json vocab = Json::object(), added = Json::array(), pairs = Json::array();
  for (uint64_t id = 0; id < tokens->n_elements; ++id) {
    const std::string spelling(tokens->strings[id]);
    if (kinds->integer(id) == 1) {
      vocab[spelling] = id;
    } else {
      added.push_back({{"id", id}, {"content", spelling}, {"special", kinds->integer(id) == 3}});
    }
  }
  for (const std::string_view merge : merges->strings) pairs.push_back(std::string(merge));
  return {
      {"added_tokens", added},
      {"pre_tokenizer", pre_tokenizer},
      {"decoder", Json::parse(kByteLevel)},
      {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", pairs}, {"ignore_merges", ignore_merges}}}};
}

std::vector<std::string> sample_texts() {
  std::vector<std::string> texts;
  if (const auto path = test::test_data("tokenizers/extra.json")) {
    const Json extra = parse_json(read_file(*path, 1 << 20), "extra.json");
    for (const Json& test_case : extra.at("cases")) texts.push_back(test_case["text"].get<std::string>());
  }
  if (const auto path = test::test_data("stories260K/stories-eval.txt"))
    texts.push_back(read_file(*path, 1 << 20));
  Random random(test::test_seed());
  for (int i = 0; i < 300; ++i) {
    std::string text;
    for (uint64_t n = random.below(40); n > 0; --n)
      append_utf8(text,
                  static_cast<uint32_t>(random.below(4) ? 0x20 + random.below(0x5F) : random.below(0xD800)));
    texts.push_back(text);
  }
  return texts;
}

}  // namespace

TEST_CASE("stories260K encodes alike as GGUF, tokenizer.json and tokenizer.model") {
  const auto gguf = test::vocabulary("stories260K");
  const auto folder = test::test_data("stories260K/hf");
  if (!gguf || !folder) return;
  const auto json = text::make_tokenizer_of_folder(*folder);
  const test::TemporaryFolder copy;
  for (const char* name : {"tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"})
    std::filesystem::copy_file(*folder / name, copy / name);
  const auto sentencepiece = text::make_tokenizer_of_folder(copy.path());

  for (const auto& tokenizer : {json, sentencepiece}) {
    CHECK(tokenizer->n_tokens() == gguf->n_tokens());
    CHECK(tokenizer->bos() == gguf->bos());
    CHECK(tokenizer->eos() == gguf->eos());
    CHECK(tokenizer->adds_bos() == gguf->adds_bos());
    CHECK(std::ranges::equal(tokenizer->end_tokens(), gguf->end_tokens()));
    CHECK(tokenizer->warning() == "");
    for (text::TokenId id = 0; id < gguf->n_tokens(); ++id) {
      CHECK(tokenizer->spelling(id) == gguf->spelling(id));
      CHECK(tokenizer->token_bytes(id, true) == gguf->token_bytes(id, true));
      CHECK(tokenizer->token_bytes(id, false) == gguf->token_bytes(id, false));
    }
    for (const std::string& text : sample_texts()) {
      CAPTURE(printable(text));
      for (const bool parse_special : {false, true}) {
        const Ids ids = tokenizer->encode(text, {.parse_special = parse_special});
        CHECK(ids == gguf->encode(text, {.parse_special = parse_special}));
        CHECK(tokenizer->decode(ids, true) == gguf->decode(ids, true));
      }
    }
  }
}

TEST_CASE("GPT-2's and Llama 3's vocabularies encode alike as GGUF and as tokenizer.json") {
  if (!test::vocabulary("gpt-2") || !test::vocabulary("llama-bpe")) return;
  const Json llama_split = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Split"},
         {"pattern",
          {{"Regex",
            R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}}},
         {"behavior", "Isolated"},
         {"invert", false}},
        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
  const std::pair<std::string, Json> documents[] = {
      {"gpt-2", to_tokenizer_json("gpt-2", Json::parse(kByteLevel), false)},
      {"llama-bpe", to_tokenizer_json("llama-bpe", llama_split, true)}};
  for (const auto& [name, document] : documents) {
    CAPTURE(name);
    const auto gguf = test::vocabulary(name);
    const auto json = parse(document);
    for (const std::string& text : sample_texts()) {
      CAPTURE(printable(text));
      const Ids ids = json->encode(text, {.add_special = false, .parse_special = true});
      CHECK(ids == gguf->encode(text, {.add_special = false, .parse_special = true}));
      CHECK(json->decode(ids, true) == text);
    }
  }
}

TEST_CASE("a WordPiece document works like BERT: lower case, punctuation apart, [CLS] and [SEP] around") {
  const Json document = Json::parse(R"({
    "added_tokens": [{"id": 0, "content": "[UNK]", "special": true}, {"id": 1, "content": "[CLS]", "special": true},
                     {"id": 2, "content": "[SEP]", "special": true}, {"id": 3, "content": "[MASK]", "special": true, "lstrip": true}],
    "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}},
      {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
      "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [1]}, "[SEP]": {"id": "[SEP]", "ids": [2]}}},
    "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
      "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "[MASK]": 3, "hello": 4, ",": 5, "caf": 6, "##e": 7, "##s": 8, "\u4e2d": 9, ".": 10}}})");
  const auto tokenizer = parse(document, {{"cls_token", "[CLS]"}, {"sep_token", {{"content", "[SEP]"}}}});
  CHECK(tokenizer->encode("Hello, CAF\xC3\x89s\xE4\xB8\xAD.", {}) == Ids{1, 4, 5, 6, 7, 8, 9, 10, 2});
  CHECK(tokenizer->encode("hello  [MASK].", {.parse_special = true}) == Ids{1, 4, 3, 10, 2});
  CHECK(tokenizer->encode("xyz", {.add_special = false}) == Ids{0});
  CHECK(tokenizer->decode(Ids{1, 4, 5, 6, 7, 8, 10, 2}, false) == "hello, cafes.");
}

TEST_CASE("a Unigram document works like T5: Metaspace in front of every word, EOS behind") {
  const Json document = Json::parse(R"({
    "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": true},
    "post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "</s>"}}],
      "special_tokens": {"</s>": {"ids": [1]}}},
    "decoder": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always"},
    "added_tokens": [{"id": 1, "content": "</s>", "special": true}],
    "model": {"type": "Unigram", "unk_id": 2, "vocab": [["<pad>", 0], ["</s>", 0], ["<unk>", 0], ["\u2581", -3], ["\u2581the", -2],
      ["\u2581cat", -5], ["s", -3], ["\u2581c", -4], ["at", -4], ["\u2581cats", -8.5]]}})");
  const auto tokenizer = parse(document, {{"eos_token", "</s>"}});
  CHECK(tokenizer->encode("the cats", {}) == Ids{4, 5, 6, 1});  // -5 - 3 beats -8.5
  CHECK(tokenizer->encode("the dat", {.add_special = false}) == Ids{4, 3, 2, 8});
  CHECK(tokenizer->decode(Ids{4, 5, 6, 1}, false) == "the cats");
  CHECK(tokenizer->eos() == 1);
}

TEST_CASE("add_bos_token and add_eos_token override the post-processor") {
  const Json document = {
      {"added_tokens", {{{"id", 1}, {"content", "<s>"}, {"special", true}}}},
      {"model", {{"type", "BPE"}, {"vocab", {{"a", 0}, {"<s>", 1}}}, {"merges", Json::array()}}}};
  CHECK(parse(document, {{"bos_token", "<s>"}})->encode("a", {}) == Ids{0});
  CHECK(parse(document, {{"bos_token", "<s>"}, {"add_bos_token", true}})->encode("a", {}) == Ids{1, 0});
  CHECK(parse(document, {{"eos_token", "<s>"}, {"add_eos_token", true}})->encode("a", {}) == Ids{0, 1});
  CHECK(refusal(document, {{"add_bos_token", true}}).find("add_bos_token") != std::string::npos);
}

TEST_CASE("end tokens come from generation_config.json too") {
  const test::TemporaryFolder folder;
  const auto write = [&](const char* name, const Json& json) { std::ofstream(folder / name) << json.dump(); };
  write("tokenizer.json",
        {{"model", {{"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 1}, {"c", 2}}}, {"merges", Json::array()}}}});
  write("generation_config.json", {{"eos_token_id", {1, 2}}});
  const auto tokenizer = text::make_tokenizer_of_folder(folder.path());
  CHECK(std::ranges::equal(tokenizer->end_tokens(), Ids{1, 2}));
  CHECK(tokenizer->eos() == 1);
  write("generation_config.json", {{"eos_token_id", 3}});
  CHECK_THROWS_AS((void)text::make_tokenizer_of_folder(folder.path()), Error);
}

TEST_CASE("what is wrong in a document is refused with its place") {
  const Json good = {
      {"model", {{"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}}}, {"merges", {"a b"}}}}};
  REQUIRE(refusal(good) == "");
  struct Case {
    const char* path;
    Json value;
    const char* names;
  };
  const Case cases[] = {
      {"/model", nullptr, "model"},
      {"/model/type", "CharBPE", "model: type"},
      {"/model/vocab", Json::array(), "model.vocab"},
      {"/model/vocab", Json::object(), "vocabulary is empty"},
      {"/model/vocab/a", -1, "model.vocab"},
      {"/model/vocab/a", 1u << 22, "model.vocab"},
      {"/model/vocab/a", 1'000'000, "far beyond"},
      {"/model/vocab/a", 1, "token 1 is \"a\" and \"b\""},
      {"/model/merges/0", "ab", "model.merges[0]"},
      {"/model/merges/0", "a c", "merge 0 names"},
      {"/model/merges/0", Json::array({"a"}), "model.merges[0]"},
      {"/model/merges", nullptr, "merges is missing"},
      {"/model/end_of_word_suffix", "</w>", "end_of_word_suffix"},
      {"/model/ignore_merges", 1, "model.ignore_merges"},
      {"/normalizer", {{"type", "NFX"}}, "normalizer: type \"NFX\" is unknown"},
      {"/normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", "AAA"}}, "precompiled_charsmap"},
      {"/normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", "A*"}}, "Base64"},
      {"/pre_tokenizer",
       {{"type", "Split"}, {"pattern", {{"Regex", "("}}}, {"behavior", "Isolated"}},
       "regular expression"},
      {"/pre_tokenizer", {{"type", "Punctuation"}, {"behavior", "Eaten"}}, "behavior"},
      {"/pre_tokenizer",
       {{"type", "Sequence"}, {"pretokenizers", {{{"type", "Z"}}}}},
       "pre_tokenizer.pretokenizers[0]"},
      {"/decoder", {{"type", "CTC"}}, "decoder: type"},
      {"/post_processor",
       {{"type", "BertProcessing"}, {"cls", {"x", 3}}, {"sep", {"y", 0}}},
       "post_processor.cls[1]"},
      {"/post_processor",
       {{"type", "BertProcessing"}, {"cls", {"x"}}, {"sep", {"y", 0}}},
       "post_processor.cls"},
      {"/added_tokens", {{{"id", 0}}}, "added_tokens[0]: content is missing"},
  };
  for (const Case& test_case : cases) {
    Json document = good;
    document[Json::json_pointer(test_case.path)] = test_case.value;
    CAPTURE(test_case.path);
    const std::string message = refusal(document);
    CAPTURE(message);
    CHECK(message.find(test_case.names) != std::string::npos);
  }
  CHECK_THROWS_AS((void)text::parse_tokenizer_json(std::string(100, '['), {}), Error);
  CHECK_THROWS_AS((void)text::parse_tokenizer_json("[]", {}), Error);
}

TEST_CASE(
    "a SentencePiece model that is cut short anywhere is refused or loads, and never reads past its end") {
  const auto path = test::test_data("stories260K/hf/tokenizer.model");
  if (!path) return;
  const std::string bytes = read_file(*path, 1 << 20);
  size_t n_refused = 0;
  for (size_t n = 0; n < bytes.size(); n += n < 200 ? 1 : 13) {
    try {
      (void)text::parse_sentencepiece_model(std::as_bytes(std::span(bytes).first(n)), {});
    } catch (const Error& error) {
      CHECK(error.code() == Errc::corrupt_file);
      ++n_refused;
    }
  }
  CHECK(n_refused > 100);
}

namespace {

// Words of letters with ▁ in front, as a SentencePiece model has them, and a token added for chat.
Json with_normalised_token(bool normalised, bool special) {
  const std::string sign(text::kSpaceSign);
  return {
      {"added_tokens", {{{"id", 4}, {"content", "<s>"}, {"normalized", normalised}, {"special", special}}}},
      {"normalizer",
       {{"type", "Sequence"},
        {"normalizers",
         {{{"type", "Prepend"}, {"prepend", sign}},
          {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", sign}}}}}},
      {"model",
       {{"type", "BPE"},
        {"vocab", {{sign, 0}, {"u", 1}, {sign + "u", 2}, {"<", 3}, {"<s>", 4}, {"s", 5}, {">", 6}}},
        {"merges", {sign + " u"}}}}};
}

}  // namespace

TEST_CASE(
    "an added token that is normalised is sought in normalised text, with its own spelling normalised") {
  const Json plain = with_normalised_token(false, false), normalised = with_normalised_token(true, false);
  CHECK(parse(plain)->encode("<s> u", {}) == Ids{4, 0, 2});  // a fragment of its own, with a sign in front
  CHECK(parse(normalised)->encode("<s> u", {}) == Ids{4, 2});
  CHECK(parse(normalised)->encode("u <s> u", {}) == Ids{2, 4, 2});
  CHECK(parse(plain)->encode("u<s>u", {}) == Ids{2, 4, 2});
  CHECK(parse(normalised)->encode("u<s>u", {}) == Ids{2, 3, 5, 6, 1});  // no ▁ before it: not the token
}

TEST_CASE("a normalised token of the template is found, and one of the user is text") {
  const auto tokenizer = parse(with_normalised_token(true, true));
  const std::string text = "<s> u <s> u <s> u";  // the user wrote the second
  const std::vector<text::ByteRange> user = {{4, 11}};
  CHECK(tokenizer->encode(text, {.add_special = false, .parse_special = true}) == Ids{4, 2, 4, 2, 4, 2});
  CHECK(tokenizer->encode(text, {.add_special = false, .parse_special = true, .literal = user}) ==
        Ids{4, 2, 0, 3, 5, 6, 2, 4, 2});
  CHECK(tokenizer->encode("<s>", {.add_special = false}) == Ids{0, 3, 5, 6});
}

TEST_CASE("templates see every special token that the configuration names") {
  const Json document = {{"model", {{"type", "BPE"}, {"vocab", {{"a", 0}}}, {"merges", Json::array()}}}};
  const auto tokenizer = parse(document, {{"pad_token", "<pad>"},
                                          {"unk_token", {{"content", "<unk>"}}},
                                          {"sep_token", nullptr},
                                          {"additional_special_tokens", {"<x>", {{"content", "<y>"}}}},
                                          {"extra_special_tokens", {{"image_token", "<image>"}}}});
  const text::SpecialTexts& texts = tokenizer->special_texts();
  CHECK(texts.named == std::vector<std::pair<std::string, std::string>>{
                           {"unk_token", "<unk>"}, {"pad_token", "<pad>"}, {"image_token", "<image>"}});
  CHECK(texts.additional == std::vector<std::string>{"<x>", "<y>"});
}

TEST_CASE("an added token may lack its row in the embedding, the model's own tokens may not") {
  const Json document = {
      {"added_tokens", {{{"id", 2}, {"content", "<image>"}, {"special", true}}}},
      {"model", {{"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 1}}}, {"merges", Json::array()}}}};
  const auto with_rows = [&](text::TokenId n_rows) {
    text::TokenizerConfig beside;
    beside.n_rows = n_rows;
    return text::parse_tokenizer_json(document.dump(), beside);
  };
  CHECK(with_rows(3)->n_tokens() == 3);
  CHECK(with_rows(2)->n_tokens() == 3);
  CHECK_THROWS_WITH_AS((void)with_rows(1), doctest::Contains("has 2 tokens, but the embedding has 1 rows"),
                       Error);
}
