#include "format/safetensors.h"

#include "base/error.h"
#include "base/limits.h"
#include "safetensors_image.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <optional>

using namespace ruvllm;
using test::safetensors_image;

namespace {

std::optional<std::string> refusal(std::span<const std::byte> file) {
  try {
    format::parse_safetensors(file, "t.safetensors");
    return std::nullopt;
  } catch (const Error& error) {
    CHECK(error.code() == Errc::corrupt_file);
    const std::string message = error.what();
    CHECK(message.size() < 600);
    for (const char c : message) CHECK((c >= ' ' && c <= '~'));
    return message;
  }
}

std::optional<std::string> refusal(std::string_view header, uint64_t n_data) {
  return refusal(safetensors_image(header, n_data));
}

}  // namespace

TEST_CASE("tensors come with name, type, shape and bytes, in the order of their bytes") {
  const auto file = safetensors_image(R"({"b":{"dtype":"F32","shape":[2,1],"data_offsets":[4,12]},)"
                                      R"("__metadata__":{"format":"pt","note":""},)"
                                      R"("a":{"shape":[2],"data_offsets":[0,4],"dtype":"BF16"},)"
                                      R"("scalar":{"dtype":"U8","shape":[],"data_offsets":[12,13]},)"
                                      R"("empty":{"dtype":"F16","shape":[0,5],"data_offsets":[4,4]}}   )",
                                      13);
  const auto image = format::parse_safetensors(file, "t");
  REQUIRE(image.tensors.size() == 4);
  CHECK(image.tensors[0].name == "a");
  CHECK(image.tensors[0].type == format::SafetensorsType::BF16);
  CHECK(image.tensors[1].name == "empty");
  CHECK(image.tensors[2].shape == std::vector<uint64_t>{2, 1});
  CHECK(image.tensors[2].bytes[0] == std::byte{4});
  CHECK(image.tensors[2].file_offset == file.size() - 13 + 4);
  CHECK(image.tensors[3].shape.empty());
  CHECK(image.metadata.at("format") == "pt");
  CHECK_FALSE(refusal("{}", 0));
}

TEST_CASE("types of less than a byte take whole bytes together") {
  const auto one = [](const char* type, int n_values, uint64_t n_bytes) {
    return refusal(fmt::format(R"({{"a":{{"dtype":"{}","shape":[{}],"data_offsets":[0,{}]}}}})", type,
                               n_values, n_bytes),
                   n_bytes);
  };
  CHECK_FALSE(one("F4", 6, 3));
  CHECK_FALSE(one("F6_E2M3", 4, 3));
  CHECK_FALSE(one("F6_E3M2", 8, 6));
  for (const char* type : {"F8_E8M0", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"})
    CHECK_FALSE(one(type, 5, 5));
  CHECK(one("F4", 5, 3).value_or("").find("20 bits of type F4 are no whole bytes") != std::string::npos);
  CHECK(one("F6_E2M3", 4, 4));
  CHECK(one("F4", 6, 6));
}

TEST_CASE("the ranges cover the file exactly") {
  const auto two = [](int a, int b, int c, int d, uint64_t n_data) {
    return refusal(fmt::format(R"({{"a":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}},)"
                               R"("b":{{"dtype":"U8","shape":[{}],"data_offsets":[{},{}]}}}})",
                               b - a, a, b, d - c, c, d),
                   n_data);
  };
  CHECK_FALSE(two(0, 4, 4, 8, 8));
  CHECK_FALSE(two(4, 8, 0, 4, 8));
  CHECK(two(0, 4, 4, 8, 9));  // a trailing byte
  CHECK(two(0, 4, 4, 8, 7));  // a byte short
  CHECK(two(0, 4, 5, 8, 8));  // a gap
  CHECK(two(0, 4, 3, 8, 8));  // an overlap of one
  CHECK(two(0, 8, 2, 4, 8));  // one inside the other
  CHECK(two(1, 4, 4, 8, 8));  // nothing at the beginning
  CHECK(two(0, 4, 0, 4, 4));  // the same bytes twice
  CHECK(refusal(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[4,0]}})", 4));
  CHECK(refusal(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4));
}

TEST_CASE("headers of any other form are refused") {
  constexpr std::array kBad = {"",
                               " {}",
                               "[]",
                               "{",
                               "{}x",
                               "null",
                               R"({"a":1})",
                               R"({"a":[]})",
                               R"({"a":{}})",
                               R"({"a":{"dtype":"U8"}})",
                               R"({"":{"dtype":"U8","shape":[],"data_offsets":[0,1]}})",
                               R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0,1],"more":1}})",
                               R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0,1],"dtype":"U8"}})",
                               R"({"a":{"dtype":"U8","shape":[],"shape":[],"data_offsets":[0,1]}})",
                               R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0]}})",
                               R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0,1,1]}})",
                               R"({"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}})",
                               R"({"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})",
                               R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})",
                               R"({"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}})",
                               R"({"a":{"dtype":"U8","shape":[{}],"data_offsets":[0,1]}})",
                               R"({"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}})",
                               R"({"a":{"dtype":8,"shape":[],"data_offsets":[0,1]}})",
                               R"({"a":{"dtype":["U8"],"shape":[],"data_offsets":[0,1]}})",
                               R"({"a":{"dtype":"Q4","shape":[],"data_offsets":[0,1]}})",
                               R"({"a":{"dtype":"u8","shape":[],"data_offsets":[0,1]}})",
                               R"({"a":{"dtype":null,"shape":[],"data_offsets":[0,1]}})",
                               R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},})",
                               R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}})",
                               R"({"a":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,1]}})",
                               R"({"__metadata__":{"k":1}})",
                               R"({"__metadata__":{"k":{}}})",
                               R"({"__metadata__":{"k":["a"]}})",
                               R"({"__metadata__":"x"})",
                               R"({"__metadata__":{},"__metadata__":{}})",
                               R"({"__metadata__":{"k":"a","k":"b"}})",
                               "{\"\xff\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}"};
  for (const char* header : kBad) {
    CAPTURE(header);
    CHECK(refusal(header, 1));
  }
  const std::string tensor = R"("a":{"dtype":"U8","shape":[],"data_offsets":[0,1]})";
  CHECK_FALSE(refusal("{" + tensor + "}", 1));
  CHECK(refusal("{" + tensor + "," + tensor + "}", 1)->find("twice") != std::string::npos);
  CHECK(refusal(std::string(1'000'000, '{'), 0));
  CHECK(refusal("{\"a\":" + std::string(1'000'000, '['), 0));
}

TEST_CASE("products of shapes that wrap are refused") {
  for (const char* shape :
       {"4294967296,4294967296", "9223372036854775808,2", "18446744073709551615,18446744073709551615",
        "6148914691236517206,3", "4611686018427387904,4,1"}) {
    CAPTURE(shape);
    for (const char* range : {"0,0", "0,1", "0,2"})
      CHECK(refusal(
          fmt::format(R"({{"a":{{"dtype":"F32","shape":[{}],"data_offsets":[{}]}}}})", shape, range), 2));
  }
}

TEST_CASE("the length of the header is not believed") {
  for (const uint64_t lie : {uint64_t{0}, uint64_t{1}, uint64_t{7}, uint64_t{56}, uint64_t{63}, uint64_t{64},
                             limits::kSafetensorsHeaderBytes, limits::kSafetensorsHeaderBytes + 1,
                             uint64_t{1} << 63, ~uint64_t{0}}) {
    CAPTURE(lie);
    ByteWriter writer;
    writer.number(lie);
    writer.text(R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}  )");
    CHECK(refusal(writer.bytes()));
  }
  for (size_t n_bytes = 0; n_bytes < 8; ++n_bytes) CHECK(refusal(std::vector<std::byte>(n_bytes)));
  const std::string padded = "{}" + std::string(limits::kSafetensorsHeaderBytes - 2, ' ');
  CHECK_FALSE(refusal(padded, 0));
  CHECK(refusal(padded + " ", 0)->find("limit") != std::string::npos);
}

TEST_CASE("limits on tensors and dimensions hold to the unit") {
  const auto tensors = [](uint64_t n) {
    std::string header = "{";
    for (uint64_t i = 0; i < n; ++i)
      header += fmt::format(R"({}"{}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})", i ? "," : "", i);
    return refusal(header + "}", 0);
  };
  CHECK_FALSE(tensors(limits::kSafetensorsTensors));
  CHECK(tensors(limits::kSafetensorsTensors + 1)->find("more than") != std::string::npos);
  const auto dimensions = [](size_t n) {
    const std::vector<int> ones(n, 1);
    return refusal(
        fmt::format(R"({{"a":{{"dtype":"U8","shape":[{}],"data_offsets":[0,1]}}}})", fmt::join(ones, ",")),
        1);
  };
  CHECK_FALSE(dimensions(limits::kSafetensorsDimensions));
  CHECK(dimensions(limits::kSafetensorsDimensions + 1));
}

TEST_CASE("a file that is cut at any byte is refused") {
  const auto whole = safetensors_image(R"({"a":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]}})", 12);
  CHECK_FALSE(refusal(whole));
  for (size_t n_bytes = 0; n_bytes < whole.size(); ++n_bytes) {
    const std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(n_bytes));
    CHECK(refusal(cut));
  }
}

TEST_CASE("time is linear in tensors") {
  const auto file = [](int n) {
    std::string header = "{";
    for (int i = 0; i < n; ++i)
      header += fmt::format(R"({}"model.layers.{}.w":{{"dtype":"U8","shape":[1],"data_offsets":[{},{}]}})",
                            i ? "," : "", i, i, i + 1);
    return safetensors_image(header + "}", static_cast<uint64_t>(n));
  };
  const auto seconds = [](const std::vector<std::byte>& bytes) {
    double best = 1e9;
    for (int i = 0; i < 3; ++i) {
      const std::clock_t before = std::clock();
      if (refusal(bytes)) return 0.0;
      best = std::min(best, static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC);
    }
    return best;
  };
  CHECK(seconds(file(100'000)) / seconds(file(10'000)) <
        40);  // quadratic: 100; linear, and out of the caches: 15
}
