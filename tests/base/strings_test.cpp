#include "base/strings.h"

#include <doctest/doctest.h>

using namespace ruvllm;

TEST_CASE("numbers are whole texts or nothing") {
  CHECK(parse_integer("-12") == -12);
  CHECK(parse_integer("9223372036854775807") == INT64_MAX);
  for (const char* bad : {"", " 1", "1 ", "+1", "1.0", "0x10", "9223372036854775808", "--1"})
    CHECK_FALSE(parse_integer(bad));
  CHECK(parse_number("1e-3") == 1e-3);
  CHECK(parse_number("-.5") == -0.5);
  for (const char* bad : {"", "nan", "inf", "-inf", "1e999", "1,5", "1 "}) CHECK_FALSE(parse_number(bad));
}

TEST_CASE("sizes are read in powers of 1024") {
  CHECK(parse_bytes("1024") == 1024);
  CHECK(parse_bytes("0") == 0);
  CHECK(parse_bytes("350M") == 350ull << 20);
  CHECK(parse_bytes("2g") == 2ull << 30);
  CHECK(parse_bytes("5 GiB") == 5ull << 30);
  CHECK(parse_bytes("1.5KB") == 1536);
  CHECK(parse_bytes("1T") == 1ull << 40);
  CHECK(parse_bytes("12B") == 12);
  for (const char* bad :
       {"", "M", "-1", "1X", "1MM", "5ib", "1Bib", "1..2", "nan", "99999999999T", "1 G B", "1e3"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_bytes(bad));
  }
}

TEST_CASE("sizes are printed with three digits or so") {
  CHECK(format_bytes(0) == "0 B");
  CHECK(format_bytes(1023) == "1023 B");
  CHECK(format_bytes(1024) == "1.00 KiB");
  CHECK(format_bytes(340ull << 20) == "340 MiB");
  CHECK(format_bytes(1288490189) == "1.20 GiB");
  CHECK(format_bytes(~0ull).ends_with(" TiB"));
}

TEST_CASE("text is cut, trimmed and lowered") {
  CHECK(to_lower("AbC-Ä") == "abc-Ä");
  CHECK(trim(" \t a b\r\n") == "a b");
  CHECK(trim("  ").empty());
  CHECK(split("a,,b", ',') == std::vector<std::string_view>{"a", "", "b"});
  CHECK(split("", ',') == std::vector<std::string_view>{""});
}

TEST_CASE("a misspelt word finds its neighbour, another word finds none") {
  const std::vector<std::string> words = {"--threads", "--temp", "--top-k"};
  CHECK(nearest_match("--thread", words) == "--threads");
  CHECK(nearest_match("--tmep", words) == "--temp");
  CHECK(nearest_match("caht", {"list", "chat"}) == "chat");
  CHECK_FALSE(nearest_match("tach", {"list", "chat"}));
  CHECK_FALSE(nearest_match("--quantisation", words));
  CHECK_FALSE(nearest_match("x", {}));
}
