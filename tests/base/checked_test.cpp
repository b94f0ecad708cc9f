#include "base/checked.h"

#include <doctest/doctest.h>

#include <array>
#include <cstdint>

using namespace ruvllm;

namespace {

constexpr std::array<uint64_t, 12> kLattice = {0,
                                               1,
                                               2,
                                               (1ull << 31) - 1,
                                               1ull << 31,
                                               (1ull << 32) - 1,
                                               1ull << 32,
                                               (1ull << 62) - 1,
                                               (1ull << 63) - 1,
                                               1ull << 63,
                                               ~0ull - 1,
                                               ~0ull};

bool throws(const auto& action) {
  try {
    action();
    return false;
  } catch (const Error& error) {
    return error.code() == Errc::corrupt_file;
  }
}

}  // namespace

TEST_CASE("sums, products and multiples are exact or refused") {
  __extension__ using uint128 = unsigned __int128;
  for (const uint64_t a : kLattice) {
    for (const uint64_t b : kLattice) {
      CAPTURE(a);
      CAPTURE(b);
      const uint128 sum = uint128{a} + b, product = uint128{a} * b;
      CHECK(throws([&] { checked_add(a, b, "x"); }) == (sum > ~0ull));
      CHECK(throws([&] { checked_mul(a, b, "x"); }) == (product > ~0ull));
      if (sum <= ~0ull) CHECK(checked_add(a, b, "x") == sum);
      if (product <= ~0ull) CHECK(checked_mul(a, b, "x") == product);
      if (b == 0) continue;
      const uint128 rounded = (uint128{a} + b - 1) / b * b;
      CHECK(throws([&] { checked_round_up(a, b, "x"); }) == (rounded > ~0ull));
      if (rounded <= ~0ull) CHECK(checked_round_up(a, b, "x") == rounded);
    }
  }
}

TEST_CASE("signed sums and products are refused where they overflow") {
  CHECK(throws([] { checked_add<int32_t>(INT32_MAX, 1, "x"); }));
  CHECK(throws([] { checked_mul<int64_t>(INT64_MIN, -1, "x"); }));
  CHECK(checked_mul<int32_t>(-3, 5, "x") == -15);
}

TEST_CASE("casts keep the value or are refused") {
  CHECK(checked_cast<int32_t>(uint64_t{7}, "x") == 7);
  CHECK(throws([] { checked_cast<int32_t>(uint64_t{1} << 31, "x"); }));
  CHECK(throws([] { checked_cast<uint64_t>(int64_t{-1}, "x"); }));
  CHECK(throws([] { checked_cast<int8_t>(128, "x"); }));
  try {
    checked_cast<uint8_t>(300, "number of heads");
  } catch (const Error& error) {
    CHECK(std::string(error.what()) == "number of heads: 300 is out of range");
  }
}
