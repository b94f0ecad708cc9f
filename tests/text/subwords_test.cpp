#include "text/subwords.h"

#include <doctest/doctest.h>

using namespace ruvllm;
using text::TokenKind;
using Ids = std::vector<text::TokenId>;

namespace {

struct Token {
  std::string_view spelling;
  float score = 0;
  TokenKind kind = TokenKind::normal;
};

std::shared_ptr<const text::Vocab> make_vocab(std::vector<Token> tokens,
                                              std::optional<text::TokenId> unknown = 0) {
  text::Vocab vocab(tokens.size());
  for (const Token& token : tokens) vocab.add(token.spelling, token.score, token.kind);
  vocab.index();
  vocab.special.unknown = unknown;
  return std::make_shared<const text::Vocab>(std::move(vocab));
}

Ids encode(const std::unique_ptr<const text::Subwords>& subwords, std::string_view word) {
  text::Merger merger;
  Ids ids;
  subwords->encode_word(word, merger, ids);
  return ids;
}

constexpr Token kUnknown{"<unk>", 0, TokenKind::unknown};

}  // namespace

TEST_CASE("SentencePiece BPE joins the best score first and the leftmost among equals") {
  const auto spm =
      text::make_spm(make_vocab({kUnknown, {"a"}, {"b"}, {"ab", -2}, {"ba", -1}, {"aba", -3}, {"aa", -5}}));
  CHECK(encode(spm, "aba") == Ids{5});  // "ba" first, then "a" + "ba"
  CHECK(encode(spm, "ab") == Ids{3});
  CHECK(encode(spm, "aaa") == Ids{6, 1});
  CHECK(encode(spm, "aaaa") == Ids{6, 6});
}

TEST_CASE("what no token covers becomes bytes where all of them are tokens, else the unknown token") {
  const Token high{"<0xC3>", 0, TokenKind::byte}, low{"<0xA9>", 0, TokenKind::byte};
  CHECK(encode(text::make_spm(make_vocab({kUnknown, {"a"}, high, low})), "a\xC3\xA9") == Ids{1, 2, 3});
  CHECK(encode(text::make_spm(make_vocab({kUnknown, {"a"}, high})), "a\xC3\xA9") == Ids{1, 0});
  CHECK(encode(text::make_spm(make_vocab({{"a"}}, std::nullopt)), "a\xC3\xA9") == Ids{0});
}

TEST_CASE("a text can't become a control or byte token by spelling it") {
  const auto vocab = make_vocab({kUnknown, {"<"}, {"s"}, {">"}, {"<s", 5}, {"<s>", 9, TokenKind::control}});
  CHECK(encode(text::make_spm(vocab), "<s>") == Ids{4, 3});
  const auto bpe =
      text::make_bpe(vocab, {.merges = {}, .byte_level = false, .ignore_merges = true, .source = "merges"});
  CHECK(encode(bpe, "<s>") == Ids{1, 2, 3});
}

TEST_CASE("byte pairs are joined by rank; a word that is a token stays whole only if merges are ignored") {
  const auto vocab = make_vocab({kUnknown, {"a"}, {"b"}, {"c"}, {"bc"}, {"ab"}, {"abc"}});
  text::BpeSettings settings{.merges = {{"b", "c"}, {"a", "b"}}, .source = "merges"};
  CHECK(encode(text::make_bpe(vocab, settings), "abc") == Ids{1, 4});
  CHECK(encode(text::make_bpe(vocab, settings), "ab") == Ids{5});
  settings.ignore_merges = true;
  CHECK(encode(text::make_bpe(vocab, settings), "abc") == Ids{6});
  settings.merges = {};
  settings.ignore_merges = false;
  settings.rank_by_token = true;
  CHECK(encode(text::make_bpe(vocab, settings), "abc") == Ids{6});
  CHECK(encode(text::make_bpe(vocab, settings), "aabb") == Ids{1, 5, 2});
}

TEST_CASE("several unknown characters are one unknown token only if they are fused") {
  const auto vocab = make_vocab({kUnknown, {"a"}});
  text::BpeSettings settings{.merges = {}, .byte_level = false, .source = "merges"};
  CHECK(encode(text::make_bpe(vocab, settings), "xyaz") == Ids{0, 0, 1, 0});
  settings.fuse_unknown = true;
  CHECK(encode(text::make_bpe(vocab, settings), "xyaz") == Ids{0, 1, 0});
}

TEST_CASE("Unigram takes the cut with the highest sum of scores") {
  const auto unigram = text::make_unigram(make_vocab({kUnknown,
                                                      {"a", -1},
                                                      {"b", -1},
                                                      {"c", -1},
                                                      {"ab", -1.5f},
                                                      {"bc", -1.2f},
                                                      {"abc", -4},
                                                      {"d", -9, TokenKind::user_defined}}));
  CHECK(encode(unigram, "abc") == Ids{1, 5});  // -2.2 beats -2.5, -3 and -4
  CHECK(encode(unigram, "ab") == Ids{4});
  CHECK(encode(unigram, "xyab") == Ids{0, 4});  // unknown characters in a row are one token
  CHECK(encode(unigram, "d") == Ids{7});
  CHECK(encode(unigram,
               "\xFF"
               "a") == Ids{0, 1});
}

TEST_CASE("WordPiece takes the longest token again and again, or gives the whole word up") {
  // The example of the BERT paper's code: "unaffable" is un ##aff ##able.
  const auto vocab = make_vocab(
      {{"[UNK]", 0, TokenKind::control}, {"un"}, {"##aff"}, {"##able"}, {"##a"}, {"runn"}, {"##ing"}});
  const auto wordpiece = text::make_wordpiece(vocab, {});
  CHECK(encode(wordpiece, "unaffable") == Ids{1, 2, 3});
  CHECK(encode(wordpiece, "running") == Ids{5, 6});
  CHECK(encode(wordpiece, "unaffablex") == Ids{0});
  CHECK(encode(wordpiece, "able") == Ids{0});
  CHECK(encode(text::make_wordpiece(vocab, {.most_characters = 6}), "running") == Ids{0});

  const auto gguf = make_vocab({kUnknown, {"\xE2\x96\x81un"}, {"aff"}, {"able"}});
  CHECK(encode(text::make_wordpiece(gguf, {.first_prefix = "\xE2\x96\x81", .continuing_prefix = ""}),
               "unaffable") == Ids{1, 2, 3});
}
