#include "text/pipeline.h"

#include "base/error.h"
#include "base/limits.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace ruvllm::text {
namespace {

class PipelineTokenizer final : public Tokenizer {
 public:
  explicit PipelineTokenizer(Pipeline pipeline) : parts_(std::move(pipeline)) {
    RUVLLM_ASSERT(parts_.vocab && parts_.subwords && parts_.bytes_of);
    const auto rules = [&](bool normalised) {
      std::vector<AddedTokenRule> some;
      std::ranges::copy_if(parts_.added_tokens, std::back_inserter(some),
                           [&](const AddedTokenRule& rule) { return rule.normalised == normalised; });
      return some;
    };
    added_ = AddedTokens(*parts_.vocab, rules(false));
    added_normalised_ = AddedTokens(*parts_.vocab, rules(true), [&](std::string_view text) {
      return normalise(text, FragmentPlace::first);
    });
  }

  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options) const override {
    if (text.size() > limits::kPromptBytes)
      throw Error(Errc::usage, "the text is {} bytes long, at most {} can be encoded at once", text.size(),
                  limits::kPromptBytes);
    std::vector<TokenId> tokens;
    tokens.reserve(text.size() / 4 + 8);
    if (options.add_special) tokens = parts_.before;
    FragmentPlace place = options.continues ? FragmentPlace::after_text : FragmentPlace::first;
    for (const Fragment& fragment : added_.split(text, options.parse_special, options.literal)) {
      if (fragment.added) {
        tokens.push_back(*fragment.added);
      } else {
        const auto begin = static_cast<size_t>(fragment.text.data() - text.data());
        encode_fragment(fragment.text, begin, options, place, tokens);
      }
      place = FragmentPlace::after_added_token;
    }
    if (options.add_special) tokens.insert(tokens.end(), parts_.after.begin(), parts_.after.end());
    return tokens;
  }

  std::string token_bytes(TokenId token, bool show_special) const override {
    switch (kind(token)) {
      case TokenKind::control:
      case TokenKind::unknown:
        return show_special ? std::string(spelling(token)) : std::string();
      case TokenKind::user_defined:
        return std::string(spelling(token));
      case TokenKind::byte: {
        const auto byte = parts_.vocab->byte_of(token);
        return byte ? std::string(1, static_cast<char>(*byte)) : std::string();
      }
      default:
        return parts_.bytes_of(spelling(token));
    }
  }

  std::string decode(std::span<const TokenId> tokens, bool show_special) const override {
    std::string text;
    bool at_start = parts_.strips_first_space;
    for (const TokenId token : tokens) {
      const std::string bytes = token_bytes(token, show_special);
      text.append(bytes, at_start && bytes.starts_with(' ') ? 1 : 0);
      if (!bytes.empty()) at_start = false;
    }
    return parts_.cleans_up_spaces ? clean_up_spaces(text) : text;
  }

  bool strips_first_space() const override { return parts_.strips_first_space; }
  TokenId n_tokens() const override { return parts_.vocab->n_tokens(); }
  TokenKind kind(TokenId token) const override { return parts_.vocab->kind(checked(token)); }
  std::string_view spelling(TokenId token) const override { return parts_.vocab->spelling(checked(token)); }
  std::optional<TokenId> find(std::string_view spelling) const override {
    return parts_.vocab->find(spelling);
  }
  std::optional<TokenId> bos() const override { return parts_.vocab->special.bos; }
  std::optional<TokenId> eos() const override { return parts_.vocab->special.eos; }
  std::span<const TokenId> end_tokens() const override { return parts_.vocab->end_tokens; }
  std::span<const TokenId> suppressed_tokens() const override { return parts_.vocab->suppressed_tokens; }
  const SpecialTexts& special_texts() const override { return parts_.special_texts; }
  bool adds_bos() const override { return !parts_.before.empty() && bos() == parts_.before.front(); }
  std::string_view warning() const override { return parts_.warning; }

 private:
  TokenId checked(TokenId token) const {
    if (!parts_.vocab->contains(token))
      throw Error(Errc::usage, "token {} is not in the vocabulary of {} tokens", token, n_tokens());
    return token;
  }

  std::string normalise(std::string_view text, FragmentPlace place) const {
    std::string normal(text);
    for (size_t i = 0; i < parts_.normalisers.size(); ++i)
      if (place != FragmentPlace::after_text || std::ranges::count(parts_.prefixes, i) == 0)
        normal = parts_.normalisers[i](normal);
    return normal;
  }

  // Where the literal ranges of a text lie in a normalised fragment of it, which begins at `begin`: as far in
  // as what stands before a border is long when it is normalised by itself, or from the fragment's edge where
  // the border changes that.
  std::vector<ByteRange> literal_in(std::string_view fragment, size_t begin, std::string_view normal,
                                    FragmentPlace place, std::span<const ByteRange> literal) const {
    const auto border = [&](size_t at, size_t otherwise) {
      const std::string before = normalise(fragment.substr(0, at - begin), place);
      return normal.starts_with(before) ? before.size() : otherwise;
    };
    std::vector<ByteRange> found;
    for (const ByteRange& range : literal) {
      const size_t from = std::max<size_t>(range.begin, begin);
      const size_t to = std::min<size_t>(range.end, begin + fragment.size());
      if (from >= to) continue;
      const size_t first = found.empty() ? 0 : found.back().end;
      found.push_back({std::max(border(from, 0), first), std::max(border(to, normal.size()), first)});
    }
    return found;
  }

  // A fragment between added tokens that are sought in the text as it is written; cut at those that are
  // sought in normalised text.
  void encode_fragment(std::string_view text, size_t begin, const EncodeOptions& options, FragmentPlace place,
                       std::vector<TokenId>& tokens) const {
    const std::string normal = normalise(text, place);
    if (added_normalised_.empty()) {
      encode_plain(normal, place, tokens);
      return;
    }
    std::vector<ByteRange> literal;
    if (options.parse_special && !options.literal.empty())
      literal = literal_in(text, begin, normal, place, options.literal);
    for (const Fragment& fragment : added_normalised_.split(normal, options.parse_special, literal)) {
      if (fragment.added) {
        tokens.push_back(*fragment.added);
      } else {
        encode_plain(fragment.text, place, tokens);
      }
      place = FragmentPlace::after_added_token;
    }
  }

  // A normalised text in which no added token stands.
  void encode_plain(std::string_view text, FragmentPlace place, std::vector<TokenId>& tokens) const {
    CutText cut{text, {}, place, {}};
    if (!text.empty()) cut.words.push_back({0, static_cast<uint32_t>(text.size())});
    for (const Cutter& cutter : parts_.cutters) cutter(cut);

    Merger merger;
    WordCache cache(cut.text.size());
    for (const Piece& piece : cut.words) {
      const std::string_view word = cut.word(piece);
      if (word.empty()) continue;
      cache.append(word, tokens,
                   [&](std::vector<TokenId>& out) { parts_.subwords->encode_word(word, merger, out); });
    }
  }

  Pipeline parts_;
  AddedTokens added_;
  AddedTokens added_normalised_;
};

// Whether a token goes on over a space sign that begins a word: then words can't be taken one by one.
bool crosses_words(std::string_view spelling) {
  for (size_t at = spelling.find(kSpaceSign, 1); at != std::string_view::npos;
       at = spelling.find(kSpaceSign, at + 1))
    if (at < kSpaceSign.size() || spelling.substr(at - kSpaceSign.size(), kSpaceSign.size()) != kSpaceSign)
      return true;
  return false;
}

bool words_are_apart(const Vocab& vocab) {
  for (TokenId id = 0; id < vocab.n_tokens(); ++id)
    if (may_be_text(vocab.kind(id)) && crosses_words(vocab.spelling(id))) return false;
  return true;
}

}  // namespace

std::shared_ptr<const Tokenizer> make_pipeline_tokenizer(Pipeline pipeline) {
  return std::make_shared<PipelineTokenizer>(std::move(pipeline));
}

SpecialTexts texts_of_roles(const Vocab& vocab) {
  constexpr std::pair<std::string_view, std::optional<TokenId> SpecialTokens::*> kRoles[] = {
      {"unk_token", &SpecialTokens::unknown},
      {"sep_token", &SpecialTokens::separator},
      {"pad_token", &SpecialTokens::padding},
      {"cls_token", &SpecialTokens::classifier},
      {"mask_token", &SpecialTokens::mask}};
  SpecialTexts texts;
  for (const auto& [name, role] : kRoles)
    if (const auto token = vocab.special.*role) texts.named.emplace_back(name, vocab.spelling(*token));
  return texts;
}

std::string unescape_spaces(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const bool is_space = text.substr(at).starts_with(kSpaceSign);
    plain += is_space ? ' ' : text[at];
    at += is_space ? kSpaceSign.size() : 1;
  }
  return plain;
}

void add_sentencepiece_parts(const SentencePieceSettings& settings, Pipeline& pipeline) {
  const std::string sign(settings.escape_spaces ? kSpaceSign : " ");
  if (!settings.charsmap.empty()) {
    pipeline.normalisers.push_back(precompiled_charsmap(settings.charsmap, settings.charsmap_source));
    pipeline.charsmap.assign(reinterpret_cast<const char*>(settings.charsmap.data()),
                             settings.charsmap.size());
  }
  if (settings.remove_extra_spaces) pipeline.normalisers.push_back(collapse_spaces());
  if (settings.escape_spaces) pipeline.normalisers.push_back(replace_text(" ", sign));
  if (settings.add_space_prefix) pipeline.add_prefix(sign);
  if (settings.escape_spaces && words_are_apart(*pipeline.vocab))
    pipeline.cutters.push_back(cut_before_space_signs());
  pipeline.strips_first_space = settings.add_space_prefix;
  if (settings.escape_spaces) {
    pipeline.bytes_of = unescape_spaces;
  } else {
    pipeline.bytes_of = [](std::string_view text) { return std::string(text); };
  }
}

}  // namespace ruvllm::text
