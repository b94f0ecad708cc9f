// A tokenizer put together from parts: added tokens are cut out of the text, normalisers and cutters make
// words of what lies between, a subword model makes tokens of each word, special tokens go around; and the
// way back.
//
// Every kind of tokenizer is a row of parts, found by a reader: tokenizer.cpp (GGUF), tokenizer_json.cpp and
// sentencepiece_model.cpp (Hugging Face folders). Tested by tests/text/tokenizer_test.cpp.
#pragma once

#include "text/added_tokens.h"
#include "text/cut.h"
#include "text/normalise.h"
#include "text/subwords.h"
#include "text/tokenizer.h"
#include "text/vocab.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace ruvllm::text {

/// How words are cut into tokens (subwords.h).
enum class SubwordKind {
  scored_pairs,     ///< SentencePiece's BPE: neighbours join by the scores of tokens
  character_pairs,  ///< by a list of merges, tokens spelled in plain text
  byte_pairs,       ///< the same, spelled in GPT-2's byte alphabet
  unigram,
  word_pieces,
};

/// The parts of a tokenizer.
struct Pipeline {
  SubwordKind kind = SubwordKind::scored_pairs;
  std::shared_ptr<const Vocab> vocab;
  std::vector<AddedTokenRule> added_tokens;
  std::vector<Normaliser> normalisers;
  std::vector<size_t> prefixes;  ///< which of them put something in front, where no text stands before
  std::vector<Cutter> cutters;
  std::shared_ptr<const Subwords> subwords;
  std::vector<TokenId> before;  ///< special tokens in front of a text: BOS or [CLS]
  std::vector<TokenId> after;   ///< and behind it: EOS or [SEP]
  std::function<std::string(std::string_view spelling)> bytes_of;  ///< of a normal token in running text
  bool strips_first_space = false;  ///< decode() drops one space in front: encode() put it there
  bool cleans_up_spaces = false;  ///< decode() puts English spacing right: words came apart from punctuation
  SpecialTexts special_texts;
  std::string warning;   ///< what had to be assumed
  std::string charsmap;  ///< the table of a precompiled normaliser, for writers; empty: there is none

  /// Adds a normaliser that puts `prefix` in front of a text.
  void add_prefix(std::string prefix) {
    prefixes.push_back(normalisers.size());
    normalisers.push_back(prepend(std::move(prefix)));
  }
};

std::shared_ptr<const Tokenizer> make_pipeline_tokenizer(Pipeline pipeline);

/// What templates are given where nothing but the vocabulary's roles is known.
SpecialTexts texts_of_roles(const Vocab& vocab);

/// Every space sign (▁) as a space.
std::string unescape_spaces(std::string_view text);

/// The parts of a SentencePiece tokenizer that is not the subword model, from wherever it was read.
struct SentencePieceSettings {
  std::span<const std::byte> charsmap;  ///< precompiled replacements, or nothing; read during the call only
  std::string_view charsmap_source;     ///< what it is called in messages
  bool add_space_prefix = true;
  bool remove_extra_spaces = false;
  bool escape_spaces = true;  ///< spaces are spelled ▁
};
/// Adds normalisers, cutters and the way back to a pipeline whose vocabulary is set.
void add_sentencepiece_parts(const SentencePieceSettings& settings, Pipeline& pipeline);

}  // namespace ruvllm::text
