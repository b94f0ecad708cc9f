// The four ways of cutting a word into tokens. Each knows the vocabulary and nothing of what happens around
// it (normalising, cutting text into words, special tokens: pipeline.h). Tested by
// tests/text/subwords_test.cpp and with whole tokenizers by tests/text/tokenizer_test.cpp.
#pragma once

#include "text/merge.h"
#include "text/vocab.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ruvllm::text {

class Subwords {
 public:
  virtual ~Subwords() = default;
  /// Appends the tokens of a word (any bytes, not empty). `merger` is memory to work in.
  virtual void encode_word(std::string_view word, Merger& merger, std::vector<TokenId>& tokens) const = 0;
};

/// SentencePiece BPE: neighbours are joined as long as what they make is a token, highest score first; a
/// character that no token covers becomes byte tokens, or the unknown token.
std::unique_ptr<const Subwords> make_spm(std::shared_ptr<const Vocab> vocab);

/// Byte pair encoding: neighbours are joined as a list of merges says, lowest rank first.
struct BpeSettings {
  std::vector<std::pair<std::string_view, std::string_view>> merges;  ///< by rank; read during the call only
  bool rank_by_token = false;  ///< no merges: any two parts of a token may join, ranked by its id
  bool byte_level = true;      ///< tokens are spelled in GPT-2's byte alphabet; else in plain UTF-8
  bool ignore_merges = false;  ///< a word that is a token stays whole
  bool fuse_unknown = false;   ///< several unknown characters in a row become one unknown token
  std::string_view source;     ///< what the merges are called in messages
  /// Takes what is to be told of merges that name what is no token: they are then passed over, as they can
  /// never be used. Null: they are errors.
  std::string* warning = nullptr;
};
/// Throws corrupt_file where a merge names what is no token, unless there is a place for a warning.
std::unique_ptr<const Subwords> make_bpe(std::shared_ptr<const Vocab> vocab, const BpeSettings& settings);

/// Unigram: of all ways to cut a word, the one with the highest sum of scores (Viterbi).
std::unique_ptr<const Subwords> make_unigram(std::shared_ptr<const Vocab> vocab);

/// WordPiece: the longest token that fits, again and again; a word that can't be cut so is unknown as a
/// whole.
struct WordPieceSettings {
  std::string first_prefix = "";  ///< what tokens at the beginning of a word are spelled with: "▁" or nothing
  std::string continuing_prefix = "##";  ///< what tokens inside a word are spelled with
  size_t most_characters = 100;          ///< longer words are unknown
};
std::unique_ptr<const Subwords> make_wordpiece(std::shared_ptr<const Vocab> vocab,
                                               WordPieceSettings settings);

}  // namespace ruvllm::text
