#include "text/pipeline.h"

#include "base/error.h"
#include "base/limits.h"

#include <algorithm>
#include <utility>

namespace ruvllm::text {
namespace {

class PipelineTokenizer final : public Tokenizer {
 public:
  explicit PipelineTokenizer(Pipeline pipeline)
      : parts_(std::move(pipeline)), added_(*parts_.vocab, parts_.added_tokens) {
    RUVLLM_ASSERT(parts_.vocab && parts_.subwords && parts_.bytes_of);
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
        encode_fragment(fragment.text, place, tokens);
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
  bool adds_bos() const override { return !parts_.before.empty() && bos() == parts_.before.front(); }
  std::string_view warning() const override { return parts_.warning; }

 private:
  TokenId checked(TokenId token) const {
    if (!parts_.vocab->contains(token))
      throw Error(Errc::usage, "token {} is not in the vocabulary of {} tokens", token, n_tokens());
    return token;
  }

  void encode_fragment(std::string_view text, FragmentPlace place, std::vector<TokenId>& tokens) const {
    std::string normal;  // what `text` points into once a normaliser has changed it
    for (size_t i = 0; i < parts_.normalisers.size(); ++i) {
      if (place == FragmentPlace::after_text && std::ranges::count(parts_.prefixes, i) > 0) continue;
      normal = parts_.normalisers[i](text);
      text = normal;
    }
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
