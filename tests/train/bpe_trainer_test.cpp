#include "train/bpe_trainer.h"

#include <doctest/doctest.h>

using namespace ruvllm::train;

TEST_CASE("the most frequent pair becomes the next token") {
  const BpeVocabulary vocabulary = train_bpe({{"abab", 3}, {"abc", 2}, {"xy", 1}}, 260);
  REQUIRE(vocabulary.tokens.size() >= 258);
  CHECK(vocabulary.tokens[256] == "ab");    // 3 * 2 + 2 times
  CHECK(vocabulary.tokens[257] == "abab");  // 3 times; "abc" 2 times
  CHECK(vocabulary.tokens[258] == "abc");
  CHECK(vocabulary.tokens.size() == 259);  // "xy" occurs once: no token
  CHECK(vocabulary.merges[1] == std::pair<int32_t, int32_t>{256, 256});
}

TEST_CASE("equal counts are decided by the smaller ids, so a vocabulary is the same everywhere") {
  const BpeVocabulary one = train_bpe({{"qr", 5}, {"mn", 5}, {"ab", 5}}, 259);
  CHECK(one.tokens[256] == "ab");
  CHECK(one.tokens[257] == "mn");
  CHECK(one.tokens[258] == "qr");
}

TEST_CASE("a run of one letter is merged by pairs without overlap") {
  const BpeVocabulary vocabulary = train_bpe({{"aaaaa", 4}}, 300);
  REQUIRE(vocabulary.tokens.size() == 259);
  CHECK(vocabulary.tokens[256] == "aa");
  CHECK(vocabulary.tokens[257] ==
        "aaa");  // aa aa a: both pairs occur once a word, and (256, 97) is the smaller
  CHECK(vocabulary.tokens[258] == "aaaaa");
}
