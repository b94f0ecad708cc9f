#include "text/vocab.h"

#include "base/limits.h"
#include "base/utf8.h"

#include <algorithm>
#include <cmath>

namespace ruvllm::text {
namespace {

constexpr std::string_view kTokensKey = "tokenizer.ggml.tokens";
constexpr std::string_view kScoresKey = "tokenizer.ggml.scores";
constexpr std::string_view kKindsKey = "tokenizer.ggml.token_type";
constexpr TokenId kNone = -1;

constexpr std::string_view kSuppressedKey = "tokenizer.ggml.suppress_tokens";

// Spellings that end a text, in whatever format a model learned; as llama.cpp has them.
constexpr std::string_view kEndSpellings[] = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|calls|>",
    "<|flush|>",
    "<|eom_id|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<end_of_turn>",
    "<end_of_utterance>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<｜end▁of▁sentence｜>",
    "[e~[",
};

// What stands between files and repositories in code, and fills their gaps: a model that writes it has left
// the answer. One of each kind ends a text: the file's own id, or the first spelling that there is.
struct FillRole {
  std::optional<TokenId> SpecialTokens::*role;
  std::span<const std::string_view> spellings;
};
constexpr std::string_view kFillPaddings[] = {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"};
constexpr std::string_view kFillRepositories[] = {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>",
                                                  "<reponame>"};
constexpr std::string_view kFillSeparators[] = {"<|file_sep|>"};
constexpr FillRole kFillRoles[] = {{&SpecialTokens::fill_padding, kFillPaddings},
                                   {&SpecialTokens::fill_repository, kFillRepositories},
                                   {&SpecialTokens::fill_separator, kFillSeparators}};

// Formats with channels end a turn with one of these, and write <|end|> inside one.
bool has_channels(const Vocab& vocab) {
  const auto has = [&](std::string_view spelling) { return vocab.find(spelling).has_value(); };
  const bool calls = has("<|call|>") || has("<|calls|>");
  return calls && (has("<|return|>") || has("<|flush|>"));
}

// An array as long as the vocabulary, or null where the file has none.
const format::MetadataArray* per_token_array(const format::Metadata& metadata, std::string_view key,
                                             format::ValueType type, uint64_t n_tokens) {
  const format::MetadataArray* array = metadata.array(key, type);
  if (array && array->n_elements != n_tokens)
    throw Error(Errc::corrupt_file, "{} has {} elements for {} tokens", key, array->n_elements, n_tokens);
  return array;
}

// Numbers that no kind has appear in the wild (0, "undefined"): such tokens are never produced by encoding.
TokenKind kind_of(int64_t number) {
  return number >= 1 && number <= 6 ? static_cast<TokenKind>(number) : TokenKind::unused;
}

// An id under a key, checked against the vocabulary.
std::optional<TokenId> special_id(const format::Metadata& metadata, const Vocab& vocab,
                                  std::string_view name) {
  const std::string key = fmt::format("tokenizer.ggml.{}_token_id", name);
  const std::optional<int64_t> id = metadata.integer(key);
  if (!id) return std::nullopt;
  if (!vocab.contains(*id))
    throw Error(Errc::corrupt_file, "{} is {}, but the vocabulary has {} tokens", key, *id, vocab.n_tokens());
  return static_cast<TokenId>(*id);
}

std::vector<TokenId> read_suppressed(const format::Metadata& metadata, const Vocab& vocab) {
  std::vector<TokenId> suppressed;
  const format::MetadataArray* ids = metadata.array(kSuppressedKey, format::ValueType::i64);
  for (uint64_t i = 0; ids && i < ids->n_elements; ++i) {
    const int64_t id = ids->integer(i);
    if (!vocab.contains(id))
      throw Error(Errc::corrupt_file, "{}: element {} is {}, but the vocabulary has {} tokens",
                  kSuppressedKey, i, id, vocab.n_tokens());
    suppressed.push_back(static_cast<TokenId>(id));
  }
  return suppressed;
}

}  // namespace

std::optional<uint8_t> parse_byte_spelling(std::string_view spelling) {
  if (spelling.size() != 6 || !spelling.starts_with("<0x") || spelling[5] != '>') return std::nullopt;
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  const int high = digit(spelling[3]), low = digit(spelling[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<uint8_t>(high * 16 + low);
}

Vocab::Vocab(size_t n_tokens) {
  tokens_.reserve(n_tokens);
  byte_tokens_.fill(kNone);
}

TokenId Vocab::add(std::string_view spelling, float score, TokenKind kind) {
  const auto id = static_cast<TokenId>(tokens_.size());
  if (std::isnan(score))
    throw Error(Errc::corrupt_file, "{}: the score of token {} is not a number", kScoresKey, id);
  tokens_.push_back({letters_.size(), static_cast<uint32_t>(spelling.size()), score, kind});
  letters_.insert(letters_.end(), spelling.begin(), spelling.end());
  longest_spelling_ = std::max(longest_spelling_, spelling.size());
  return id;
}

void Vocab::index() {
  ids_ = TextTable(tokens_.size());
  byte_tokens_.fill(kNone);
  for (TokenId id = 0; id < n_tokens(); ++id) {
    if (spelling(id).empty()) continue;
    ids_.add(spelling(id), static_cast<uint32_t>(id));
    if (const auto byte = byte_of(id); byte && byte_tokens_[*byte] == kNone) byte_tokens_[*byte] = id;
  }
}

std::optional<TokenId> Vocab::find(std::string_view spelling) const {
  const auto id = ids_.find(spelling);
  return id ? std::optional(static_cast<TokenId>(*id)) : std::nullopt;
}

std::optional<TokenId> Vocab::find_text(std::string_view text) const {
  if (text.size() > longest_spelling_) return std::nullopt;
  const std::optional<TokenId> id = find(text);
  return id && may_be_text(kind(*id)) ? id : std::nullopt;
}

std::optional<TokenId> Vocab::byte_token(uint8_t byte) const {
  const TokenId id = byte_tokens_[byte];
  return id != kNone && kind(id) == TokenKind::byte ? std::optional(id) : std::nullopt;
}

std::optional<uint8_t> Vocab::byte_of(TokenId id) const {
  return kind(id) == TokenKind::byte ? parse_byte_spelling(spelling(id)) : std::nullopt;
}

void Vocab::append_unknown(std::string_view text, std::vector<TokenId>& tokens) const {
  const bool has_bytes =
      std::ranges::all_of(text, [&](char c) { return byte_token(static_cast<uint8_t>(c)).has_value(); });
  if (has_bytes) {
    for (const char c : text) tokens.push_back(*byte_token(static_cast<uint8_t>(c)));
  } else if (special.unknown) {
    tokens.push_back(*special.unknown);
  }
}

void Vocab::find_end_tokens() {
  end_tokens.clear();
  const auto add = [&](std::optional<TokenId> id) {
    if (id && std::ranges::find(end_tokens, *id) == end_tokens.end()) end_tokens.push_back(*id);
  };
  add(special.eos);
  add(special.end_of_turn);
  add(special.end_of_message);
  const auto add_control = [&](std::optional<TokenId> id) {
    add(id);
    if (id) set_kind(*id, TokenKind::control);
  };
  for (const std::string_view text : kEndSpellings) add_control(find(text));
  for (const FillRole& fill : kFillRoles) {
    std::optional<TokenId>& role = special.*fill.role;
    for (const std::string_view text : fill.spellings)
      if (!role) role = find(text);
    add_control(role);
  }
  if (const auto end = find("<|end|>"); end && has_channels(*this)) std::erase(end_tokens, *end);
}

Vocab read_vocab(const format::Metadata& metadata) {
  const format::MetadataArray* tokens = metadata.array(kTokensKey, format::ValueType::string);
  if (!tokens) throw Error(Errc::corrupt_file, "{} is missing", kTokensKey);
  const uint64_t n_tokens = tokens->n_elements;
  if (n_tokens == 0 || n_tokens > limits::kVocabularyTokens)
    throw Error(Errc::corrupt_file, "{} has {} elements, expected 1 to {}", kTokensKey, n_tokens,
                limits::kVocabularyTokens);
  const auto* scores = per_token_array(metadata, kScoresKey, format::ValueType::f32, n_tokens);
  const auto* kinds = per_token_array(metadata, kKindsKey, format::ValueType::i32, n_tokens);

  Vocab vocab(n_tokens);
  for (uint64_t i = 0; i < n_tokens; ++i) {
    const TokenKind kind = kinds ? kind_of(kinds->integer(i)) : TokenKind::normal;
    // Rows that stand for no token have a name in files, and none here.
    const bool is_padding = kind == TokenKind::unused && tokens->strings[i] == fmt::format("[PAD{}]", i);
    const TokenId id = vocab.add(is_padding ? std::string_view() : tokens->strings[i],
                                 scores ? static_cast<float>(scores->number(i)) : 0.0f, kind);
    if (kind == TokenKind::byte && !parse_byte_spelling(tokens->strings[i]))
      throw Error(Errc::corrupt_file,
                  "{}: token {} is of kind byte but reads \"{}\", expected <0x00> to <0xFF>", kTokensKey, id,
                  printable(tokens->strings[i], 40));
  }
  vocab.index();

  SpecialTokens& special = vocab.special;
  special.bos = special_id(metadata, vocab, "bos");
  special.eos = special_id(metadata, vocab, "eos");
  special.unknown = special_id(metadata, vocab, "unknown");
  special.separator = special_id(metadata, vocab, "seperator");  // spelled so in the GGUF specification
  special.padding = special_id(metadata, vocab, "padding");
  special.mask = special_id(metadata, vocab, "mask");
  special.classifier = special_id(metadata, vocab, "cls");
  special.end_of_turn = special_id(metadata, vocab, "eot");
  special.end_of_message = special_id(metadata, vocab, "eom");
  special.fill_padding = special_id(metadata, vocab, "fim_pad");
  special.fill_repository = special_id(metadata, vocab, "fim_rep");
  special.fill_separator = special_id(metadata, vocab, "fim_sep");
  vocab.suppressed_tokens = read_suppressed(metadata, vocab);
  return vocab;
}

}  // namespace ruvllm::text
