// tokenizer.model: SentencePiece's ModelProto, read with a protocol buffer reader just large enough for it.
//
//   ModelProto      1: SentencePiece*   2: TrainerSpec   3: NormalizerSpec
//   SentencePiece   1: spelling   2: score (float)   3: kind (as TokenKind)
//   TrainerSpec     3: model type (1 unigram, 2 BPE)   40..43: ids of unknown, BOS, EOS, padding
//   NormalizerSpec  2: precompiled charsmap   3: add dummy prefix   4: remove extra spaces   5: escape spaces
// (sentencepiece_model.proto of github.com/google/sentencepiece.) Tested with tokenizer_json.h.
#include "base/bytes.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "text/hf_config.h"
#include "text/json_view.h"
#include "text/tokenizer_json.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace ruvllm::text {
namespace {

constexpr std::string_view kName = "tokenizer.model";

// One field of a message: a number, or bytes.
struct Field {
  uint32_t number;
  uint64_t value;                    // of a varint or fixed-width field
  std::span<const std::byte> bytes;  // of a length-delimited one

  std::string_view text() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
  // Enumerations and ids are int32, written as 64-bit two's complement.
  int64_t integer() const { return static_cast<int64_t>(value); }
};

uint64_t read_varint(ByteReader& reader) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const auto byte = reader.number<uint8_t>(kName);
    value |= uint64_t{byte & 0x7Fu} << shift;
    if (byte < 0x80) return value;
  }
  throw Error(Errc::corrupt_file, "{}: a number at offset {} does not end", kName, reader.offset());
}

template <typename Take>
void for_each_field(std::span<const std::byte> message, Take take) {
  ByteReader reader(message);
  while (reader.remaining() > 0) {
    const uint64_t tag = read_varint(reader);
    Field field{static_cast<uint32_t>(tag >> 3), 0, {}};
    switch (tag & 7) {
      case 0:
        field.value = read_varint(reader);
        break;
      case 1:
        field.value = reader.number<uint64_t>(kName);
        break;
      case 2:
        field.bytes = reader.take(read_varint(reader), kName);
        break;
      case 5:
        field.value = reader.number<uint32_t>(kName);
        break;
      default:
        throw Error(Errc::corrupt_file, "{}: field {} has the unknown type {}", kName, field.number, tag & 7);
    }
    take(field);
  }
}

struct Piece {
  std::string spelling;
  float score = 0.0f;
  TokenKind kind = TokenKind::normal;
};

struct Model {
  std::vector<Piece> pieces;
  bool is_bpe = false;
  int64_t unknown = 0, bos = 1, eos = 2, padding = -1;  // SentencePiece's defaults; negative: none
  SentencePieceSettings settings{.charsmap = {},
                                 .charsmap_source = "tokenizer.model: precompiled charsmap",
                                 .remove_extra_spaces = true};
};

Piece read_piece(std::span<const std::byte> message) {
  Piece piece;
  for_each_field(message, [&](const Field& field) {
    if (field.number == 1) piece.spelling = field.text();
    if (field.number == 2) piece.score = std::bit_cast<float>(static_cast<uint32_t>(field.value));
    if (field.number != 3) return;
    if (field.value < 1 || field.value > 6)
      throw Error(Errc::corrupt_file, "{}: a piece is of kind {}, expected 1 to 6", kName, field.value);
    piece.kind = static_cast<TokenKind>(field.value);
  });
  return piece;
}

void read_trainer(std::span<const std::byte> message, Model& model) {
  for_each_field(message, [&](const Field& field) {
    switch (field.number) {
      case 3:
        if (field.value != 1 && field.value != 2)
          throw Error(Errc::corrupt_file,
                      "{}: model type {} is not supported, expected 1 (unigram) or 2 (BPE)", kName,
                      field.value);
        model.is_bpe = field.value == 2;
        break;
      case 40:
        model.unknown = field.integer();
        break;
      case 41:
        model.bos = field.integer();
        break;
      case 42:
        model.eos = field.integer();
        break;
      case 43:
        model.padding = field.integer();
        break;
      default:
        break;
    }
  });
}

void read_normaliser(std::span<const std::byte> message, Model& model) {
  for_each_field(message, [&](const Field& field) {
    if (field.number == 2) model.settings.charsmap = field.bytes;
    if (field.number == 3) model.settings.add_space_prefix = field.value != 0;
    if (field.number == 4) model.settings.remove_extra_spaces = field.value != 0;
    if (field.number == 5) model.settings.escape_spaces = field.value != 0;
  });
}

Model read_model(std::span<const std::byte> bytes) {
  Model model;
  for_each_field(bytes, [&](const Field& field) {
    if (field.number == 1) model.pieces.push_back(read_piece(field.bytes));
    if (field.number == 2) read_trainer(field.bytes, model);
    if (field.number == 3) read_normaliser(field.bytes, model);
  });
  if (model.pieces.empty() || model.pieces.size() > limits::kVocabularyTokens)
    throw Error(Errc::corrupt_file, "{} has {} pieces, expected 1 to {}", kName, model.pieces.size(),
                limits::kVocabularyTokens);
  return model;
}

// Tokens that the folder adds behind the pieces: "added_tokens_decoder" of tokenizer_config.json, else
// added_tokens.json.
std::vector<AddedTokenRule> add_tokens(const TokenizerConfig& config, std::vector<Piece>& pieces) {
  std::vector<AddedTokenRule> rules;
  const auto place = [&](AddedTokenRule rule, std::string spelling, TokenKind kind,
                         const std::string& where) {
    const TokenId id = rule.id;
    if (static_cast<uint64_t>(id) >= pieces.size() + (1 << 12))
      throw Error(Errc::corrupt_file, "{}: token id {} is far beyond the {} pieces", where, id,
                  pieces.size());
    while (static_cast<uint64_t>(id) >= pieces.size()) pieces.push_back({"", 0.0f, TokenKind::unused});
    Piece& piece = pieces[static_cast<size_t>(id)];
    if (piece.kind == TokenKind::unused || piece.kind == TokenKind::normal) piece.kind = kind;
    if (piece.spelling.empty()) piece.spelling = std::move(spelling);
    rules.push_back(rule);
  };
  const JsonView view(config.config, "tokenizer_config.json");
  if (const auto decoder = view.find("added_tokens_decoder")) {
    if (!decoder->json().is_object()) throw Error(Errc::corrupt_file, "{} is no object", decoder->where());
    for (const auto& [key, value] : decoder->json().items()) {
      const JsonView token(value, decoder->where() + "." + printable(key, 20));
      const Json id = Json::parse(key, nullptr, false);
      place({.id = static_cast<TokenId>(JsonView(id, decoder->where()).count(limits::kVocabularyTokens - 1)),
             .strip_left = token.boolean("lstrip", false),
             .strip_right = token.boolean("rstrip", false),
             .single_word = token.boolean("single_word", false)},
            token.at("content").text(),
            token.boolean("special", false) ? TokenKind::control : TokenKind::user_defined, decoder->where());
    }
    return rules;
  }
  std::vector<std::pair<int64_t, std::string>> added;
  for (const auto& [spelling, id] : config.added_tokens.items())
    added.emplace_back(JsonView(id, "added_tokens.json").count(limits::kVocabularyTokens - 1), spelling);
  std::ranges::sort(added);
  for (auto& [id, spelling] : added)
    place({.id = static_cast<TokenId>(id)}, spelling, TokenKind::user_defined, "added_tokens.json");
  return rules;
}

std::optional<TokenId> checked_id(int64_t id, const Vocab& vocab, std::string_view role) {
  if (id < 0) return std::nullopt;
  if (!vocab.contains(id))
    throw Error(Errc::corrupt_file, "{}: the {} id is {} of {} pieces", kName, role, id, vocab.n_tokens());
  return static_cast<TokenId>(id);
}

Vocab build_vocab(const Model& model, const TokenizerConfig& config) {
  Vocab vocab(model.pieces.size());
  for (const Piece& piece : model.pieces) {
    if (piece.kind == TokenKind::byte && !parse_byte_spelling(piece.spelling))
      throw Error(Errc::corrupt_file, "{}: piece {} is of kind byte but reads \"{}\"", kName,
                  vocab.n_tokens(), printable(piece.spelling, 40));
    vocab.add(piece.spelling, piece.score, piece.kind);
  }
  vocab.index();
  vocab.special.unknown = checked_id(model.unknown, vocab, "unknown");
  vocab.special.bos = checked_id(model.bos, vocab, "BOS");
  vocab.special.eos = checked_id(model.eos, vocab, "EOS");
  vocab.special.padding = checked_id(model.padding, vocab, "padding");
  apply_roles(config, vocab);
  return vocab;
}

}  // namespace

std::shared_ptr<const Tokenizer> parse_sentencepiece_model(std::span<const std::byte> bytes,
                                                           const TokenizerConfig& config) {
  return make_pipeline_tokenizer(read_sentencepiece_model(bytes, config));
}

Pipeline read_sentencepiece_model(std::span<const std::byte> bytes, const TokenizerConfig& config) {
  Model model = read_model(bytes);
  Pipeline pipeline;
  check_rows(model.pieces.size(), config.n_rows, kName);
  std::vector<AddedTokenRule> added = add_tokens(config, model.pieces);
  Vocab vocab = build_vocab(model, config);
  pipeline.added_tokens = rules_by_kind(vocab);
  pipeline.special_texts = configured_texts(config);
  if (pipeline.special_texts.named.empty()) pipeline.special_texts = texts_of_roles(vocab);
  std::ranges::stable_sort(added, {}, &AddedTokenRule::id);
  for (AddedTokenRule& rule : pipeline.added_tokens) {
    const auto found = std::ranges::lower_bound(added, rule.id, {}, &AddedTokenRule::id);
    if (found != added.end() && found->id == rule.id) rule = *found;
  }
  pipeline.vocab = std::make_shared<const Vocab>(std::move(vocab));
  // Llama-like models go on from BOS; Unigram models end a text with EOS (T5).
  const SpecialTokens& special = pipeline.vocab->special;
  if (model.is_bpe && special.bos) pipeline.before.push_back(*special.bos);
  if (!model.is_bpe && special.eos) pipeline.after.push_back(*special.eos);
  apply_framing_flags(config, pipeline);
  add_sentencepiece_parts(model.settings, pipeline);
  pipeline.kind = model.is_bpe ? SubwordKind::scored_pairs : SubwordKind::unigram;
  pipeline.subwords = model.is_bpe ? make_spm(pipeline.vocab) : make_unigram(pipeline.vocab);
  return pipeline;
}

}  // namespace ruvllm::text
