#include "base/bytes.h"

#include <doctest/doctest.h>

#include <string>

using namespace ruvllm;

TEST_CASE("numbers are little-endian and come back as they were written") {
  ByteWriter writer;
  writer.number<uint32_t>(0x01020304);
  writer.number<int16_t>(-2);
  writer.number(0.5);
  writer.text("abc");
  const auto bytes = writer.bytes();
  CHECK(bytes[0] == std::byte{4});
  CHECK(bytes[3] == std::byte{1});
  ByteReader reader(bytes);
  CHECK(reader.number<uint32_t>("a") == 0x01020304);
  CHECK(reader.number<int16_t>("b") == -2);
  CHECK(reader.number<double>("c") == 0.5);
  CHECK(reader.offset() == 14);
  CHECK(reader.text(3, "d") == "abc");
  CHECK(reader.remaining() == 0);
  CHECK(reader.take(0, "nothing").empty());
}

TEST_CASE("reading past the end throws, names the field and the offset, and moves nothing") {
  const std::byte bytes[6] = {};
  ByteReader reader(bytes);
  reader.number<uint32_t>("a");
  for (const uint64_t n_bytes : {uint64_t{3}, uint64_t{1} << 63, ~uint64_t{0}, ~uint64_t{0} - 3}) {
    try {
      reader.take(n_bytes, "the field");
      FAIL("took " << n_bytes);
    } catch (const Error& error) {
      CHECK(error.code() == Errc::corrupt_file);
      CHECK(std::string(error.what()).starts_with("the field at offset 4 needs "));
    }
  }
  CHECK_THROWS_AS(reader.number<uint32_t>("b"), Error);
  CHECK(reader.remaining() == 2);
  CHECK(reader.number<uint16_t>("c") == 0);
}

TEST_CASE("padding goes up to the next multiple, with zeros") {
  ByteWriter writer;
  writer.pad_to(8);
  CHECK(writer.bytes().empty());
  writer.text("x");
  writer.pad_to(8);
  CHECK(writer.bytes().size() == 8);
  CHECK(writer.bytes()[7] == std::byte{0});
  writer.pad_to(8);
  CHECK(writer.bytes().size() == 8);
  CHECK(std::move(writer).take().size() == 8);
}
