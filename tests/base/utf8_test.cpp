#include "base/utf8.h"

#include <doctest/doctest.h>

#include <string>

using namespace ruvllm;

TEST_CASE("every code point comes back as it was written, and surrogates are none") {
  for (uint32_t point = 0; point <= 0x10FFFF; ++point) {
    std::string text;
    append_utf8(text, point);
    const CodePoint read = first_code_point(text);
    const bool is_surrogate = point >= 0xD800 && point < 0xE000;
    if (read.valid == is_surrogate || (read.valid && (read.value != point || read.n_bytes != text.size())))
      FAIL("code point " << point);
  }
}

TEST_CASE("malformed bytes are taken one at a time") {
  for (const std::string bad :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xff", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xed\xa0\x80", "\xc3x"}) {
    const CodePoint read = first_code_point(bad);
    CHECK_FALSE(read.valid);
    CHECK(read.n_bytes == 1);
    CHECK(read.value == kReplacementCharacter);
    CHECK_FALSE(is_utf8(bad));
    CHECK(is_utf8(to_valid_utf8(bad)));
  }
  CHECK(is_utf8("größer 😀"));
  CHECK(to_valid_utf8("a\xff"
                      "b") ==
        "a\xEF\xBF\xBD"
        "b");
}

TEST_CASE("an unfinished code point at the end is counted, a finished or broken one is not") {
  const std::string text = "ä€😀";
  CHECK(unfinished_utf8_tail(text) == 0);
  CHECK(unfinished_utf8_tail("") == 0);
  for (size_t n_bytes = 1; n_bytes < text.size(); ++n_bytes) {
    const std::string cut = text.substr(0, n_bytes);
    CHECK(is_utf8(cut.substr(0, cut.size() - unfinished_utf8_tail(cut))));
    CHECK((unfinished_utf8_tail(cut) == 0) == is_utf8(cut));
  }
  CHECK(unfinished_utf8_tail("\x80\x80\x80\x80") == 0);
  CHECK(unfinished_utf8_tail("\xff") == 0);
}

TEST_CASE("what a hostile file says can't move the cursor") {
  CHECK(printable("a\tb\nc") == "a\\tb\\nc");
  CHECK(printable("\x1b[2J\x7f") == "\\x1b[2J\\x7f");
  CHECK(printable("\xc2\x9b") == "\\xc2\\x9b");
  CHECK(printable("\xff") == "\\xff");
  CHECK(printable("abc\u202egpj") == "abc\\xe2\\x80\\xaegpj");
  CHECK(printable("ä") == "ä");
  CHECK(printable(std::string(300, 'x')) == std::string(200, 'x') + "...");
  CHECK(printable(std::string(200, 'x')) == std::string(200, 'x'));
}
