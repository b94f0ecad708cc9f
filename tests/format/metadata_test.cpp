#include "format/metadata.h"

#include "base/error.h"

#include <doctest/doctest.h>

#include <array>
#include <limits>

using namespace ruvllm;
using format::Metadata;
using format::ValueType;

namespace {

std::string message_of(const auto& action) {
  try {
    action();
  } catch (const Error& error) {
    CHECK(error.code() == Errc::corrupt_file);
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("values are found under their keys, in the order they came") {
  Metadata metadata;
  CHECK(metadata.add("b", uint32_t{1}));
  CHECK(metadata.add("a", 2.5f));
  CHECK_FALSE(metadata.add("b", uint32_t{3}));
  CHECK(metadata.integer("b") == 1);
  metadata.set("b", int8_t{-3});
  CHECK(metadata.integer("b") == -3);
  CHECK(metadata.entries()[0].key == "b");
  CHECK(metadata.entries()[1].key == "a");
  CHECK(metadata.find("c") == nullptr);
  metadata.set("c", true);
  metadata.erase("b");
  metadata.erase("never there");
  CHECK(metadata.find("b") == nullptr);
  CHECK(metadata.number("a") == 2.5);
  CHECK(metadata.boolean("c") == true);
}

TEST_CASE("numbers are read from every type that can hold them, and from no other") {
  Metadata metadata;
  metadata.add("u64", std::numeric_limits<uint64_t>::max());
  metadata.add("float", 1.5f);
  metadata.add("bool", true);
  metadata.add("text", std::string_view("12"));
  CHECK(metadata.integer("absent") == std::nullopt);
  CHECK(metadata.number("absent") == std::nullopt);
  CHECK(metadata.boolean("absent") == std::nullopt);
  CHECK(metadata.string("absent") == std::nullopt);
  CHECK(metadata.number("float") == 1.5);
  CHECK(metadata.number("u64") == 0x1p64);
  CHECK(message_of([&] { metadata.integer("u64"); }).find("out of range") != std::string::npos);
  CHECK(message_of([&] { metadata.integer("float"); }) ==
        "metadata key float is of type f32, expected an integer");
  CHECK(message_of([&] { metadata.integer("bool"); }) ==
        "metadata key bool is of type bool, expected an integer");
  CHECK(message_of([&] { metadata.number("text"); }) ==
        "metadata key text is of type string, expected a number");
  CHECK(message_of([&] { metadata.boolean("text"); }) ==
        "metadata key text is of type string, expected a bool");
  CHECK(message_of([&] { metadata.string("bool"); }) ==
        "metadata key bool is of type bool, expected a string");
}

TEST_CASE("arrays are asked for by type, by any integer, or by any number") {
  Metadata metadata;
  const std::array<int16_t, 3> shorts = {-1, 2, 300};
  const std::array<float, 2> floats = {0.5f, -2.0f};
  metadata.add("shorts", metadata.keep_array(ValueType::i16, std::as_bytes(std::span(shorts))));
  metadata.add("floats", metadata.keep_array(ValueType::f32, std::as_bytes(std::span(floats))));
  metadata.add("texts", metadata.keep_strings(std::vector<std::string>{"a", ""}));
  CHECK(metadata.array("absent", ValueType::i16) == nullptr);
  CHECK(metadata.array("shorts", ValueType::i16)->integer(2) == 300);
  CHECK(metadata.array("shorts", ValueType::i64)->integer(0) == -1);
  CHECK(metadata.array("shorts", ValueType::f64)->number(1) == 2.0);
  CHECK(metadata.array("floats", ValueType::f64)->number(1) == -2.0);
  CHECK(metadata.array("texts", ValueType::string)->strings.at(0) == "a");
  CHECK(message_of([&] { metadata.array("floats", ValueType::i64); }) ==
        "metadata key floats is of type array of f32, expected an array of integers");
  CHECK(message_of([&] { metadata.array("shorts", ValueType::u16); }) ==
        "metadata key shorts is of type array of i16, expected an array of u16");
  CHECK(message_of([&] { metadata.integer("texts"); }).find("array of string") != std::string::npos);
}

TEST_CASE("every element type is read with its sign and width") {
  Metadata metadata;
  const auto first = [&]<typename T>(ValueType type, T value) {
    return metadata.keep_array(type, std::as_bytes(std::span<const T>(&value, 1)));
  };
  CHECK(first(ValueType::u8, uint8_t{200}).integer(0) == 200);
  CHECK(first(ValueType::i8, int8_t{-100}).integer(0) == -100);
  CHECK(first(ValueType::u16, uint16_t{60000}).integer(0) == 60000);
  CHECK(first(ValueType::u32, uint32_t{4000000000}).integer(0) == 4000000000);
  CHECK(first(ValueType::i32, int32_t{-5}).number(0) == -5);
  CHECK(first(ValueType::i64, int64_t{-6}).integer(0) == -6);
  CHECK(first(ValueType::boolean, uint8_t{1}).integer(0) == 1);
  CHECK(first(ValueType::f64, 0.1).number(0) == 0.1);
  CHECK_THROWS_AS(first(ValueType::u64, ~uint64_t{0}).integer(0), Error);
}

TEST_CASE("copies keep the values that were made up alive") {
  Metadata copy;
  {
    Metadata metadata;
    metadata.add("k", metadata.keep(std::string(100, 'x')));
    copy = metadata;
  }
  CHECK(copy.string("k") == std::string(100, 'x'));
}
