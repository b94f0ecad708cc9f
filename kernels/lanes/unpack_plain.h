// Panels of the legacy, K, ternary and MXFP4 formats to codes: what one interleaved block of 16 rows becomes.
//
// Codes: for each 4 consecutive columns, 16 rows x 4 bytes. Where kUnsignedCodes, formats whose quants are
// signed add 128 to them; formats with a minimum have small unsigned quants and add nothing. Scales and
// minima: 16 floats for each sub-block; minima are stored negated. See formats/*.h for the blocks,
// kernels/interleave.h for panels.
#pragma once

#include "kernels/formats/kquants.h"
#include "kernels/formats/legacy.h"
#include "kernels/formats/microscale.h"
#include "kernels/formats/ternary.h"

namespace ruvllm::kernels {
namespace {

/// Field at byte `offset` of a block, unit number `unit` of `bytes` bytes: 16 of them.
inline const uint8_t* unit_of(const uint8_t* panel, size_t offset, size_t unit = 0, size_t bytes = 4) {
  return panel + offset * 16 + unit * bytes * 16;
}
inline Ints words_of(const uint8_t* panel, size_t offset, size_t unit = 0) {
  return load_ints(unit_of(panel, offset, unit));
}
inline Floats halves_of(const uint8_t* panel, size_t offset) {
  return load_f16(reinterpret_cast<const uint16_t*>(unit_of(panel, offset)));
}

inline Ints mask_bytes(Ints a, int mask) { return both(a, splat_byte(mask)); }
inline Ints low_nibbles(Ints a) { return mask_bytes(a, 15); }
inline Ints high_nibbles(Ints a) { return mask_bytes(shift_right<4>(a), 15); }
/// Unsigned bytes less `zero` as codes.
inline Ints codes_from(Ints bytes, int zero) {
  return add_bytes(bytes, splat_byte(kUnsignedCodes ? 128 - zero : -zero));
}
/// Signed bytes as codes.
inline Ints codes_from_signed(Ints bytes) { return kUnsignedCodes ? differ(bytes, splat_byte(128)) : bytes; }

inline void put(uint8_t* codes, size_t group, Ints bytes) { store_ints(codes + 64 * group, bytes); }
inline void put(float* to, size_t sub_block, Floats a) { store(to + 16 * sub_block, a); }
inline Floats negated(Floats a) { return subtract(broadcast(-0.0f), a); }

/// The same value four times, sub-blocks s .. s + 3: scales times the four bytes of each word.
inline void put_products(float* to, size_t s, Floats factor, Ints bytes) {
  put(to, s, multiply(factor, to_floats(unsigned_byte<0>(bytes))));
  put(to, s + 1, multiply(factor, to_floats(unsigned_byte<1>(bytes))));
  put(to, s + 2, multiply(factor, to_floats(unsigned_byte<2>(bytes))));
  put(to, s + 3, multiply(factor, to_floats(unsigned_byte<3>(bytes))));
}
/// The same with signed bytes.
inline void put_signed_products(float* to, size_t s, Floats factor, Ints bytes) {
  put(to, s, multiply(factor, to_floats(signed_byte<0>(bytes))));
  put(to, s + 1, multiply(factor, to_floats(signed_byte<1>(bytes))));
  put(to, s + 2, multiply(factor, to_floats(signed_byte<2>(bytes))));
  put(to, s + 3, multiply(factor, to_floats(signed_byte<3>(bytes))));
}

/// What every format tells the product: the block it is stored in, and its quants' largest magnitude.
template <class Block_, int most>
struct PlainFormat {
  using Block = Block_;
  static constexpr int kMost = most;
};

// ------------------------------------------------------------------------------------------------- legacy

struct LanesQ4_0 : PlainFormat<BlockQ4_0, 8> {
  static void unpack(const uint8_t* panel, uint8_t* codes, float* scales, float*) {
    put(scales, 0, halves_of(panel, 0));
    for (size_t u = 0; u < 4; ++u) {
      const Ints q = words_of(panel, 2, u);
      put(codes, u, codes_from(low_nibbles(q), 8));
      put(codes, u + 4, codes_from(high_nibbles(q), 8));
    }
  }
};

struct LanesQ4_1 : PlainFormat<BlockQ4_1, 15> {
  static void unpack(const uint8_t* panel, uint8_t* codes, float* scales, float* mins) {
    put(scales, 0, halves_of(panel, 0));
    put(mins, 0, halves_of(panel, 2));
    for (size_t u = 0; u < 4; ++u) {
      const Ints q = words_of(panel, 4, u);
      put(codes, u, low_nibbles(q));
      put(codes, u + 4, high_nibbles(q));
    }
  }
};

/// Nibbles at `offset` with fifth bits: bit j of the words belongs to value j.
inline Ints five_bits(const uint8_t* panel, size_t offset, Ints fifth_bits, size_t group) {
  const Ints q = words_of(panel, offset, group % 4);
  return either(group < 4 ? low_nibbles(q) : high_nibbles(q),
                value_where_bit(fifth_bits, static_cast<int>(4 * group), 16));
}

struct LanesQ5_0 : PlainFormat<BlockQ5_0, 16> {
  static void unpack(const uint8_t* panel, uint8_t* codes, float* scales, float*) {
    put(scales, 0, halves_of(panel, 0));
    const Ints fifth_bits = words_of(panel, 2);
    for (size_t g = 0; g < 8; ++g) put(codes, g, codes_from(five_bits(panel, 6, fifth_bits, g), 16));
  }
};

struct LanesQ5_1 : PlainFormat<BlockQ5_1, 31> {
  static void unpack(const uint8_t* panel, uint8_t* codes, float* scales, float* mins) {
    put(scales, 0, halves_of(panel, 0));
    put(mins, 0, halves_of(panel, 2));
    const Ints fifth_bits = words_of(panel, 4);
    for (size_t g = 0; g < 8; ++g) put(codes, g, five_bits(panel, 8, fifth_bits, g));
  }
};

struct LanesQ8_0 : PlainFormat<BlockQ8_0, 128> {
  static void unpack(const uint8_t* panel, uint8_t* codes, float* scales, float*) {
    put(scales, 0, halves_of(panel, 0));
    for (size_t u = 0; u < 8; ++u) put(codes, u, codes_from_signed(words_of(panel, 2, u)));
  }
};

// ----------------------------------------------------------------------------------------------- K formats

/// The group of 4 columns that crumb c of unit u of 16 holds: within each half of 128 values, byte j of 32
/// holds values j, j + 32, j + 64, j + 96.
constexpr size_t crumb_group(size_t unit, size_t crumb) { return unit / 8 * 32 + crumb * 8 + unit % 8; }

/// The four crumbs of every byte, through `finish`, to their groups.
template <class Finish>
inline void unpack_crumbs(const uint8_t* panel, size_t offset, uint8_t* codes, Finish finish) {
  for (size_t u = 0; u < 16; ++u) {
    const Ints q = words_of(panel, offset, u);
    put(codes, crumb_group(u, 0), finish(mask_bytes(q, 3), u, 0));
    put(codes, crumb_group(u, 1), finish(mask_bytes(shift_right<2>(q), 3), u, 1));
    put(codes, crumb_group(u, 2), finish(mask_bytes(shift_right<4>(q), 3), u, 2));
    put(codes, crumb_group(u, 3), finish(mask_bytes(shift_right<6>(q), 3), u, 3));
  }
}

struct LanesQ2_K : PlainFormat<BlockQ2_K, 3> {
  static void unpack(const uint8_t* panel, uint8_t* codes, float* scales, float* mins) {
    const Floats d = halves_of(panel, 80), negative_dmin = negated(halves_of(panel, 82));
    for (size_t s = 0; s < 16; s += 4) {
      const Ints packed = words_of(panel, 0, s / 4);
      put_products(scales, s, d, low_nibbles(packed));
      put_products(mins, s, negative_dmin, high_nibbles(packed));
    }
    unpack_crumbs(panel, 16, codes, [](Ints q, size_t, size_t) { return q; });
  }
};

/// Byte-wise a >> n, for n from -2 (to the left) to 7, of bits that stay inside their bytes once masked.
template <int n>
inline Ints shifted(Ints a) {
  if constexpr (n >= 0) return shift_right<n>(a);
  return shift_left<(n < 0 ? -n : 0)>(a);
}

struct LanesQ3_K : PlainFormat<BlockQ3_K, 4> {
  /// The third bits of half h, crumb c: bit 4 h + c of each byte, as a 4.
  template <int bit>
  static Ints third_bit(const uint8_t* panel, size_t unit) {
    return mask_bytes(shifted<bit - 2>(words_of(panel, 0, unit % 8)), 4);
  }
  template <int half>
  static void unpack_half(const uint8_t* panel, uint8_t* codes) {
    for (size_t u = 8 * half; u < 8 * half + 8; ++u) {
      const Ints q = words_of(panel, 32, u);
      put(codes, crumb_group(u, 0), codes_from(either(mask_bytes(q, 3), third_bit<4 * half>(panel, u)), 4));
      put(codes, crumb_group(u, 1),
          codes_from(either(mask_bytes(shift_right<2>(q), 3), third_bit<4 * half + 1>(panel, u)), 4));
      put(codes, crumb_group(u, 2),
          codes_from(either(mask_bytes(shift_right<4>(q), 3), third_bit<4 * half + 2>(panel, u)), 4));
      put(codes, crumb_group(u, 3),
          codes_from(either(mask_bytes(shift_right<6>(q), 3), third_bit<4 * half + 3>(panel, u)), 4));
    }
  }
  static void unpack(const uint8_t* panel, uint8_t* codes, float* scales, float*) {
    const Floats d = halves_of(panel, 108);
    const Ints even = words_of(panel, 96, 0), odd = words_of(panel, 96, 1), high = words_of(panel, 96, 2);
    const auto put_scales = [&](size_t s, Ints low, Ints two_bits) {
      put_signed_products(scales, s, d, add_bytes(either(low, shift_left<4>(two_bits)), splat_byte(-32)));
    };
    put_scales(0, low_nibbles(even), mask_bytes(high, 3));
    put_scales(4, low_nibbles(odd), mask_bytes(shift_right<2>(high), 3));
    put_scales(8, high_nibbles(even), mask_bytes(shift_right<4>(high), 3));
    put_scales(12, high_nibbles(odd), mask_bytes(shift_right<6>(high), 3));
    unpack_half<0>(panel, codes);
    unpack_half<1>(panel, codes);
  }
};

/// Scales and minima of Q4_K and Q5_K: see BlockQ4_K.
inline void unpack_six_bits(const uint8_t* panel, float* scales, float* mins) {
  const Floats d = halves_of(panel, 0), negative_dmin = negated(halves_of(panel, 2));
  const Ints first = words_of(panel, 4, 0), second = words_of(panel, 4, 1), third = words_of(panel, 4, 2);
  put_products(scales, 0, d, mask_bytes(first, 63));
  put_products(mins, 0, negative_dmin, mask_bytes(second, 63));
  put_products(scales, 4, d, either(low_nibbles(third), mask_bytes(shift_right<2>(first), 48)));
  put_products(mins, 4, negative_dmin, either(high_nibbles(third), mask_bytes(shift_right<2>(second), 48)));
}

struct LanesQ4_K : PlainFormat<BlockQ4_K, 15> {
  static void unpack(const uint8_t* panel, uint8_t* codes, float* scales, float* mins) {
    unpack_six_bits(panel, scales, mins);
    for (size_t u = 0; u < 32; ++u) {
      const Ints q = words_of(panel, 16, u);
      put(codes, u / 8 * 16 + u % 8, low_nibbles(q));
      put(codes, u / 8 * 16 + 8 + u % 8, high_nibbles(q));
    }
  }
};

struct LanesQ5_K : PlainFormat<BlockQ5_K, 31> {
  /// Sub-blocks 2 c and 2 c + 1: their fifth bits are bits 2 c and 2 c + 1 of the bytes of qh.
  template <int c>
  static void unpack_pair(const uint8_t* panel, uint8_t* codes) {
    for (size_t u = 0; u < 8; ++u) {
      const Ints q = words_of(panel, 48, 8 * c + u), fifth = words_of(panel, 16, u);
      constexpr int to_left = 4 - 2 * c;  // brings bit 2 c to bit 4
      const Ints low = to_left >= 0 ? shift_left<(to_left > 0 ? to_left : 0)>(fifth)
                                    : shift_right<(to_left < 0 ? -to_left : 0)>(fifth);
      const Ints high = to_left >= 1 ? shift_left<(to_left > 1 ? to_left - 1 : 0)>(fifth)
                                     : shift_right<(to_left < 1 ? 1 - to_left : 0)>(fifth);
      put(codes, 16 * c + u, either(low_nibbles(q), mask_bytes(low, 16)));
      put(codes, 16 * c + 8 + u, either(high_nibbles(q), mask_bytes(high, 16)));
    }
  }
  static void unpack(const uint8_t* panel, uint8_t* codes, float* scales, float* mins) {
    unpack_six_bits(panel, scales, mins);
    unpack_pair<0>(panel, codes);
    unpack_pair<1>(panel, codes);
    unpack_pair<2>(panel, codes);
    unpack_pair<3>(panel, codes);
  }
};

struct LanesQ6_K : PlainFormat<BlockQ6_K, 32> {
  /// Units u and u + 8 of a half share their byte of crumbs, bits 0..3 for the low nibbles and 4..7 for the
  /// high.
  static void unpack(const uint8_t* panel, uint8_t* codes, float* scales, float*) {
    const Floats d = halves_of(panel, 208);
    for (size_t s = 0; s < 16; s += 4) put_signed_products(scales, s, d, words_of(panel, 192, s / 4));
    for (size_t half = 0; half < 2; ++half) {
      for (size_t u = 0; u < 8; ++u) {
        const Ints near = words_of(panel, 0, 16 * half + u), far = words_of(panel, 0, 16 * half + 8 + u);
        const Ints crumbs = words_of(panel, 128, 8 * half + u);
        uint8_t* to = codes + 64 * (32 * half + u);
        put(to, 0, codes_from(either(low_nibbles(near), mask_bytes(shift_left<4>(crumbs), 48)), 32));
        put(to, 8, codes_from(either(low_nibbles(far), mask_bytes(shift_left<2>(crumbs), 48)), 32));
        put(to, 16, codes_from(either(high_nibbles(near), mask_bytes(crumbs, 48)), 32));
        put(to, 24, codes_from(either(high_nibbles(far), mask_bytes(shift_right<2>(crumbs), 48)), 32));
      }
    }
  }
};

struct LanesQ8_K : PlainFormat<BlockQ8_K, 128> {
  static void unpack(const uint8_t* panel, uint8_t* codes, float* scales, float*) {
    for (size_t s = 0; s < 8; ++s) put(scales, s, as_floats(words_of(panel, 0)));
    for (size_t u = 0; u < 64; ++u) put(codes, u, codes_from_signed(words_of(panel, 4, u)));
  }
};

// ------------------------------------------------------------------------------------- ternary, microscale

struct LanesTQ1_0 : PlainFormat<BlockTQ1_0, 1> {
  /// Trits of n_units units of bytes, stored one trit after the other: three times a byte's fraction, above
  /// bit 8.
  static size_t unpack_trits(const uint8_t* panel, size_t offset, size_t n_units, size_t n_trits,
                             uint8_t* codes, size_t group) {
    for (size_t u = 0; u < n_units; ++u) {
      Ints fraction = words_of(panel, offset, u);
      for (size_t n = 0; n < n_trits; ++n) {
        const Ints trit =
            add_bytes(at_least(fraction, 86), at_least(fraction, 171));  // 3 * fraction >= 256, 512
        put(codes, group + n * n_units + u, codes_from(trit, 1));
        fraction = add_bytes(add_bytes(fraction, fraction), fraction);
      }
    }
    return group + n_units * n_trits;
  }
  static void unpack(const uint8_t* panel, uint8_t* codes, float* scales, float*) {
    for (size_t s = 0; s < 8; ++s) put(scales, s, halves_of(panel, 52));
    size_t group = unpack_trits(panel, 0, 8, 5, codes, 0);
    group = unpack_trits(panel, 32, 4, 5, codes, group);
    unpack_trits(panel, 48, 1, 4, codes, group);
  }
};

struct LanesTQ2_0 : PlainFormat<BlockTQ2_0, 1> {
  static void unpack(const uint8_t* panel, uint8_t* codes, float* scales, float*) {
    for (size_t s = 0; s < 8; ++s) put(scales, s, halves_of(panel, 64));
    unpack_crumbs(panel, 0, codes, [](Ints q, size_t, size_t) { return codes_from(q, 1); });
  }
};

/// A code book of signed bytes, looked up by nibbles of 4 units: the low ones first.
inline void unpack_levels(const uint8_t* panel, size_t offset, size_t first_unit, const int8_t* levels,
                          uint8_t* codes) {
  const Ints table = codes_from_signed(load_table(levels));
  for (size_t u = 0; u < 4; ++u) {
    const Ints q = words_of(panel, offset, first_unit + u);
    put(codes, u, look_up(table, low_nibbles(q)));
    put(codes, u + 4, look_up(table, high_nibbles(q)));
  }
}

struct LanesMXFP4 : PlainFormat<BlockMXFP4, 12> {
  static void unpack(const uint8_t* panel, uint8_t* codes, float* scales, float*) {
    for (size_t lane = 0; lane < 16; ++lane) scales[lane] = e8m0_half_to_f32(panel[lane]);
    unpack_levels(panel, 1, 0, kMxfp4Values, codes);
  }
};

}  // namespace
}  // namespace ruvllm::kernels
