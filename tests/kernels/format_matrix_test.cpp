// Every row of formats.def against the reference data and against its own promises.
#include "kernels/formats/floats.h"
#include "kernels/unpack.h"

#include <doctest/doctest.h>

#include "base/file.h"
#include "base/random.h"
#include "test_support.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace ruvllm::kernels {
namespace {

std::span<const Traits> formats() {
  size_t n = 0;
  const Traits* rows = all_formats(&n);
  return {rows, n};
}

template <class T>
std::vector<T> read_numbers(const std::filesystem::path& path) {
  const std::string bytes = read_file(path, 1 << 20);
  std::vector<T> numbers(bytes.size() / sizeof(T));
  std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(T));
  return numbers;
}

std::vector<uint8_t> random_bytes(size_t n, Random& random) {
  std::vector<uint8_t> bytes(n);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.next());
  return bytes;
}

/// How many floats differ in their bits (NaNs of any payload are equal).
size_t n_different(std::span<const float> found, std::span<const float> expected) {
  size_t n = 0;
  for (size_t i = 0; i < expected.size(); ++i)
    n +=
        float_bits(found[i]) != float_bits(expected[i]) && !(std::isnan(found[i]) && std::isnan(expected[i]));
  return n;
}

}  // namespace

TEST_CASE("every format decodes the reference blocks to the bit") {
  const auto folder = test::test_data("quants");
  if (!folder) return;
  size_t n_files = 0;
  for (const Traits& row : formats()) {
    for (const char* set : {"gauss", "edge"}) {
      for (const char* suffix : {"", ".imatrix1"}) {
        const auto base = *folder / set / (std::string(row.name) + suffix);
        if (!std::filesystem::exists(base.string() + ".bin")) continue;
        CAPTURE(base.string());
        const auto blocks = read_numbers<uint8_t>(base.string() + ".bin");
        const auto expected = read_numbers<float>(base.string() + ".f32");
        REQUIRE(blocks.size() == expected.size() / row.block_values * row.block_bytes);
        std::vector<float> found(expected.size());
        decode_of(row.format)(blocks.data(), found.data(), found.size());
        CHECK(n_different(found, expected) == 0);
        ++n_files;
      }
    }
  }
  CHECK(n_files == 62);
}

TEST_CASE("NVFP4: sixteen values under each of four scales of e4m3") {
  uint8_t block[36] = {0x38, 0x01, 0x7e, 0x7f};  // 1, 2^-9, 448, nothing
  for (int s = 0; s < 4; ++s)
    for (int j = 0; j < 8; ++j) block[4 + 8 * s + j] = static_cast<uint8_t>(j | (15 - j) << 4);
  float values[64];
  decode_of(Format::NVFP4)(block, values, 64);
  constexpr float kLevels[8] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};
  constexpr float kScales[4] = {1.0f, 0x1p-9f, 448.0f, 0.0f};
  for (int s = 0; s < 4; ++s)
    for (int j = 0; j < 8; ++j) {
      CHECK(values[16 * s + j] == kScales[s] * kLevels[j]);
      CHECK(values[16 * s + 8 + j] == -kScales[s] * kLevels[7 - j]);
    }
  // Every scale: 2^-9 times the mantissa, or 2^(exponent - 7) times 1 + mantissa / 8.
  for (int bits = 0; bits < 0x7f; ++bits) {
    block[0] = static_cast<uint8_t>(bits);
    block[4] = 2;  // 1
    decode_of(Format::NVFP4)(block, values, 64);
    const int exponent = bits >> 3, mantissa = bits & 7;
    CHECK(values[0] == (exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10)));
  }
}

TEST_CASE("a weight is scale * quant - min, whatever the block's bytes") {
  Random random(test::test_seed());
  for (const Traits& row : formats()) {
    if (!row.is_quantised) continue;
    CAPTURE(row.name);
    constexpr size_t n_blocks = 200;
    const size_t n_values = n_blocks * row.block_values;
    const auto bytes = random_bytes(n_blocks * row.block_bytes + 1, random);
    const uint8_t* blocks = bytes.data() + 1;  // blocks need not be aligned
    const Unpack& unpack = unpack_of(row.format);
    const size_t sub_block = static_cast<size_t>(unpack.sub_block);
    REQUIRE((sub_block == 16 || sub_block == 32));

    std::vector<float> decoded(n_values);
    decode_of(row.format)(blocks, decoded.data(), n_values);
    std::vector<int8_t> quants(n_values);
    std::vector<float> scales(n_values / sub_block), mins(unpack.has_min ? n_values / sub_block : 0);
    unpack.unpack(blocks, n_values, quants.data(), scales.data(), unpack.has_min ? mins.data() : nullptr);
    std::vector<float> expected(n_values);
    for (size_t i = 0; i < n_values; ++i) {
      expected[i] = scales[i / sub_block] * static_cast<float>(quants[i]);
      if (unpack.has_min) expected[i] -= mins[i / sub_block];
    }
    CHECK(n_different(decoded, expected) == 0);
  }
}

TEST_CASE("the fields of a block cover it once") {
  for (const Traits& row : formats()) {
    CAPTURE(row.name);
    const Fields& list = fields_of(row.format);
    std::vector<int> n_times(row.block_bytes);
    for (size_t i = 0; i < list.n_fields; ++i) {
      const Field& field = list.fields[i];
      CHECK((field.unit == 1 || field.unit == 2 || field.unit == 4));
      const size_t end = field.offset + static_cast<size_t>(field.unit) * field.count;
      REQUIRE(end <= row.block_bytes);
      for (size_t byte = field.offset; byte < end; ++byte) ++n_times[byte];
    }
    CHECK(std::ranges::all_of(n_times, [](int n) { return n == 1; }));
  }
}

TEST_CASE("formats are found by id and by name in any case, and others are not") {
  for (const Traits& row : formats()) {
    CHECK(find_format(static_cast<uint32_t>(row.format)) == &row);
    std::string lower = row.name;
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    CHECK(find_format(lower.c_str()) == &row);
  }
  for (const uint32_t id : {4u, 5u, 9u, 24u, 28u, 31u, 38u, 999u, 0xffffffffu})
    CHECK(find_format(id) == nullptr);
  CHECK(find_format("Q4_2") == nullptr);
  CHECK(find_format("") == nullptr);
}

}  // namespace ruvllm::kernels
