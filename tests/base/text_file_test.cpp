#include "base/text_file.h"
#include "base/error.h"
#include "base/file.h"
#include "test_support.h"

#include <doctest/doctest.h>
#include <zlib.h>

using namespace ruvllm;
using namespace std::string_view_literals;

namespace {

constexpr uint64_t kMany = 1 << 20;

std::string gzip(std::string_view text) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string packed(text.size() + 1024, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

std::string message_of(std::string_view bytes, uint64_t max_bytes = kMany) {
  try {
    decode_text(std::string(bytes), "data", max_bytes);
  } catch (const Error& error) {
    CHECK(error.code() == Errc::corrupt_file);
    return error.what();
  }
  return "nothing was thrown";
}

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("one text is read alike in every form that it is saved in") {
  constexpr std::string_view kText = "h\u00E9 \U0001F600\n";
  constexpr std::string_view kForms[] = {
      "h\xC3\xA9 \xF0\x9F\x98\x80\n"sv,
      "\xEF\xBB\xBFh\xC3\xA9 \xF0\x9F\x98\x80\n"sv,
      "\xFF\xFEh\0\xE9\0 \0\x3D\xD8\x00\xDE\n\0"sv,
      "\xFE\xFF\0h\0\xE9\0 \xD8\x3D\xDE\x00\0\n"sv,
  };
  for (const std::string_view form : kForms) {
    CHECK(decode_text(std::string(form), "data", kMany) == kText);
    CHECK(decode_text(gzip(form), "data", kMany) == kText);
  }
  CHECK(decode_text("", "data", kMany).empty());
}

TEST_CASE("a gzip file may have several members, and is read to their end or refused") {
  CHECK(decode_text(gzip("one ") + gzip("two"), "data", kMany) == "one two");
  const std::string long_text(300'000, 'x');
  CHECK(decode_text(gzip(long_text), "data", kMany) == long_text);
  CHECK(has(message_of(gzip(long_text), 1000), "larger than the limit of 1000 bytes"));
  const std::string packed = gzip("once upon a time");
  CHECK(has(message_of(packed.substr(0, packed.size() - 9)), "ends in the middle"));
  std::string damaged = packed;
  damaged[damaged.size() - 6] ^= 1;  // of the checksum
  CHECK(has(message_of(damaged), "damaged"));
}

TEST_CASE("what is no text is refused by what it is") {
  CHECK(has(message_of("GGUF\3\0\0\0"sv), "a GGUF model"));
  CHECK(has(message_of("PK\x03\x04rest"), "zip"));
  CHECK(has(message_of("PAR1rest"), "Parquet"));
  CHECK(has(message_of("\x28\xB5\x2F\xFDrest"), "zstd"));
  CHECK(has(message_of("BZh91AY&SYrest"), "bzip2"));
  CHECK(has(message_of("\xFD\x37zXZ\0rest"sv), "xz"));
  CHECK(has(message_of(gzip("PAR1rest")), "Parquet"));
  CHECK(has(message_of("text\0more"sv), "byte 4 is 0"));
  CHECK(has(message_of("\xFF\xFE\0\0h\0\0\0"sv), "UTF-32"));
  CHECK(has(message_of("\xFF\xFEh"sv), "odd"));
  CHECK(has(message_of("\xFF\xFE\x3D\xD8h\0"sv), "half a character at byte 2"));
  CHECK(has(message_of("one\ntw\xE9 three"), "byte 0xE9 in line 2"));
}

TEST_CASE("text that only begins like something else is text, and so is one cut in its last character") {
  for (const std::string_view text : {"BZh is short for"sv, "PK"sv, "GG UF"sv, "cut \xE2\x96"sv})
    CHECK(decode_text(std::string(text), "data", kMany) == text);
}

TEST_CASE("a file's name stands in what is said of it") {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "data.txt", "a\0b"sv);
  CHECK_THROWS_WITH_AS(read_text_file(folder / "data.txt", kMany), doctest::Contains("data.txt: no text"),
                       Error);
  CHECK_THROWS_AS(read_text_file(folder / "absent.txt", kMany), Error);
}
