// Which tokenizer a model asks for: in GGUF metadata, put together from parts here; in a folder, by
// tokenizer_json.h.
#include "text/tokenizer.h"

#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "text/byte_alphabet.h"
#include "text/gguf_tokenizer.h"
#include "text/no_tokenizer.h"
#include "text/pipeline.h"
#include "text/tokenizer_json.h"

#include <algorithm>
#include <utility>

namespace ruvllm::text {
namespace {

using format::Metadata;

constexpr std::string_view kMergesKey = "tokenizer.ggml.merges";
constexpr std::string_view kAddBosKey = "tokenizer.ggml.add_bos_token";
constexpr std::string_view kPreKey = "tokenizer.ggml.pre";
constexpr std::string_view kCharsmapKey = "tokenizer.ggml.precompiled_charsmap";

// What a role is where the file has no key for it, as llama.cpp takes it: a token by its spelling, where one
// is usual, else by its id.
struct RoleDefault {
  std::optional<TokenId> SpecialTokens::*role;
  std::string_view spelling;
  TokenId id;
};
constexpr TokenId kNoId = -1;

constexpr RoleDefault kSpmRoles[] = {
    {&SpecialTokens::bos, "", 1}, {&SpecialTokens::eos, "", 2}, {&SpecialTokens::unknown, "", 0}};
constexpr RoleDefault kUnigramRoles[] = {{&SpecialTokens::eos, "</s>", 1},
                                         {&SpecialTokens::unknown, "<unk>", 2},
                                         {&SpecialTokens::padding, "<pad>", 0}};
constexpr RoleDefault kWordPieceRoles[] = {{&SpecialTokens::bos, "[CLS]", 101},
                                           {&SpecialTokens::separator, "[SEP]", 102},
                                           {&SpecialTokens::unknown, "[UNK]", 100},
                                           {&SpecialTokens::padding, "[PAD]", 0},
                                           {&SpecialTokens::mask, "[MASK]", 103}};
constexpr RoleDefault kGemma4Roles[] = {{&SpecialTokens::bos, "<bos>", kNoId},
                                        {&SpecialTokens::eos, "<eos>", kNoId},
                                        {&SpecialTokens::unknown, "<unk>", kNoId},
                                        {&SpecialTokens::padding, "<pad>", kNoId}};
// The first models of this kind had one special token, of this id.
constexpr TokenId kBpeSpecial = 11;

void fill_roles(std::span<const RoleDefault> rows, Vocab& vocab) {
  for (const RoleDefault& row : rows) {
    std::optional<TokenId>& role = vocab.special.*row.role;
    if (!role && !row.spelling.empty()) role = vocab.find(row.spelling);
    if (!role && vocab.contains(row.id)) role = row.id;
  }
}

// Most vocabularies of the kind have an ordinary word at the usual id. It is BOS only where the file wants
// one and names none, which is worth a warning, and never EOS.
void fill_bpe_roles(bool wants_bos, Vocab& vocab, std::string& warning) {
  if (!vocab.contains(kBpeSpecial)) return;
  SpecialTokens& special = vocab.special;
  const bool is_control = vocab.kind(kBpeSpecial) == TokenKind::control;
  if (!special.bos && (is_control || wants_bos)) {
    special.bos = kBpeSpecial;
    if (!is_control)
      warning = fmt::format("tokenizer.ggml.bos_token_id is missing: assumed {}, \"{}\"", kBpeSpecial,
                            printable(vocab.spelling(kBpeSpecial), 40));
  }
  if (!special.eos && is_control) special.eos = kBpeSpecial;
}

// A token that is to be added; absent is an error of the file.
TokenId required(std::optional<TokenId> token, std::string_view name) {
  if (!token)
    throw Error(Errc::corrupt_file,
                "tokenizer.ggml.add_{}_token is set, but there is no tokenizer.ggml.{}_token_id", name, name);
  return *token;
}

// What is added where the file doesn't say.
struct FramingDefaults {
  bool bos = false;
  bool eos = false;
  bool separator = false;
};

void add_framing(const Metadata& metadata, FramingDefaults defaults, Pipeline& pipeline) {
  const SpecialTokens& special = pipeline.vocab->special;
  const auto flag = [&](std::string_view key, bool otherwise) {
    return metadata.boolean(key).value_or(otherwise);
  };
  if (flag(kAddBosKey, defaults.bos && special.bos)) pipeline.before.push_back(required(special.bos, "bos"));
  const bool adds_eos = flag("tokenizer.ggml.add_eos_token", defaults.eos && special.eos);
  if (adds_eos) pipeline.after.push_back(required(special.eos, "eos"));
  if (flag("tokenizer.ggml.add_sep_token", defaults.separator && special.separator && !adds_eos))
    pipeline.after.push_back(required(special.separator, "sep"));
}

Pipeline begin_pipeline(Vocab vocab) {
  vocab.find_end_tokens();
  Pipeline pipeline;
  pipeline.added_tokens = rules_by_kind(vocab);
  pipeline.special_texts = texts_of_roles(vocab);
  pipeline.vocab = std::make_shared<const Vocab>(std::move(vocab));
  return pipeline;
}

// Phi-3's control tokens, as its tokenizer.json has them, swallow the white space behind them; GGUF can't say
// so.
void apply_phi3_stripping(const Metadata& metadata, Pipeline& pipeline) {
  if (metadata.string("general.architecture") != "phi3") return;
  for (AddedTokenRule& rule : pipeline.added_tokens) {
    const std::string_view spelling = pipeline.vocab->spelling(rule.id);
    rule.strip_right = spelling != "<unk>" && spelling != "<s>" && spelling != "<|endoftext|>";
  }
}

std::span<const std::byte> read_charsmap(const Metadata& metadata) {
  const format::MetadataValue* value = metadata.find(kCharsmapKey);
  if (!value) return {};
  const auto* array = std::get_if<format::MetadataArray>(value);
  if (!array || (array->type != format::ValueType::u8 && array->type != format::ValueType::i8))
    throw Error(Errc::corrupt_file, "{} is no array of bytes", kCharsmapKey);
  return array->bytes;
}

SentencePieceSettings read_sentencepiece_settings(const Metadata& metadata) {
  return {.charsmap = read_charsmap(metadata),
          .charsmap_source = kCharsmapKey,
          .add_space_prefix = metadata.boolean("tokenizer.ggml.add_space_prefix").value_or(true),
          .remove_extra_spaces = metadata.boolean("tokenizer.ggml.remove_extra_whitespaces").value_or(false),
          .escape_spaces = metadata.boolean("tokenizer.ggml.escape_whitespaces").value_or(true)};
}

Pipeline read_spm(const Metadata& metadata) {
  Vocab vocab = read_vocab(metadata);
  fill_roles(kSpmRoles, vocab);
  Pipeline pipeline = begin_pipeline(std::move(vocab));
  add_framing(metadata, {.bos = true}, pipeline);
  apply_phi3_stripping(metadata, pipeline);
  add_sentencepiece_parts(read_sentencepiece_settings(metadata), pipeline);
  pipeline.subwords = make_spm(pipeline.vocab);
  return pipeline;
}

Pipeline read_unigram(const Metadata& metadata) {
  Vocab vocab = read_vocab(metadata);
  fill_roles(kUnigramRoles, vocab);
  Pipeline pipeline = begin_pipeline(std::move(vocab));
  add_framing(metadata, {.eos = true}, pipeline);
  add_sentencepiece_parts(read_sentencepiece_settings(metadata), pipeline);
  pipeline.kind = SubwordKind::unigram;
  pipeline.subwords = make_unigram(pipeline.vocab);
  return pipeline;
}

std::string join_warnings(std::initializer_list<std::string_view> warnings) {
  std::string joined;
  for (const std::string_view warning : warnings)
    if (!warning.empty()) joined.append(joined.empty() ? "" : "; ").append(warning);
  return joined;
}

// "left right": parts are split at the first space that is not the first character.
void read_merges(const Metadata& metadata, BpeSettings& settings) {
  const format::MetadataArray* merges = metadata.array(kMergesKey, format::ValueType::string);
  if (!merges) {
    if (settings.rank_by_token) return;
    throw Error(Errc::corrupt_file, "{} is missing", kMergesKey);
  }
  settings.rank_by_token = false;
  if (merges->n_elements > limits::kMerges)
    throw Error(Errc::corrupt_file, "{} has {} elements, expected at most {}", kMergesKey, merges->n_elements,
                limits::kMerges);
  settings.merges.reserve(merges->n_elements);
  for (const std::string_view merge : merges->strings) {
    const size_t space = merge.find(' ', 1);
    if (space == std::string_view::npos || space + 1 == merge.size())
      throw Error(Errc::corrupt_file, "{}: merge {} is \"{}\", expected two parts with a space between",
                  kMergesKey, settings.merges.size(), printable(merge, 40));
    settings.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
  }
}

// The pre-tokeniser that the metadata names; an unknown name is replaced, and the warning says by what.
const PretokenizerRow& choose_pretokenizer(const Metadata& metadata, std::string& warning) {
  constexpr std::string_view kConsequence = "text may be cut into tokens that the model doesn't know well";
  const std::optional<std::string_view> name = metadata.string(kPreKey);
  if (!name) {
    warning = fmt::format("{} is missing: assumed \"default\"; {}", kPreKey, kConsequence);
    return *find_pretokenizer("default");
  }
  if (const PretokenizerRow* row = find_pretokenizer(*name)) return *row;
  warning = fmt::format("{} is \"{}\", which is unknown: assumed \"qwen2\"; {}", kPreKey,
                        printable(*name, 40), kConsequence);
  return *find_pretokenizer("qwen2");
}

Pipeline read_bpe(const Metadata& metadata, bool is_gemma4) {
  Vocab vocab = read_vocab(metadata);
  std::string pre_warning, bos_warning, merges_warning;
  const PretokenizerRow& row =
      is_gemma4 ? *find_pretokenizer("gemma4") : choose_pretokenizer(metadata, pre_warning);
  const auto has = [&](PretokenizerTrait trait) { return (row.traits & trait) != 0; };
  const bool separated = has(kAddSeparator);
  const bool adds_bos = metadata.boolean(kAddBosKey).value_or(separated || has(kAddBos));
  if (is_gemma4) {
    fill_roles(kGemma4Roles, vocab);
  } else {
    fill_bpe_roles(adds_bos, vocab, bos_warning);
  }
  Pipeline pipeline = begin_pipeline(std::move(vocab));
  add_framing(metadata, {.bos = adds_bos, .separator = separated}, pipeline);
  BpeSettings settings{.merges = {},
                       .rank_by_token = has(kRankByToken),
                       .byte_level = !has(kPlainText),
                       .ignore_merges = has(kIgnoreMerges),
                       .source = kMergesKey};
  settings.warning = &merges_warning;
  read_merges(metadata, settings);
  if (has(kPlainText)) pipeline.normalisers.push_back(replace_text(" ", std::string(kSpaceSign)));
  pipeline.bytes_of = has(kPlainText) ? unescape_spaces : from_byte_alphabet;
  pipeline.cutters.push_back(cut_by_pretokenizer(std::make_shared<const Pretokenizer>(row.patterns)));
  pipeline.kind = settings.byte_level ? SubwordKind::byte_pairs : SubwordKind::character_pairs;
  pipeline.subwords = make_bpe(pipeline.vocab, settings);
  pipeline.warning = join_warnings({pre_warning, bos_warning, merges_warning});
  return pipeline;
}

// Vocabularies of lower-case models hold no capital letter outside their control tokens.
bool is_cased(const Vocab& vocab) {
  for (TokenId id = 0; id < vocab.n_tokens(); ++id)
    if (vocab.kind(id) == TokenKind::normal && !vocab.spelling(id).starts_with('[') &&
        std::ranges::any_of(vocab.spelling(id), [](char c) { return c >= 'A' && c <= 'Z'; }))
      return true;
  return false;
}

// GGUF spells words with ▁ in front and what goes on inside a word without "##".
Pipeline read_wordpiece(const Metadata& metadata) {
  Vocab vocab = read_vocab(metadata);
  if (!vocab.special.bos) vocab.special.bos = vocab.special.classifier;
  fill_roles(kWordPieceRoles, vocab);
  const bool lower = metadata.boolean("tokenizer.ggml.normalizer.lowercase").value_or(!is_cased(vocab));
  const bool strip = metadata.boolean("tokenizer.ggml.normalizer.strip_accents").value_or(lower);
  Pipeline pipeline = begin_pipeline(std::move(vocab));
  add_framing(metadata, {.bos = true, .separator = true}, pipeline);
  pipeline.normalisers.push_back(bert_normaliser({.strip_accents = strip, .lower_case = lower}));
  pipeline.cutters = bert_cutters();
  pipeline.kind = SubwordKind::word_pieces;
  pipeline.subwords = make_wordpiece(
      pipeline.vocab,
      {.first_prefix = std::string(kSpaceSign), .continuing_prefix = "", .most_characters = 100});
  pipeline.bytes_of = unescape_spaces;
  pipeline.strips_first_space = true;
  pipeline.cleans_up_spaces = true;
  return pipeline;
}

// What stands beside a tokenizer.json that lies in metadata, from the keys around it.
TokenizerConfig config_of_keys(const Metadata& metadata) {
  TokenizerConfig config;
  const format::MetadataArray* tokens = metadata.array("tokenizer.ggml.tokens", format::ValueType::string);
  const uint64_t n_tokens = tokens ? tokens->n_elements : 0;
  constexpr std::pair<const char*, const char*> kRoles[] = {
      {"bos_token", "bos"},     {"eos_token", "eos"},   {"unk_token", "unknown"}, {"sep_token", "seperator"},
      {"pad_token", "padding"}, {"mask_token", "mask"}, {"cls_token", "cls"}};
  const auto id_of = [&](std::string_view name) {
    const auto id = metadata.integer(fmt::format("tokenizer.ggml.{}_token_id", name));
    return id && *id >= 0 && std::cmp_less(*id, n_tokens) ? id : std::nullopt;
  };
  for (const auto& [role, name] : kRoles)
    if (const auto id = id_of(name)) config.config[role] = tokens->strings[static_cast<size_t>(*id)];
  for (const char* name : {"eos", "eot", "eom"})
    if (const auto id = id_of(name)) config.end_ids.push_back(*id);
  for (const char* flag : {"add_bos_token", "add_eos_token"})
    if (const auto value = metadata.boolean(fmt::format("tokenizer.ggml.{}", flag)))
      config.config[flag] = *value;
  return config;
}

// A tokenizer.json within metadata is the tokenizer itself; the keys around it only come near. Where it
// can't be read, they must do.
std::shared_ptr<const Tokenizer> read_embedded(const Metadata& metadata, std::string_view json) {
  try {
    if (json.size() > limits::kJsonFileBytes)
      throw Error(Errc::corrupt_file, "{} bytes, expected at most {}", json.size(), limits::kJsonFileBytes);
    return parse_tokenizer_json(json, config_of_keys(metadata));
  } catch (const Error& error) {
    if (error.code() != Errc::corrupt_file || !metadata.find("tokenizer.ggml.model")) throw;
    Pipeline pipeline = read_gguf_tokenizer(metadata);
    pipeline.warning = fmt::format("{} can't be read ({}): text is cut by tokenizer.ggml.* in its place",
                                   kHuggingFaceJsonKey, error.what());
    return make_pipeline_tokenizer(std::move(pipeline));
  }
}

}  // namespace

Pipeline read_gguf_tokenizer(const Metadata& metadata) {
  const std::optional<std::string_view> kind = metadata.string("tokenizer.ggml.model");
  if (!kind) throw Error(Errc::corrupt_file, "tokenizer.ggml.model is missing");
  if (*kind == "llama") return read_spm(metadata);
  if (*kind == "gpt2") return read_bpe(metadata, false);
  if (*kind == "gemma4") return read_bpe(metadata, true);
  if (*kind == "t5") return read_unigram(metadata);
  if (*kind == "bert") return read_wordpiece(metadata);
  throw Error(Errc::corrupt_file,
              "tokenizer.ggml.model is \"{}\", expected llama, gpt2, gemma4, t5, bert or none",
              printable(*kind, 40));
}

std::shared_ptr<const Tokenizer> make_tokenizer(const format::ModelFile& model) {
  const format::Tensor* table = model.find("token_embd.weight");
  const auto n_rows = table ? std::optional(static_cast<TokenId>(
                                  std::min<uint64_t>(table->n_rows(), limits::kVocabularyTokens)))
                            : std::nullopt;
  if (!model.folder.empty()) return make_tokenizer_of_folder(model.folder, n_rows);
  const std::optional<std::string_view> kind = model.metadata.string("tokenizer.ggml.model");
  if (kind == "none" || kind == "no_vocab") return make_no_tokenizer(*kind, n_rows.value_or(0));
  if (const auto json = model.metadata.string(kHuggingFaceJsonKey))
    return read_embedded(model.metadata, *json);
  return make_pipeline_tokenizer(read_gguf_tokenizer(model.metadata));
}

std::vector<TokenId> forbidden_tokens(const Tokenizer& tokenizer, TokenId n_rows) {
  const std::span<const TokenId> suppressed = tokenizer.suppressed_tokens();
  std::vector<TokenId> forbidden(suppressed.begin(), suppressed.end());
  for (TokenId id = tokenizer.n_tokens(); id < n_rows; ++id) forbidden.push_back(id);
  std::erase_if(forbidden, [&](TokenId id) { return id >= n_rows; });
  std::ranges::sort(forbidden);
  const auto repeated = std::ranges::unique(forbidden);
  forbidden.erase(repeated.begin(), repeated.end());
  return forbidden;
}

}  // namespace ruvllm::text
