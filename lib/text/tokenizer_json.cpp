#include "text/tokenizer_json.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "text/byte_alphabet.h"
#include "text/hf_config.h"
#include "text/hf_parts.h"

#include <algorithm>
#include <utility>

namespace ruvllm::text {
namespace {

constexpr std::string_view kName = "tokenizer.json";

// Tokens by id, before they are a vocabulary; ids may come in any order.
class TokenList {
 public:
  struct Token {
    std::string spelling;
    float score = 0.0f;
    TokenKind kind = TokenKind::unused;  // of an id that nothing names
  };

  // The token of an id; a second one for the same id must be spelled as the first.
  Token& set(int64_t id, std::string spelling, const std::string& where) {
    // Ids are dense: a hole as large as all tokens together is a mistake, and memory.
    if (static_cast<uint64_t>(id) > 2 * n_named_ + (1 << 16))
      throw Error(Errc::corrupt_file, "{}: token id {} is far beyond the {} tokens", where, id, n_named_);
    if (static_cast<size_t>(id) >= tokens_.size()) tokens_.resize(static_cast<size_t>(id) + 1);
    Token& token = tokens_[static_cast<size_t>(id)];
    if (token.kind != TokenKind::unused && token.spelling != spelling)
      throw Error(Errc::corrupt_file, "{}: token {} is \"{}\" and \"{}\"", where, id,
                  printable(token.spelling, 40), printable(spelling, 40));
    token.spelling = std::move(spelling);
    if (token.kind == TokenKind::unused) token.kind = TokenKind::normal;
    ++n_named_;
    return token;
  }

  std::vector<Token>& tokens() { return tokens_; }

 private:
  std::vector<Token> tokens_;
  uint64_t n_named_ = 0;
};

// {"spelling": id, ...}, largest id last so that holes are told from disorder.
void read_vocab_object(const JsonView& vocab, TokenList& list) {
  if (!vocab.json().is_object()) throw Error(Errc::corrupt_file, "{} is no object", vocab.where());
  std::vector<std::pair<int64_t, const std::string*>> ids;
  ids.reserve(vocab.json().size());
  for (const auto& [spelling, id] : vocab.json().items()) {
    ids.emplace_back(JsonView(id, vocab.where()).count(limits::kVocabularyTokens - 1), &spelling);
  }
  // Of two with one id, the one spelled first comes first: never the order of their addresses.
  std::ranges::stable_sort(ids, {}, [](const auto& entry) { return entry.first; });
  for (const auto& [id, spelling] : ids) list.set(id, *spelling, vocab.where());
}

// [["spelling", score], ...], ids in order.
void read_vocab_array(const JsonView& vocab, TokenList& list) {
  const size_t n_tokens = vocab.n_elements();
  if (n_tokens > limits::kVocabularyTokens)
    throw Error(Errc::corrupt_file, "{} has {} elements, expected at most {}", vocab.where(), n_tokens,
                limits::kVocabularyTokens);
  for (size_t id = 0; id < n_tokens; ++id) {
    const Json& pair = vocab.json()[id];
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !pair[1].is_number())
      throw Error(Errc::corrupt_file, "{}[{}] is no pair of text and score", vocab.where(), id);
    list.set(static_cast<int64_t>(id), pair[0].get<std::string>(), vocab.where()).score =
        pair[1].get<float>();
  }
}

// "added_tokens": kinds and rules of stripping.
std::vector<AddedTokenRule> read_added_tokens(const JsonView& root, TokenList& list) {
  std::vector<AddedTokenRule> rules;
  const auto added = root.find("added_tokens");
  for (size_t i = 0; added && i < added->n_elements(); ++i) {
    const JsonView token = added->element(i);
    const int64_t id = token.at("id").count(limits::kVocabularyTokens - 1);
    list.set(id, token.at("content").text(), token.where()).kind =
        token.boolean("special", false) ? TokenKind::control : TokenKind::user_defined;
    rules.push_back({.id = static_cast<TokenId>(id),
                     .strip_left = token.boolean("lstrip", false),
                     .strip_right = token.boolean("rstrip", false),
                     .single_word = token.boolean("single_word", false),
                     .normalised = token.boolean("normalized", false)});
  }
  return rules;
}

// "a b" or ["a", "b"]; the views point into the document.
void read_merges(const JsonView& merges, BpeSettings& settings) {
  const size_t n_merges = merges.n_elements();
  if (n_merges > limits::kMerges)
    throw Error(Errc::corrupt_file, "{} has {} elements, expected at most {}", merges.where(), n_merges,
                limits::kMerges);
  settings.merges.reserve(n_merges);
  for (const Json& merge : merges.json()) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      settings.merges.emplace_back(merge[0].get_ref<const std::string&>(),
                                   merge[1].get_ref<const std::string&>());
      continue;
    }
    const std::string_view text =
        merge.is_string() ? std::string_view(merge.get_ref<const std::string&>()) : "";
    const size_t space = text.find(' ');
    if (space == std::string_view::npos || space == 0 || space + 1 == text.size())
      throw Error(Errc::corrupt_file, "{}[{}] is no pair of tokens", merges.where(), settings.merges.size());
    settings.merges.emplace_back(text.substr(0, space), text.substr(space + 1));
  }
}

void refuse_affix(const JsonView& model, std::string_view key) {
  if (!model.text(key, "").empty())
    throw Error(Errc::corrupt_file, "{}: {} is not supported", model.where(), key);
}

std::unique_ptr<const Subwords> read_bpe(const JsonView& model, bool byte_level, const Pipeline& pipeline) {
  refuse_affix(model, "continuing_subword_prefix");
  refuse_affix(model, "end_of_word_suffix");
  const JsonView merges = model.at("merges");
  BpeSettings settings{.merges = {},
                       .byte_level = byte_level,
                       .ignore_merges = model.boolean("ignore_merges", false),
                       .fuse_unknown = model.boolean("fuse_unk", false),
                       .source = merges.where()};
  read_merges(merges, settings);
  return make_bpe(pipeline.vocab, settings);
}

// The model's kind by name; files of old name none.
std::string model_kind(const JsonView& model) {
  if (const auto type = model.find("type")) return type->text();
  return model.find("merges") ? "BPE" : model.find("unk_id") ? "Unigram" : "WordPiece";
}

TokenList read_model_vocab(const JsonView& model, const std::string& kind) {
  TokenList list;
  if (kind == "Unigram") {
    read_vocab_array(model.at("vocab"), list);
  } else if (kind == "BPE" || kind == "WordPiece") {
    read_vocab_object(model.at("vocab"), list);
  } else {
    throw Error(Errc::corrupt_file, "{}: type \"{}\" is unknown, expected BPE, Unigram or WordPiece",
                model.where(), printable(kind, 40));
  }
  return list;
}

Vocab build_vocab(const JsonView& model, const std::string& kind, TokenList& list,
                  const TokenizerConfig& config) {
  if (list.tokens().empty()) throw Error(Errc::corrupt_file, "{}: the vocabulary is empty", model.where());
  const bool byte_fallback = model.boolean("byte_fallback", false);
  Vocab vocab(list.tokens().size());
  for (TokenList::Token& token : list.tokens()) {
    if (byte_fallback && token.kind == TokenKind::normal && parse_byte_spelling(token.spelling))
      token.kind = TokenKind::byte;
    vocab.add(token.spelling, token.score, token.kind);
  }
  vocab.index();
  apply_roles(config, vocab);
  if (const auto id = model.find("unk_id"); id && kind == "Unigram") {
    vocab.special.unknown = static_cast<TokenId>(id->count(vocab.n_tokens() - 1));
  } else if (const std::string spelling = model.text("unk_token", ""); !spelling.empty()) {
    vocab.special.unknown = vocab.find(spelling);
  } else {
    vocab.special.unknown.reset();  // the model has none, whatever the configuration calls so
  }
  if (vocab.special.unknown) vocab.set_kind(*vocab.special.unknown, TokenKind::unknown);
  return vocab;
}

}  // namespace

std::shared_ptr<const Tokenizer> parse_tokenizer_json(std::string_view text, const TokenizerConfig& config) {
  return make_pipeline_tokenizer(read_tokenizer_json(parse_json(text, kName), config));
}

Pipeline read_tokenizer_json(const Json& document, const TokenizerConfig& config) {
  const JsonView root(document, std::string(kName));
  const JsonView model = root.at("model");
  const std::string kind = model_kind(model);

  TokenList list = read_model_vocab(model, kind);
  check_rows(list.tokens().size(), config.n_rows, model.where());
  Pipeline pipeline;
  pipeline.added_tokens = read_added_tokens(root, list);
  pipeline.vocab = std::make_shared<const Vocab>(build_vocab(model, kind, list, config));

  bool byte_level = false;
  pipeline.special_texts = configured_texts(config);
  if (const auto part = root.find("normalizer")) add_normaliser(*part, pipeline);
  if (const auto part = root.find("pre_tokenizer")) byte_level = add_pretokeniser(*part, pipeline);
  if (const auto part = root.find("decoder")) add_decoder(*part, pipeline);
  if (!pipeline.bytes_of) pipeline.bytes_of = [](std::string_view spelling) { return std::string(spelling); };
  if (const auto part = root.find("post_processor")) add_postprocessor(*part, pipeline);
  apply_framing_flags(config, pipeline);

  if (kind == "BPE") {
    pipeline.kind = byte_level ? SubwordKind::byte_pairs : SubwordKind::character_pairs;
    pipeline.subwords = read_bpe(model, byte_level, pipeline);
  } else if (kind == "Unigram") {
    pipeline.kind = SubwordKind::unigram;
    pipeline.subwords = make_unigram(pipeline.vocab);
  } else {
    const auto most = model.find("max_input_chars_per_word");
    pipeline.kind = SubwordKind::word_pieces;
    pipeline.subwords = make_wordpiece(
        pipeline.vocab, {.first_prefix = "",
                         .continuing_prefix = model.text("continuing_subword_prefix", "##"),
                         .most_characters = most ? static_cast<size_t>(most->count(1 << 20)) : 100});
  }
  return pipeline;
}

std::shared_ptr<const Tokenizer> make_tokenizer_of_folder(const std::filesystem::path& folder,
                                                          std::optional<TokenId> n_rows) {
  TokenizerConfig config = read_tokenizer_config(folder);
  config.n_rows = n_rows;
  if (const auto path = folder / kName; std::filesystem::exists(path))
    return parse_tokenizer_json(read_file(path, limits::kJsonFileBytes), config);
  if (const auto path = folder / "tokenizer.model"; std::filesystem::exists(path)) {
    const std::string bytes = read_file(path, limits::kJsonFileBytes);
    return parse_sentencepiece_model(std::as_bytes(std::span(bytes)), config);
  }
  throw Error(Errc::not_found, "{}: neither tokenizer.json nor tokenizer.model is there", folder.string());
}

}  // namespace ruvllm::text
