#include "text/gguf_tokenizer.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "base/utf8.h"
#include "format/model_file.h"
#include "test_support.h"
#include "text/byte_alphabet.h"
#include "text/same_tokenizer.h"
#include "text/tokenizer_json.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>

using namespace ruvllm;

namespace {

constexpr const char* kQwenPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
const Json kBytesOnly = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};

Json added(int64_t id, const char* content, bool special = true) {
  return {{"id", id}, {"content", content}, {"special", special}};
}

Json split_by(const char* pattern) {
  return {{"type", "Sequence"},
          {"pretokenizers",
           Json::array({{{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}},
                        kBytesOnly})}};
}

// All bytes, some merges, an end of text and two marks of a chat.
Json byte_level(const Json& pre_tokenizer) {
  Json vocab = Json::object(), merges = Json::array();
  const auto add = [&](const std::string& token) { vocab[token] = vocab.size(); };
  for (int byte = 0; byte < 256; ++byte) add(text::to_byte_alphabet(std::string(1, static_cast<char>(byte))));
  const std::pair<const char*, const char*> pairs[] = {{"t", "h"}, {"th", "e"}, {"\xC4\xA0", "the"},
                                                       {"1", "2"}, {"12", "3"}, {"\xC4\xA0", "\xC4\xA0"}};
  for (const auto& [left, right] : pairs) {
    merges.push_back(Json::array({left, right}));
    add(std::string(left) + right);
  }
  const auto first = static_cast<int64_t>(vocab.size());
  return {{"added_tokens", Json::array({added(first, "<|endoftext|>"), added(first + 1, "<|im_start|>"),
                                        added(first + 2, "<|im_end|>"), added(first + 3, "<tool>", false)})},
          {"pre_tokenizer", pre_tokenizer},
          {"decoder", kBytesOnly},
          {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}}}};
}

// Pieces of a SentencePiece model of Llama's kind: three special ones, all bytes, letters, and words, the
// earlier the sooner joined.
struct Piece {
  std::string spelling;
  float score;
  int kind;
};
std::vector<Piece> llama_pieces() {
  std::vector<Piece> pieces = {{"<unk>", 0, 2}, {"<s>", 0, 3}, {"</s>", 0, 3}};
  for (int byte = 0; byte < 256; ++byte) pieces.push_back({fmt::format("<0x{:02X}>", byte), 0, 6});
  float score = 0;
  for (const char* word :
       {"\xE2\x96\x81t", "he", "\xE2\x96\x81the", "ab", "aba", "\xE2\x96\x81\xE2\x96\x81", "12"})
    pieces.push_back({word, score -= 1, 1});
  for (const char* letter : {"\xE2\x96\x81", "t", "h", "e", "a", "b", "c", "1", "2", "\n", "\xC3\xA9"})
    pieces.push_back({letter, score -= 1, 1});
  return pieces;
}

// The same as a tokenizer.json: what joins, in the order of the scores.
Json llama_json(bool prefix) {
  const std::vector<Piece> pieces = llama_pieces();
  Json vocab = Json::object(), merges = Json::array();
  for (const Piece& piece : pieces) vocab[piece.spelling] = vocab.size();
  for (const Piece& whole : pieces)
    for (size_t cut = 1; whole.kind == 1 && cut < whole.spelling.size(); ++cut) {
      const std::string left = whole.spelling.substr(0, cut), right = whole.spelling.substr(cut);
      if (vocab.contains(left) && vocab.contains(right)) merges.push_back(left + " " + right);
    }
  Json steps = Json::array();
  if (prefix) steps.push_back({{"type", "Prepend"}, {"prepend", "\xE2\x96\x81"}});
  steps.push_back({{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\xE2\x96\x81"}});
  Json decoders =
      Json::array({{{"type", "Replace"}, {"pattern", {{"String", "\xE2\x96\x81"}}}, {"content", " "}},
                   {{"type", "ByteFallback"}},
                   {{"type", "Fuse"}}});
  if (prefix) decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return {{"added_tokens", Json::array({added(0, "<unk>"), added(1, "<s>"), added(2, "</s>")})},
          {"normalizer", {{"type", "Sequence"}, {"normalizers", steps}}},
          {"decoder", {{"type", "Sequence"}, {"decoders", decoders}}},
          {"post_processor",
           {{"type", "TemplateProcessing"},
            {"single", Json::array({{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}},
                                    {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}})},
            {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", Json::array({1})}}}}}}},
          {"model",
           {{"type", "BPE"},
            {"vocab", vocab},
            {"merges", merges},
            {"unk_token", "<unk>"},
            {"byte_fallback", true},
            {"fuse_unk", true}}}};
}

// ModelProto, as sentencepiece_model.cpp draws it.
std::string field(int number, const std::string& bytes) {
  std::string text(1, static_cast<char>(number << 3 | 2));
  for (size_t n = bytes.size(); n >= 0x80; n >>= 7) {
    if (text.size() > 1) text.back() = static_cast<char>(text.back() | 0x80);
    text += static_cast<char>(n & 0x7F);
  }
  text.resize(1);
  size_t n = bytes.size();
  for (; n >= 0x80; n >>= 7) text += static_cast<char>((n & 0x7F) | 0x80);
  text += static_cast<char>(n);
  return text + bytes;
}
std::string small_number(int number, int value) {
  return {static_cast<char>(number << 3), static_cast<char>(value)};
}
std::string sentencepiece_model(bool is_bpe, bool prefix, bool removes_spaces) {
  std::string model;
  for (const Piece& piece : llama_pieces()) {
    const auto bits = std::bit_cast<std::array<char, 4>>(piece.score);
    model += field(1, field(1, piece.spelling) + std::string(1, 2 << 3 | 5) +
                          std::string(bits.begin(), bits.end()) + small_number(3, piece.kind));
  }
  model += field(2, small_number(3, is_bpe ? 2 : 1));
  return model + field(3, small_number(3, prefix) + small_number(4, removes_spaces));
}

Json word_pieces(bool lower) {
  Json vocab = Json::object();
  for (const char* token : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "them", "##s", "##e", "a",
                            "Rome", "rome", "!", "'", "##x", "x", "cafe", "caf\xC3\xA9"})
    vocab[token] = vocab.size();
  Json specials = Json::array();
  for (int id = 0; const char* token : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"})
    specials.push_back(added(id++, token));
  return {
      {"added_tokens", specials},
      {"normalizer", {{"type", "BertNormalizer"}, {"lowercase", lower}}},
      {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
      {"post_processor",
       {{"type", "BertProcessing"}, {"cls", Json::array({"[CLS]", 2})}, {"sep", Json::array({"[SEP]", 3})}}},
      {"decoder", {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}}},
      {"model",
       {{"type", "WordPiece"},
        {"unk_token", "[UNK]"},
        {"continuing_subword_prefix", "##"},
        {"max_input_chars_per_word", 100},
        {"vocab", vocab}}}};
}

Json unigram() {
  Json vocab = Json::array();
  const std::pair<const char*, double> pieces[] = {
      {"<pad>", 0},  {"</s>", 0}, {"<unk>", 0}, {"\xE2\x96\x81", -2}, {"\xE2\x96\x81the", -3},
      {"the", -4.5}, {"t", -5},   {"h", -6},    {"e", -5.5},          {"he", -4},
      {"1", -6},     {"2", -6},   {"12", -7}};
  for (const auto& [piece, score] : pieces) vocab.push_back(Json::array({piece, score}));
  return {{"added_tokens", Json::array({added(0, "<pad>"), added(1, "</s>"), added(2, "<unk>")})},
          {"pre_tokenizer",
           {{"type", "Metaspace"},
            {"replacement", "\xE2\x96\x81"},
            {"prepend_scheme", "always"},
            {"split", true}}},
          {"decoder", {{"type", "Metaspace"}, {"replacement", "\xE2\x96\x81"}, {"prepend_scheme", "always"}}},
          {"post_processor",
           {{"type", "TemplateProcessing"},
            {"single", Json::array({{{"Sequence", {{"id", "A"}, {"type_id", 0}}}},
                                    {{"SpecialToken", {{"id", "</s>"}, {"type_id", 0}}}}})},
            {"special_tokens", {{"</s>", {{"id", "</s>"}, {"ids", Json::array({1})}}}}}}},
          {"model", {{"type", "Unigram"}, {"unk_id", 2}, {"vocab", vocab}}}};
}

using Files = std::vector<std::pair<std::string, std::string>>;

// A folder's tokenizer, and what is read from the keys that are written for it.
struct Written {
  format::ModelFile file;
  std::vector<std::string> notes;
  std::shared_ptr<const text::Tokenizer> original, tokenizer;

  Written(const Files& files, uint64_t n_rows) {
    const test::TemporaryFolder folder;
    for (const auto& [name, text] : files) write_file_atomically(folder / name, text);
    original = text::make_tokenizer_of_folder(folder.path());
    notes = text::add_gguf_tokenizer(folder.path(), n_rows, file.metadata);
    tokenizer = text::make_tokenizer(file);
  }
  bool is_embedded() const { return file.metadata.find(text::kHuggingFaceJsonKey) != nullptr; }
  std::string text(const char* key) const { return std::string(*file.metadata.string(key)); }
};

void check_alike(const Written& written) {
  std::vector<std::string> texts = text::telling_texts(*written.original);
  Random random(test::test_seed());
  constexpr std::string_view kParts[] = {
      "the", " ",     "  ",           "he",        "a",   "b",    "ab",         "aba",    "1",  "2",
      "12",  "\n",    "\xC3\xA9",     "e\xCC\x81", "<s>", "</s>", "<|im_end|>", "<tool>", "'s", "Rome",
      "!",   "[CLS]", "\xE4\xBD\xA0", "t",         "x"};
  for (int i = 0; i < 300; ++i) {
    std::string text;
    for (uint64_t n = random.below(12); n > 0; --n) text += kParts[random.below(std::size(kParts))];
    texts.push_back(text);
  }
  for (const std::string& text : texts) {
    CAPTURE(printable(text));
    for (const bool special : {false, true}) {
      const auto ids = written.original->encode(text, {.add_special = special, .parse_special = special});
      CHECK(written.tokenizer->encode(text, {.add_special = special, .parse_special = special}) == ids);
      CHECK(written.tokenizer->decode(ids, special) == written.original->decode(ids, special));
    }
  }
  const auto end_tokens = [](const text::Tokenizer& tokenizer) {
    std::vector<text::TokenId> ids(tokenizer.end_tokens().begin(), tokenizer.end_tokens().end());
    std::ranges::sort(ids);
    return ids;
  };
  CHECK(end_tokens(*written.tokenizer) == end_tokens(*written.original));
  CHECK(written.tokenizer->warning() == "");
}

}  // namespace

TEST_CASE("byte pairs: the expression's name is found, and the file reads as the folder") {
  const Files config = {{"tokenizer_config.json", R"({"eos_token": "<|im_end|>"})"},
                        {"generation_config.json", R"({"eos_token_id": [264, 262, 256]})"}};
  Files files = config;
  files.emplace_back("tokenizer.json", byte_level(split_by(kQwenPattern)).dump());
  const Written written(files, 0);
  check_alike(written);
  CHECK(written.notes.empty());
  CHECK_FALSE(written.is_embedded());
  CHECK(written.text("tokenizer.ggml.model") == "gpt2");
  CHECK(written.text("tokenizer.ggml.pre") == "qwen2");
  CHECK(written.file.metadata.integer("tokenizer.ggml.eos_token_id") == 264);
  CHECK(written.file.metadata.integer("tokenizer.ggml.eot_token_id") == 256);  // its spelling tells nothing
  CHECK(written.file.metadata.boolean("tokenizer.ggml.add_bos_token") == false);

  Json ignoring = byte_level(split_by(kQwenPattern));
  ignoring["model"]["ignore_merges"] = true;  // no row says so of this expression
  const Written odd({{"tokenizer.json", ignoring.dump()}}, 0);
  CHECK(odd.is_embedded());
  check_alike(odd);
  const Written gpt2(
      {{"tokenizer.json",
        byte_level({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}).dump()}},
      0);
  CHECK(gpt2.text("tokenizer.ggml.pre") == "gpt-2");
  CHECK_FALSE(gpt2.is_embedded());
  check_alike(gpt2);
}

TEST_CASE("what GGUF's keys can't say brings the whole tokenizer.json into the file, with a note") {
  Json normalised = byte_level(split_by(kQwenPattern));
  normalised["normalizer"] = {{"type", "NFC"}};
  Json spaced = byte_level({{"type", "ByteLevel"}, {"add_prefix_space", true}, {"use_regex", true}});
  Json stripping = byte_level(split_by(kQwenPattern));
  stripping["added_tokens"][3]["lstrip"] = true;
  for (const Json& json : {normalised, spaced, stripping, byte_level(split_by(R"(\d|[a-h]+|\s)"))}) {
    CAPTURE(json["pre_tokenizer"].dump());
    const Written written({{"tokenizer.json", json.dump()}}, 300);
    CHECK(written.is_embedded());
    REQUIRE(written.notes.size() == 1);
    CHECK(written.notes[0].find("other programs") != std::string::npos);
    CHECK(written.text("tokenizer.ggml.pre") != "");
    check_alike(written);
  }
}

TEST_CASE("an embedded tokenizer.json that can't be read gives way to the keys, with a warning") {
  Json json = byte_level(split_by(kQwenPattern));
  json["normalizer"] = {{"type", "NFC"}};
  Written written({{"tokenizer.json", json.dump()}}, 0);
  written.file.metadata.set(std::string(text::kHuggingFaceJsonKey), std::string_view("{"));
  const auto tokenizer = text::make_tokenizer(written.file);
  CHECK(tokenizer->warning().find("tokenizer.huggingface.json") != std::string_view::npos);
  CHECK(tokenizer->encode("the 12", {}) == written.original->encode("the 12", {}));
}

TEST_CASE("SentencePiece of Llama's kind reads alike from tokenizer.json and from tokenizer.model") {
  for (const bool prefix : {true, false}) {
    CAPTURE(prefix);
    const Written json({{"tokenizer.json", llama_json(prefix).dump()},
                        {"tokenizer_config.json", R"({"bos_token": "<s>", "eos_token": "</s>"})"}},
                       0);
    CHECK(json.text("tokenizer.ggml.model") == "llama");
    CHECK(json.file.metadata.boolean("tokenizer.ggml.add_space_prefix") == prefix);
    CHECK(json.file.metadata.boolean("tokenizer.ggml.add_bos_token") == true);
    CHECK_FALSE(json.is_embedded());
    CHECK(json.notes.empty());
    check_alike(json);
    for (const bool removes : {true, false})
      for (const bool is_bpe : {true, false}) {
        CAPTURE(removes);
        CAPTURE(is_bpe);
        const Written model({{"tokenizer.model", sentencepiece_model(is_bpe, prefix, removes)}}, 0);
        CHECK(model.text("tokenizer.ggml.model") == (is_bpe ? "llama" : "t5"));
        CHECK(model.file.metadata.boolean("tokenizer.ggml.remove_extra_whitespaces") == removes);
        CHECK(model.notes.empty());
        check_alike(model);
      }
  }
}

TEST_CASE("merges that scores can't say bring the whole tokenizer.json into the file") {
  Json json = llama_json(true);
  json["model"]["merges"].erase(json["model"]["merges"].size() - 1);  // a token that nothing makes any more
  const Written written({{"tokenizer.json", json.dump()}}, 0);
  CHECK(written.is_embedded());
  check_alike(written);
}

TEST_CASE("WordPiece and Unigram read alike") {
  for (const bool lower : {true, false}) {
    const Written written({{"tokenizer.json", word_pieces(lower).dump()}}, 0);
    CHECK(written.text("tokenizer.ggml.model") == "bert");
    CHECK(written.file.metadata.integer("tokenizer.ggml.seperator_token_id") == 3);
    CHECK_FALSE(written.file.metadata.find("tokenizer.ggml.eos_token_id"));
    CHECK(written.file.metadata.boolean("tokenizer.ggml.normalizer.lowercase") == lower);
    CHECK_FALSE(written.is_embedded());
    check_alike(written);
  }
  const Written written({{"tokenizer.json", unigram().dump()},
                         {"tokenizer_config.json", R"({"eos_token": "</s>", "pad_token": "<pad>"})"}},
                        0);
  CHECK(written.text("tokenizer.ggml.model") == "t5");
  CHECK(written.file.metadata.integer("tokenizer.ggml.padding_token_id") == 0);
  check_alike(written);
}

TEST_CASE("the list of tokens is as long as the embedding; what is added is never used") {
  Json json = byte_level(split_by(kQwenPattern));
  json["added_tokens"].push_back(added(270, "[PAD268]"));
  const Written written({{"tokenizer.json", json.dump()}}, 280);
  const auto* tokens = written.file.metadata.array("tokenizer.ggml.tokens", format::ValueType::string);
  REQUIRE(tokens->n_elements == 280);
  std::vector<std::string_view> sorted = tokens->strings;
  std::ranges::sort(sorted);
  CHECK(std::ranges::adjacent_find(sorted) == sorted.end());
  CHECK(tokens->strings[279] == "[PAD279]");
  const auto* suppressed =
      written.file.metadata.array("tokenizer.ggml.suppress_tokens", format::ValueType::i32);
  REQUIRE(suppressed);
  CHECK(suppressed->n_elements == 13);  // 266 to 269, and 271 to 279
  CHECK(suppressed->integer(0) == 266);
  CHECK(written.tokenizer->n_tokens() == 280);
  CHECK(written.tokenizer->token_bytes(279, true) == "");
  check_alike(written);

  const Written cut({{"tokenizer.json", json.dump()}}, 264);
  CHECK(cut.file.metadata.array("tokenizer.ggml.tokens", format::ValueType::string)->n_elements == 264);
  CHECK(cut.notes.back().find("271 tokens and the embedding 264 rows") != std::string::npos);
}

TEST_CASE("a list of tokens that is too short for the embedding is filled up") {
  Written written({{"tokenizer.json", byte_level(split_by(kQwenPattern)).dump()}}, 0);
  format::Metadata& metadata = written.file.metadata;
  text::pad_token_list(260, metadata);
  CHECK(metadata.array("tokenizer.ggml.tokens", format::ValueType::string)->n_elements == 266);
  text::pad_token_list(300, metadata);
  CHECK(metadata.array("tokenizer.ggml.tokens", format::ValueType::string)->n_elements == 300);
  CHECK(metadata.array("tokenizer.ggml.token_type", format::ValueType::i32)->integer(299) == 5);
  written.tokenizer = text::make_tokenizer(written.file);
  check_alike(written);
}
