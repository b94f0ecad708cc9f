#include "text/gguf_tokenizer.h"

#include "base/file.h"
#include "base/limits.h"
#include "text/hf_config.h"
#include "text/hf_parts.h"
#include "text/merge_scores.h"
#include "text/same_tokenizer.h"
#include "text/tokenizer_json.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <utility>

namespace ruvllm::text {
namespace {

namespace fs = std::filesystem;
using format::Metadata;
using format::ValueType;

constexpr std::string_view kTokensKey = "tokenizer.ggml.tokens";
constexpr std::string_view kScoresKey = "tokenizer.ggml.scores";
constexpr std::string_view kKindsKey = "tokenizer.ggml.token_type";
constexpr std::string_view kSuppressedKey = "tokenizer.ggml.suppress_tokens";
constexpr float kScoreOfPadding = -1000.0f;

std::string key(std::string_view name) { return fmt::format("tokenizer.ggml.{}", name); }

template <typename T>
format::MetadataArray numbers(const std::vector<T>& values, ValueType type, Metadata& metadata) {
  return metadata.keep_array(type, std::as_bytes(std::span(values)));
}

// ---- Tokens

// The list of tokens as GGUF wants it: every spelling once, as long as the embedding.
class TokenRows {
 public:
  /// `vocab`: all tokens to come, whose spellings no other row may take.
  explicit TokenRows(const Vocab& vocab) : vocab_(vocab) {}

  void add(std::string spelling, float score, TokenKind kind) {
    if (spelling.empty() || !spellings_.insert(spelling).second) {
      add_unused();
      return;
    }
    tokens_.push_back(std::move(spelling));
    scores_.push_back(score);
    kinds_.push_back(static_cast<int32_t>(kind));
  }

  // A row that no text becomes, and that is never to be chosen.
  void add_unused() {
    std::string name = fmt::format("[PAD{}]", tokens_.size());
    while (vocab_.find(name) || !spellings_.insert(name).second) name.insert(name.size() - 1, "_");
    unused_.push_back(static_cast<int32_t>(tokens_.size()));
    tokens_.push_back(std::move(name));
    scores_.push_back(kScoreOfPadding);
    kinds_.push_back(static_cast<int32_t>(TokenKind::unused));
  }

  uint64_t size() const { return tokens_.size(); }
  const std::vector<int32_t>& unused() const { return unused_; }

  void write(bool with_scores, Metadata& metadata) const {
    metadata.set(std::string(kTokensKey), metadata.keep_strings(tokens_));
    if (with_scores) metadata.set(std::string(kScoresKey), numbers(scores_, ValueType::f32, metadata));
    metadata.set(std::string(kKindsKey), numbers(kinds_, ValueType::i32, metadata));
  }

 private:
  const Vocab& vocab_;
  std::vector<std::string> tokens_;
  std::vector<float> scores_;
  std::vector<int32_t> kinds_;
  std::vector<int32_t> unused_;
  std::set<std::string, std::less<>> spellings_;
};

// GGUF spells what begins a word with ▁ in front and what goes on inside one without "##".
std::string gguf_word_piece(std::string_view spelling, TokenKind kind) {
  if (kind != TokenKind::normal) return std::string(spelling);
  if (spelling.starts_with("##")) return std::string(spelling.substr(2));
  return std::string(kSpaceSign) + std::string(spelling);
}

void write_suppressed(const std::vector<int32_t>& ids, Metadata& metadata) {
  std::vector<int32_t> all = ids;
  if (const auto* there = metadata.array(kSuppressedKey, ValueType::i64))
    for (uint64_t i = 0; i < there->n_elements; ++i) all.push_back(static_cast<int32_t>(there->integer(i)));
  std::ranges::sort(all);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  if (!all.empty()) metadata.set(std::string(kSuppressedKey), numbers(all, ValueType::i32, metadata));
}

// ---- What a folder holds

struct Source {
  Pipeline parts;
  std::string json_text;  // of tokenizer.json; empty: the tokenizer is a SentencePiece model
  Json json;
};

Source read_source(const fs::path& folder) {
  Source source;
  const TokenizerConfig config = read_tokenizer_config(folder);
  if (const fs::path path = folder / "tokenizer.json"; fs::exists(path)) {
    source.json_text = read_file(path, limits::kJsonFileBytes);
    source.json = parse_json(source.json_text, "tokenizer.json");
    source.parts = read_tokenizer_json(source.json, config);
    return source;
  }
  const fs::path path = folder / "tokenizer.model";
  if (!fs::exists(path))
    throw Error(Errc::not_found, "{}: neither tokenizer.json nor tokenizer.model is there", folder.string());
  const std::string bytes = read_file(path, limits::kJsonFileBytes);
  source.parts = read_sentencepiece_model(std::as_bytes(std::span(bytes)), config);
  return source;
}

// A candidate for keys that are found by trying.
using Variant = std::function<void(Metadata& metadata)>;

class Writer {
 public:
  Writer(const Source& source, uint64_t n_rows, Metadata& metadata)
      : source_(source), parts_(source.parts), vocab_(*parts_.vocab), n_rows_(n_rows), metadata_(metadata) {
    if (n_rows_ == 0) n_rows_ = static_cast<uint64_t>(vocab_.n_tokens());
  }

  std::vector<std::string> write() {
    const std::shared_ptr<const Tokenizer> original = make_pipeline_tokenizer(parts_);
    const std::vector<std::string> texts = telling_texts(*original);
    write_tokens();
    write_roles();
    write_framing();
    choose_variant(*original, texts);
    write_end_tokens();
    const auto written = make_pipeline_tokenizer(read_gguf_tokenizer(metadata_));
    if (!is_exact_ || !read_alike(*original, *written, texts)) embed();
    if (static_cast<uint64_t>(vocab_.n_tokens()) > n_rows_)
      notes_.push_back(
          fmt::format("the tokenizer has {} tokens and the embedding {} rows: the last {} can't "
                      "be fed and are left out",
                      vocab_.n_tokens(), n_rows_, static_cast<uint64_t>(vocab_.n_tokens()) - n_rows_));
    return std::move(notes_);
  }

 private:
  bool is_sentencepiece() const {
    return parts_.kind == SubwordKind::scored_pairs || parts_.kind == SubwordKind::character_pairs;
  }

  void write_tokens() {
    MergeScores made;
    if (parts_.kind == SubwordKind::character_pairs) {
      made = scores_of_merges(source_.json.at("model").at("merges"), vocab_);
      is_exact_ = made.is_exact;
    }
    TokenRows rows(vocab_);
    const auto n_kept = static_cast<TokenId>(std::min<uint64_t>(n_rows_, vocab_.n_tokens()));
    for (TokenId id = 0; id < n_kept; ++id) {
      const TokenKind kind = vocab_.kind(id);
      const float score = made.scores.empty() ? vocab_.score(id) : made.scores[static_cast<size_t>(id)];
      rows.add(parts_.kind == SubwordKind::word_pieces ? gguf_word_piece(vocab_.spelling(id), kind)
                                                       : std::string(vocab_.spelling(id)),
               score, kind);
    }
    while (rows.size() < n_rows_) rows.add_unused();
    const bool has_scores = is_sentencepiece() || parts_.kind == SubwordKind::unigram;
    metadata_.set(key("model"), metadata_.keep(is_sentencepiece()                        ? "llama"
                                               : parts_.kind == SubwordKind::unigram     ? "t5"
                                               : parts_.kind == SubwordKind::word_pieces ? "bert"
                                                                                         : "gpt2"));
    rows.write(has_scores, metadata_);
    write_suppressed(rows.unused(), metadata_);
    if (parts_.kind == SubwordKind::byte_pairs) write_merges();
  }

  void write_merges() {
    std::vector<std::string> merges;
    for (const Json& merge : source_.json.at("model").at("merges"))
      merges.push_back(merge.is_array()
                           ? merge.at(0).get<std::string>() + " " + merge.at(1).get<std::string>()
                           : merge.get<std::string>());
    metadata_.set(key("merges"), metadata_.keep_strings(merges));
  }

  void write_id(std::string_view name, std::optional<TokenId> id) {
    if (id && std::cmp_less(*id, n_rows_))
      metadata_.set(key(fmt::format("{}_token_id", name)), static_cast<uint32_t>(*id));
  }

  void write_roles() {
    const SpecialTokens& special = vocab_.special;
    write_id("bos", special.bos);
    write_id("eos", special.eos);
    write_id("unknown", special.unknown);
    write_id("seperator", special.separator);  // spelled so in the GGUF specification
    write_id("padding", special.padding);
    write_id("mask", special.mask);
    write_id("cls", special.classifier);
  }

  // What goes around a text. GGUF knows BOS in front, and EOS or the separator behind.
  void write_framing() {
    const SpecialTokens& special = vocab_.special;
    const std::optional<TokenId> first =
        parts_.before.size() == 1 ? std::optional(parts_.before[0]) : std::nullopt;
    const std::optional<TokenId> last =
        parts_.after.size() == 1 ? std::optional(parts_.after[0]) : std::nullopt;
    const bool adds_bos = first && (!special.bos || special.bos == first);
    if (adds_bos) write_id("bos", first);
    const bool is_separator = special.eos
                                  ? special.eos != last && special.separator == last
                                  : special.separator == last || parts_.kind == SubwordKind::word_pieces;
    const bool adds_separator = last && is_separator;
    const bool adds_eos = last && !is_separator && (!special.eos || special.eos == last);
    if (adds_eos) write_id("eos", last);
    if (adds_separator) write_id("seperator", last);
    metadata_.set(key("add_bos_token"), adds_bos);
    metadata_.set(key("add_eos_token"), adds_eos);
    if (adds_separator || parts_.kind == SubwordKind::word_pieces)
      metadata_.set(key("add_sep_token"), adds_separator);
  }

  // Tokens that end a turn and whose spelling doesn't say so.
  void write_end_tokens() {
    const Pipeline written = read_gguf_tokenizer(metadata_);
    const std::vector<TokenId>& known = written.vocab->end_tokens;
    const char* names[] = {"eot", "eom"};
    size_t n_used = 0;
    for (const TokenId id : vocab_.end_tokens) {
      if (std::ranges::find(known, id) != known.end() || !std::cmp_less(id, n_rows_)) continue;
      if (n_used < std::size(names)) {
        write_id(names[n_used++], id);
      } else {
        notes_.push_back(
            fmt::format("token {} ends a turn in the folder; the file has no more room to say so", id));
      }
    }
  }

  // ---- Keys that are found by trying

  void choose_variant(const Tokenizer& original, const std::vector<std::string>& texts) {
    const std::vector<Variant> all = variants();
    if (all.size() == 1) return all[0](metadata_);
    size_t best = 0, most = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      all[i](metadata_);
      const auto candidate = make_pipeline_tokenizer(read_gguf_tokenizer(metadata_));
      const size_t n_alike = n_read_alike(original, *candidate, texts);
      if (n_alike > most) best = i, most = n_alike;
      if (most == texts.size()) break;
    }
    all[best](metadata_);
  }

  std::vector<Variant> variants() {
    if (parts_.kind == SubwordKind::word_pieces) return {word_piece_keys()};
    if (parts_.kind == SubwordKind::byte_pairs) return pretokenizer_keys();
    if (!parts_.charsmap.empty())
      metadata_.set(key("precompiled_charsmap"),
                    metadata_.keep_array(ValueType::u8, std::as_bytes(std::span(parts_.charsmap))));
    std::vector<Variant> all;
    for (const bool prefix : {parts_.strips_first_space, !parts_.strips_first_space})
      for (const bool removes : {false, true})
        all.push_back([prefix, removes](Metadata& metadata) {
          metadata.set(key("add_space_prefix"), prefix);
          metadata.set(key("remove_extra_whitespaces"), removes);
        });
    return all;
  }

  Variant word_piece_keys() {
    const JsonView root(source_.json, "tokenizer.json");
    const JsonView model = root.at("model");
    const auto most = model.find("max_input_chars_per_word");
    is_exact_ =
        model.text("continuing_subword_prefix", "##") == "##" && (!most || most->count(1 << 20) == 100);
    bool lower = false, strips = false;
    if (const auto part = root.find("normalizer"); part && part->text("type", "") == "BertNormalizer") {
      lower = part->boolean("lowercase", true);
      strips = part->boolean("strip_accents", lower);
    }
    return [lower, strips](Metadata& metadata) {
      metadata.set(key("normalizer.lowercase"), lower);
      metadata.set(key("normalizer.strip_accents"), strips);
    };
  }

  // The name of the row that cuts as tokenizer.json does; where there is none, the one that comes nearest.
  std::vector<Variant> pretokenizer_keys() {
    const auto named = [](std::string_view name) -> Variant {
      return [name](Metadata& metadata) { metadata.set(key("pre"), metadata.keep(std::string(name))); };
    };
    const JsonView root(source_.json, "tokenizer.json");
    const bool ignores = root.at("model").boolean("ignore_merges", false);
    const std::vector<std::string> patterns = split_patterns(root.at("pre_tokenizer"));
    for (const PretokenizerRow& row : pretokenizer_rows())
      if (std::ranges::equal(row.patterns, patterns) && ignores == ((row.traits & kIgnoreMerges) != 0) &&
          (row.traits & (kPlainText | kRankByToken)) == 0)
        return {named(row.name)};
    is_exact_ = false;
    std::vector<Variant> all;
    std::vector<const std::string_view*> seen;  // one row for each way of cutting
    for (const PretokenizerRow& row : pretokenizer_rows()) {
      if ((row.traits & (kPlainText | kRankByToken)) != 0) continue;
      if (std::ranges::find(seen, row.patterns.data()) != seen.end()) continue;
      seen.push_back(row.patterns.data());
      all.push_back(named(row.name));
    }
    return all;
  }

  // ---- What the keys can't say

  void embed() {
    constexpr std::string_view kConsequence = "other programs may make other tokens of some texts";
    if (source_.json_text.empty()) {
      notes_.push_back(fmt::format(
          "the tokenizer (white space around added tokens, or the like) is more than GGUF can say: {}",
          "some texts become other tokens than in the folder"));
      return;
    }
    metadata_.set(std::string(kHuggingFaceJsonKey), metadata_.keep(source_.json_text));
    notes_.push_back(
        fmt::format("the tokenizer is more than GGUF's own keys can say, so the file holds the "
                    "whole tokenizer.json, too; {}",
                    kConsequence));
  }

  const Source& source_;
  const Pipeline& parts_;
  const Vocab& vocab_;
  uint64_t n_rows_;
  Metadata& metadata_;
  bool is_exact_ = true;
  std::vector<std::string> notes_;
};

}  // namespace

std::vector<std::string> add_gguf_tokenizer(const fs::path& folder, uint64_t n_rows, Metadata& metadata) {
  const Source source = read_source(folder);
  return Writer(source, n_rows, metadata).write();
}

void pad_token_list(uint64_t n_rows, Metadata& metadata) {
  const format::MetadataArray* tokens = metadata.array(kTokensKey, ValueType::string);
  if (!tokens || tokens->n_elements >= n_rows || n_rows > limits::kVocabularyTokens) return;
  const Vocab vocab = read_vocab(metadata);
  const bool has_scores = metadata.find(kScoresKey) != nullptr;
  const auto* kinds = metadata.array(kKindsKey, ValueType::i64);
  TokenRows rows(vocab);
  for (TokenId id = 0; id < vocab.n_tokens(); ++id)
    rows.add(std::string(vocab.spelling(id)), vocab.score(id),
             kinds ? static_cast<TokenKind>(kinds->integer(static_cast<uint64_t>(id))) : TokenKind::normal);
  while (rows.size() < n_rows) rows.add_unused();
  rows.write(has_scores, metadata);
  write_suppressed(rows.unused(), metadata);
}

}  // namespace ruvllm::text
