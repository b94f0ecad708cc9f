// The conversions of formats/floats.h, over all half floats and against arithmetic in double.
#include "kernels/formats/floats.h"

#include <doctest/doctest.h>

#include "base/random.h"
#include "test_support.h"

#include <cmath>
#include <limits>

namespace ruvllm::kernels {
namespace {

/// What a half float means, from its definition.
double f16_value(uint16_t half) {
  const int exponent = (half >> 10) & 31;
  const double fraction = half & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return half & 0x8000 ? -magnitude : magnitude;
}

/// The nearest half float by search among neighbours, ties to even.
uint16_t nearest_f16(float value) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double magnitude = std::fabs(static_cast<double>(value));
  uint16_t below = 0;
  for (int bit = 14; bit >= 0; --bit) {
    const uint16_t candidate = static_cast<uint16_t>(below | (1 << bit));
    if (candidate <= 0x7c00 && f16_value(candidate) <= magnitude) below = candidate;
  }
  if (below == 0x7c00) return sign | below;
  const double gap_below = magnitude - f16_value(below), gap_above = f16_value(below + 1) - magnitude;
  const bool up = gap_above < gap_below || (gap_above == gap_below && (below & 1));
  return static_cast<uint16_t>(sign | (below + (up ? 1 : 0)));
}

}  // namespace

TEST_CASE("every finite half float widens to its value and narrows back to itself") {
  for (uint32_t half = 0; half < 0x10000; ++half) {
    const float value = f16_to_f32(static_cast<uint16_t>(half));
    if ((half & 0x7c00) == 0x7c00) {
      CHECK((half & 0x3ff ? std::isnan(value) : std::isinf(value)));
      CHECK(std::signbit(value) == ((half & 0x8000) != 0));
      continue;
    }
    REQUIRE(static_cast<double>(value) == f16_value(static_cast<uint16_t>(half)));
    REQUIRE(f32_to_f16(value) == half);
  }
}

TEST_CASE("floats narrow to the nearest half float, ties to even") {
  Random random(test::test_seed());
  for (int i = 0; i < 200'000; ++i) {
    // Every exponent that matters, and fractions that are often ties.
    uint32_t bits = static_cast<uint32_t>(random.next());
    bits = (bits & 0x807fffffu) | ((100u + static_cast<uint32_t>(random.below(46))) << 23);
    if (i % 3 == 0) bits &= ~0xfffu;
    const float value = float_from_bits(bits);
    REQUIRE(f32_to_f16(value) == nearest_f16(value));
  }
  CHECK(f32_to_f16(65519.996f) == 0x7bff);
  CHECK(f32_to_f16(65520.0f) == 0x7c00);
  CHECK(f32_to_f16(-std::numeric_limits<float>::infinity()) == 0xfc00);
  CHECK(f32_to_f16(std::numeric_limits<float>::quiet_NaN()) == 0x7e00);
  CHECK(f32_to_f16(0x1p-25f) == 0);  // a tie: to even
  CHECK(f32_to_f16(0x1.000002p-25f) == 1);
  CHECK(f32_to_f16(std::numeric_limits<float>::denorm_min()) == 0);
}

TEST_CASE("bf16 keeps the upper half of a float, rounded to even") {
  CHECK(f32_to_bf16(1.0f) == 0x3f80);
  CHECK(f32_to_bf16(float_from_bits(0x3f808000)) == 0x3f80);
  CHECK(f32_to_bf16(float_from_bits(0x3f818000)) == 0x3f82);
  CHECK(f32_to_bf16(float_from_bits(0x3f808001)) == 0x3f81);
  CHECK(f32_to_bf16(std::numeric_limits<float>::max()) == 0x7f80);
  CHECK(std::isnan(bf16_to_f32(f32_to_bf16(float_from_bits(0x7f800001)))));
  for (uint32_t half = 0; half < 0x10000; ++half) {
    const float value = bf16_to_f32(static_cast<uint16_t>(half));
    if (!std::isnan(value)) REQUIRE(f32_to_bf16(value) == half);
  }
}

TEST_CASE("e8m0 exponents are powers of two") {
  for (int exponent = 0; exponent < 255; ++exponent)
    CHECK(static_cast<double>(e8m0_half_to_f32(static_cast<uint8_t>(exponent))) ==
          std::ldexp(1.0, exponent - 128));
}

}  // namespace ruvllm::kernels
