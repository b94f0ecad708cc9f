// Panels of the IQ formats to codes: points of code books, gathered for 16 rows at once, and their signs or
// shifts. What codes, scales and panels are: unpack_plain.h. What the formats mean: formats/iquants.h.
#pragma once

#include "kernels/formats/iquants.h"
#include "kernels/lanes/unpack_plain.h"

namespace ruvllm::kernels {
namespace {

/// The parity of seven bits as an eighth.
inline Ints with_parity(Ints seven_bits) {
  const Ints folded = both(differ(seven_bits, shift_right<4>(seven_bits)), splat_word(15));
  const Ints odd = both(shift_right_each(splat_word(0x6996), folded), splat_word(1));
  return either(seven_bits, shift_left<7>(odd));
}

/// Two groups of 4 columns: a point of a grid of 8 bytes, negated where `signs` (8 bits) says so.
inline void put_point(uint8_t* codes, size_t group, const void* grid, Ints number, Ints signs) {
  const Ints offset = shift_left<3>(number);
  put(codes, group, codes_from_signed(negate_where_bit(gather(grid, offset), signs, 0)));
  put(codes, group + 1,
      codes_from_signed(negate_where_bit(gather(static_cast<const char*>(grid) + 4, offset), signs, 4)));
}

/// d * (scale + 1/2) * unit
inline Floats half_step_scale(Floats d, Ints scale, float unit) {
  return multiply(multiply(d, add(to_floats(scale), broadcast(0.5f))), broadcast(unit));
}

/// Byte `j` of words, j not known when compiled.
inline Ints byte_number(Ints words, size_t j) {
  return both(shift_right_each(words, splat_word(static_cast<int32_t>(8 * j))), splat_word(255));
}
inline Ints bits(Ints words, size_t first, int32_t mask) {
  return both(shift_right_each(words, splat_word(static_cast<int32_t>(first))), splat_word(mask));
}

struct LanesIQ2_XXS : PlainFormat<BlockIQ2_XXS, 43> {
  static void unpack(const uint8_t* panel, uint8_t* codes, float* scales, float*) {
    const Floats d = halves_of(panel, 0);
    for (size_t s = 0; s < 8; ++s) {
      const Ints numbers = words_of(panel, 2, 2 * s), rest = words_of(panel, 2, 2 * s + 1);
      put(scales, s, half_step_scale(d, shift_right<28>(rest), 0.25f));
      for (size_t k = 0; k < 4; ++k)
        put_point(codes, 8 * s + 2 * k, kIq2xxsGrid.points, byte_number(numbers, k),
                  with_parity(bits(rest, 7 * k, 127)));
    }
  }
};

/// Nibbles as the scales of 16 values each: 8 sub-blocks a word.
inline void unpack_nibble_scales(const uint8_t* panel, size_t offset, Floats d, float* scales) {
  for (size_t s = 0; s < 16; ++s)
    put(scales, s, half_step_scale(d, bits(words_of(panel, offset, s / 8), 4 * (s % 8), 15), 0.25f));
}

struct LanesIQ2_XS : PlainFormat<BlockIQ2_XS, 43> {
  static void unpack(const uint8_t* panel, uint8_t* codes, float* scales, float*) {
    unpack_nibble_scales(panel, 66, halves_of(panel, 0), scales);
    for (size_t k = 0; k < 32; ++k) {
      const Ints word = words_of(panel, 2, k / 2);
      put_point(codes, 2 * k, kIq2xsGrid.points, bits(word, k % 2 * 16, 511),
                with_parity(bits(word, k % 2 * 16 + 9, 127)));
    }
  }
};

struct LanesIQ2_S : PlainFormat<BlockIQ2_S, 43> {
  static void unpack(const uint8_t* panel, uint8_t* codes, float* scales, float*) {
    unpack_nibble_scales(panel, 74, halves_of(panel, 0), scales);
    for (size_t k = 0; k < 32; ++k) {
      const Ints high = bits(words_of(panel, 66, k / 16), 2 * (k % 16), 3);
      const Ints number = either(byte_number(words_of(panel, 2, k / 4), k % 4), shift_left<8>(high));
      put_point(codes, 2 * k, kIq2sGrid.points, number, byte_number(words_of(panel, 34, k / 4), k % 4));
    }
  }
};

/// One group of 4 columns: a point of a grid of 4 bytes, with four of the sign bits.
inline void put_small_point(uint8_t* codes, size_t group, const void* grid, Ints number, Ints signs) {
  const Ints point = gather(grid, shift_left<2>(number));
  put(codes, group,
      codes_from_signed(group % 2 == 0 ? negate_where_bit(point, signs, 0)
                                       : negate_where_bit(point, signs, 4)));
}

struct LanesIQ3_XXS : PlainFormat<BlockIQ3_XXS, 62> {
  static void unpack(const uint8_t* panel, uint8_t* codes, float* scales, float*) {
    const Floats d = halves_of(panel, 0);
    for (size_t s = 0; s < 8; ++s) {
      const Ints rest = words_of(panel, 66, s);
      put(scales, s, half_step_scale(d, shift_right<28>(rest), 0.5f));
      for (size_t k = 0; k < 8; ++k) {
        const Ints number = byte_number(words_of(panel, 2, 2 * s + k / 4), k % 4);
        put_small_point(codes, 8 * s + k, kIq3xxsGrid.points, number,
                        with_parity(bits(rest, k / 2 * 7, 127)));
      }
    }
  }
};

struct LanesIQ3_S : PlainFormat<BlockIQ3_S, 15> {
  static void unpack(const uint8_t* panel, uint8_t* codes, float* scales, float*) {
    const Floats d = halves_of(panel, 0);
    for (size_t s = 0; s < 8; ++s) {
      const Ints scale = bits(words_of(panel, 106), 4 * s, 15);
      put(scales, s, multiply(d, to_floats(add_words(add_words(scale, scale), splat_word(1)))));
    }
    for (size_t k = 0; k < 64; ++k) {
      const Ints high = bits(words_of(panel, 66, k / 32), k % 32, 1);
      const Ints number = either(byte_number(words_of(panel, 2, k / 4), k % 4), shift_left<8>(high));
      put_small_point(codes, k, kIq3sGrid.points, number, byte_number(words_of(panel, 74, k / 8), k / 2 % 4));
    }
  }
};

/// Two groups: eight times a point of IQ1's grid, plus 1, or minus 1 where `down` is not 0.
inline void put_shifted_point(uint8_t* codes, size_t group, Ints number, Ints down) {
  const Ints offset = shift_left<3>(number);
  // Bytes of -1, 0, 1: shifting words by 3 moves bits across bytes, and the mask takes them away.
  const Ints shift = add_bytes(splat_byte(1), value_where_bit(down, 0, -2));
  for (size_t half = 0; half < 2; ++half) {
    const Ints point = gather(reinterpret_cast<const char*>(kIq1Grid.points) + 4 * half, offset);
    put(codes, group + half, codes_from_signed(add_bytes(mask_bytes(shift_left<3>(point), 0xF8), shift)));
  }
}

/// d * (2 scale + 1) / 8
inline Floats odd_scale(Floats d, Ints scale) {
  const Ints odd = add_words(add_words(scale, scale), splat_word(1));
  return multiply(multiply(d, to_floats(odd)), broadcast(0.125f));
}

struct LanesIQ1_S : PlainFormat<BlockIQ1_S, 9> {
  static void unpack(const uint8_t* panel, uint8_t* codes, float* scales, float*) {
    const Floats d = halves_of(panel, 0);
    for (size_t s = 0; s < 8; ++s) {
      const Ints qh = bits(words_of(panel, 34, s / 2), s % 2 * 16, 0xFFFF);
      put(scales, s, odd_scale(d, bits(qh, 12, 7)));
      const Ints down = subtract(splat_word(0), bits(qh, 15, 1));
      for (size_t k = 0; k < 4; ++k) {
        const Ints number = either(byte_number(words_of(panel, 2, s), k), shift_left<8>(bits(qh, 3 * k, 7)));
        put_shifted_point(codes, 8 * s + 2 * k, number, down);
      }
    }
  }
};

struct LanesIQ1_M : PlainFormat<BlockIQ1_M, 9> {
  static void unpack(const uint8_t* panel, uint8_t* codes, float* scales, float*) {
    const Ints low = words_of(panel, 48, 0), high = words_of(panel, 48, 1);  // scales 0, 1 and 2, 3
    Ints half = either(bits(low, 12, 15), shift_left<4>(bits(low, 28, 15)));
    half = either(half, either(shift_left<8>(bits(high, 12, 15)), shift_left<12>(bits(high, 28, 15))));
    const Floats d = halves_to_floats(half);
    for (size_t s = 0; s < 16; ++s)
      put(scales, s, odd_scale(d, bits(s < 8 ? low : high, s / 4 % 2 * 16 + s % 4 * 3, 7)));
    for (size_t k = 0; k < 32; ++k) {
      const Ints qh = bits(words_of(panel, 32, k / 8), 4 * (k % 8), 15);
      const Ints number =
          either(byte_number(words_of(panel, 0, k / 4), k % 4), shift_left<8>(both(qh, splat_word(7))));
      put_shifted_point(codes, 2 * k, number, subtract(splat_word(0), bits(qh, 3, 1)));
    }
  }
};

struct LanesIQ4_NL : FormatInParts<BlockIQ4_NL, 127, 128, 32> {
  static void scales(const uint8_t* panel, float* scales, float*) { put(scales, 0, halves_of(panel, 0)); }
  template <class Codes>
  static void quants(const uint8_t* panel, size_t, Codes& to) {
    unpack_levels(panel, 2, 0, kIq4Values, to);
  }
};

struct LanesIQ4_XS : FormatInParts<BlockIQ4_XS, 127, 128, 32> {
  static void scales(const uint8_t* panel, float* scales, float*) {
    const Floats d = halves_of(panel, 0);
    const Ints scales_high = load_halves(unit_of(panel, 2)), scales_low = words_of(panel, 4);
    for (size_t s = 0; s < 8; ++s) {
      const Ints scale = either(bits(scales_low, 4 * s, 15), shift_left<4>(bits(scales_high, 2 * s, 3)));
      put(scales, s, multiply(d, to_floats(add_words(scale, splat_word(-32)))));
    }
  }
  template <class Codes>
  static void quants(const uint8_t* panel, size_t part, Codes& to) {
    unpack_levels(panel, 8, 4 * part, kIq4Values, to);
  }
};

}  // namespace
}  // namespace ruvllm::kernels
