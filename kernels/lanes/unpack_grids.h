// Panels of the IQ formats to codes: points of code books, looked up in registers or gathered for 16 rows at
// once, and their signs or shifts. What codes, scales and panels are: unpack_plain.h. What the formats mean:
// formats/iquants.h.
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

inline Ints low_halves(Ints words) { return both(words, splat_word(0xFFFF)); }

/// Groups group and group + 1 of 4 columns: `near` and `far`, negated where `signs` (8 bits) says so.
template <class Codes>
inline void put_signed(Codes& to, size_t group, Ints near, Ints far, Ints signs) {
  to.put(group, codes_from_signed(negate_where_bit(near, signs, 0)));
  to.put(group + 1, codes_from_signed(negate_where_bit(far, signs, 4)));
}

/// A point of a grid of 8 bytes.
template <class Codes>
inline void put_point(Codes& to, size_t group, const void* grid, Ints number, Ints signs) {
  const Ints offset = shift_left<3>(number);
  put_signed(to, group, gather(grid, offset), gather(static_cast<const char*>(grid) + 4, offset), signs);
}

/// A point as the numbers of its levels.
template <class Codes>
inline void put_numbered_point(Codes& to, size_t group, Ints levels, Ints point, Ints signs) {
  const Ints numbers = either(point, shift_left<12>(point));
  put_signed(to, group, look_up(levels, mask_bytes(numbers, 3)),
             look_up(levels, mask_bytes(shift_right<2>(numbers), 3)), signs);
}

/// Two points of IQ2: that of the low halves of `numbers` as groups `low` and low + 1, that of the high
/// halves as groups `high` and high + 1.
template <size_t n_points, class Codes>
inline void put_points(Codes& to, size_t low, size_t high, const CodeBook<uint64_t, n_points>& grid,
                       const CodeBook<uint16_t, n_points>& book, Ints numbers, Ints low_signs,
                       Ints high_signs) {
  if constexpr (kHasBooks) {
    const Ints levels = load_table(kIq2Levels), points = look_up_halves<n_points>(book.points, numbers);
    put_numbered_point(to, low, levels, low_halves(points), low_signs);
    put_numbered_point(to, high, levels, shift_right<16>(points), high_signs);
  } else {
    put_point(to, low, grid.points, low_halves(numbers), low_signs);
    put_point(to, high, grid.points, shift_right<16>(numbers), high_signs);
  }
}

/// Two points of IQ3, of 4 columns each, as groups `low` and `high`; their signs begin at bit `first`.
template <size_t n_points, class Codes>
inline void put_small_points(Codes& to, size_t low, size_t high, const CodeBook<uint32_t, n_points>& grid,
                             const CodeBook<uint16_t, n_points>& book, const int8_t* levels, Ints numbers,
                             Ints low_signs, Ints high_signs, int first) {
  const auto put = [&](size_t group, Ints point, Ints signs) {
    to.put(group, codes_from_signed(first == 0 ? negate_where_bit(point, signs, 0)
                                               : negate_where_bit(point, signs, 4)));
  };
  if constexpr (kHasBooks) {
    const Ints table = load_table(levels), points = look_up_halves<n_points>(book.points, numbers);
    const auto levels_of = [&](Ints point) {
      return look_up(table, mask_bytes(either(point, shift_left<12>(point)), 7));
    };
    put(low, levels_of(low_halves(points)), low_signs);
    put(high, levels_of(shift_right<16>(points)), high_signs);
  } else {
    put(low, gather(grid.points, shift_left<2>(low_halves(numbers))), low_signs);
    put(high, gather(grid.points, shift_left<2>(shift_right<16>(numbers))), high_signs);
  }
}

/// A format whose points take so long to look up that no more rows are streamed than one slice has. Its parts
/// are 32 columns: a word has four numbers, of which the even and the odd ones are looked up together.
template <class Block, int most>
struct CodeBookFormat : FormatInParts<Block, most, 128, 32> {
  static constexpr bool kIsCostly = true;
};
inline Ints even_bytes(Ints words) { return both(words, splat_word(0x00FF00FF)); }
inline Ints odd_bytes(Ints words) { return even_bytes(shift_right<8>(words)); }

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

struct LanesIQ2_XXS : CodeBookFormat<BlockIQ2_XXS, 43> {
  static void scales(const uint8_t* panel, float* scales, float*) {
    const Floats d = halves_of(panel, 0);
    for (size_t s = 0; s < 8; ++s)
      put(scales, s, half_step_scale(d, shift_right<28>(words_of(panel, 2, 2 * s + 1)), 0.25f));
  }
  template <class Codes>
  static void quants(const uint8_t* panel, size_t part, Codes& to) {
    const Ints numbers = to.words(panel, 2, 2 * part), rest = to.words(panel, 2, 2 * part + 1);
    const auto signs = [&](size_t k) { return with_parity(bits(rest, 7 * k, 127)); };
    put_points(to, 0, 4, kIq2xxsGrid, kIq2xxsNumbers, even_bytes(numbers), signs(0), signs(2));
    put_points(to, 2, 6, kIq2xxsGrid, kIq2xxsNumbers, odd_bytes(numbers), signs(1), signs(3));
  }
};

/// Nibbles as the scales of 16 values each: 8 sub-blocks a word.
inline void unpack_nibble_scales(const uint8_t* panel, size_t offset, Floats d, float* scales) {
  for (size_t s = 0; s < 16; ++s)
    put(scales, s, half_step_scale(d, bits(words_of(panel, offset, s / 8), 4 * (s % 8), 15), 0.25f));
}

struct LanesIQ2_XS : CodeBookFormat<BlockIQ2_XS, 43> {
  static void scales(const uint8_t* panel, float* scales, float*) {
    unpack_nibble_scales(panel, 66, halves_of(panel, 0), scales);
  }
  template <class Codes>
  static void quants(const uint8_t* panel, size_t part, Codes& to) {
#pragma GCC unroll 2
    for (size_t u = 0; u < 2; ++u) {
      const Ints word = to.words(panel, 2, 2 * part + u);
      put_points(to, 4 * u, 4 * u + 2, kIq2xsGrid, kIq2xsNumbers, both(word, splat_word(0x01FF01FF)),
                 with_parity(bits(word, 9, 127)), with_parity(shift_right<25>(word)));
    }
  }
};

struct LanesIQ2_S : CodeBookFormat<BlockIQ2_S, 43> {
  static void scales(const uint8_t* panel, float* scales, float*) {
    unpack_nibble_scales(panel, 74, halves_of(panel, 0), scales);
  }
  template <class Codes>
  static void quants(const uint8_t* panel, size_t part, Codes& to) {
    const Ints low = to.words(panel, 2, part), signs = to.words(panel, 34, part);
    const Ints high = byte_number(to.words(panel, 66, part / 4), part % 4);  // two bits for each of four
    const Ints even =
        either(shift_left<8>(both(high, splat_word(3))), shift_left<20>(both(high, splat_word(48))));
    const Ints odd =
        either(shift_left<6>(both(high, splat_word(12))), shift_left<18>(both(high, splat_word(192))));
    put_points(to, 0, 4, kIq2sGrid, kIq2sNumbers, either(even_bytes(low), even), signs,
               shift_right<16>(signs));
    put_points(to, 2, 6, kIq2sGrid, kIq2sNumbers, either(odd_bytes(low), odd), shift_right<8>(signs),
               shift_right<24>(signs));
  }
};

struct LanesIQ3_XXS : CodeBookFormat<BlockIQ3_XXS, 62> {
  static void scales(const uint8_t* panel, float* scales, float*) {
    const Floats d = halves_of(panel, 0);
    for (size_t s = 0; s < 8; ++s)
      put(scales, s, half_step_scale(d, shift_right<28>(words_of(panel, 66, s)), 0.5f));
  }
  template <class Codes>
  static void quants(const uint8_t* panel, size_t part, Codes& to) {
    const Ints rest = to.words(panel, 66, part);
#pragma GCC unroll 2
    for (size_t u = 0; u < 2; ++u) {
      const Ints numbers = to.words(panel, 2, 2 * part + u);
      const Ints near = with_parity(bits(rest, 14 * u, 127)), far = with_parity(bits(rest, 14 * u + 7, 127));
      put_small_points(to, 4 * u, 4 * u + 2, kIq3xxsGrid, kIq3xxsNumbers, kIq3xxsLevels, even_bytes(numbers),
                       near, far, 0);
      put_small_points(to, 4 * u + 1, 4 * u + 3, kIq3xxsGrid, kIq3xxsNumbers, kIq3xxsLevels,
                       odd_bytes(numbers), near, far, 4);
    }
  }
};

struct LanesIQ3_S : CodeBookFormat<BlockIQ3_S, 15> {
  static void scales(const uint8_t* panel, float* scales, float*) {
    const Floats d = halves_of(panel, 0);
    for (size_t s = 0; s < 8; ++s) {
      const Ints scale = bits(words_of(panel, 106), 4 * s, 15);
      put(scales, s, multiply(d, to_floats(add_words(add_words(scale, scale), splat_word(1)))));
    }
  }
  template <class Codes>
  static void quants(const uint8_t* panel, size_t part, Codes& to) {
    const Ints signs = to.words(panel, 74, part);
    const Ints high = byte_number(to.words(panel, 66, part / 4), part % 4);  // a bit for each of eight
#pragma GCC unroll 2
    for (size_t u = 0; u < 2; ++u) {
      const Ints numbers = to.words(panel, 2, 2 * part + u), ninth = bits(high, 4 * u, 15);
      const Ints even =
          either(shift_left<8>(both(ninth, splat_word(1))), shift_left<22>(both(ninth, splat_word(4))));
      const Ints odd =
          either(shift_left<7>(both(ninth, splat_word(2))), shift_left<21>(both(ninth, splat_word(8))));
      const Ints near = bits(signs, 16 * u, 255), far = bits(signs, 16 * u + 8, 255);
      put_small_points(to, 4 * u, 4 * u + 2, kIq3sGrid, kIq3sNumbers, kIq3sLevels,
                       either(even_bytes(numbers), even), near, far, 0);
      put_small_points(to, 4 * u + 1, 4 * u + 3, kIq3sGrid, kIq3sNumbers, kIq3sLevels,
                       either(odd_bytes(numbers), odd), near, far, 4);
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
