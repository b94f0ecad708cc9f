// Panels of the legacy, K, ternary, MXFP4 and NVFP4 formats to codes: what one interleaved block of 16 rows
// becomes.
//
// Codes: for each 4 consecutive columns (a group), 16 rows x 4 bytes. Where kUnsignedCodes, formats whose
// quants are signed add 128 to them; formats with a minimum have small unsigned quants and add nothing.
// Scales and minima: 16 floats for each sub-block; minima are stored negated. See formats/*.h for the blocks,
// kernels/interleave.h for panels.
//
// A format whose codes are cheap to make says them a part of a block at a time, to whoever takes them: memory
// (StoredCodes), or products on the spot (stream.h).
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
/// `mask`, of the bits of bytes from `first` on.
template <int first>
inline Ints bits_of(Ints bytes, int mask) {
  return mask_bytes(shift_right<first>(bytes), mask);
}
inline Ints high_nibbles(Ints a) { return bits_of<4>(a, 15); }
/// The low nibbles of one, the high ones of the other.
inline Ints join_nibbles(Ints low, Ints high) { return merge(splat_byte(15), low, high); }
/// Unsigned bytes less `zero` as codes.
inline Ints codes_from(Ints bytes, int zero) {
  return add_bytes(bytes, splat_byte(kUnsignedCodes ? 128 - zero : -zero));
}
/// Signed bytes as codes.
inline Ints codes_from_signed(Ints bytes) { return kUnsignedCodes ? differ(bytes, splat_byte(128)) : bytes; }

inline void put(uint8_t* codes, size_t group, Ints bytes) { store_ints(codes + 64 * group, bytes); }
inline void put(float* to, size_t sub_block, Floats a) { store(to + 16 * sub_block, a); }
inline Floats negated(Floats a) { return subtract(broadcast(-0.0f), a); }

/// What every format tells the product: the block it is stored in, and its quants' largest magnitude.
template <class Block_, int most>
struct PlainFormat {
  using Block = Block_;
  static constexpr int kMost = most;
};

/// A format with parts has, besides, scales(panel, scales, mins) for a whole block or a type Scales that
/// knows them, and quants(panel, part, to) for each part of Codes::kColumns columns, which reads
/// to.words(panel, offset, unit) and calls to.put(group within the part, codes) for all its groups. Wide
/// parts take fewest instructions, narrow ones fewest sums at once. Unsigned bytes are `zero` more than the
/// quants they stand for: to.centred(bytes) makes codes of them.
///
/// Where a format has place_of(sub-block of a wide part), all the sub-block's codes are
/// to.bits<place_of>(bytes, mask): products may take them where they are in their bytes.
template <class Block_, int most, int zero, size_t wide, size_t narrow = wide>
struct FormatInParts : PlainFormat<Block_, most> {
  static constexpr int kZero = zero;
  static constexpr size_t kWidePart = wide, kNarrowPart = narrow;
};

/// Where codes go that will be multiplied with many rows.
template <class F>
struct StoredCodes {
  static constexpr size_t kColumns = F::kWidePart;
  uint8_t* codes;
  static Ints words(const uint8_t* panel, size_t offset, size_t unit = 0) {
    return words_of(panel, offset, unit);
  }
  template <int first>
  static Ints bits(Ints bytes, int mask) {
    return bits_of<first>(bytes, mask);
  }
  void put(size_t group, Ints bytes) const { store_ints(codes + 64 * group, bytes); }
  static Ints centred(Ints bytes) { return codes_from(bytes, F::kZero); }
};

/// Scales and minima of a block, where a format says no better.
template <class F>
struct StoredScales {
  static constexpr size_t kScales = F::Block::kValues / F::Block::kSubBlock;
  alignas(64) float scales[kScales * 16], mins[F::Block::kHasMin ? kScales * 16 : 1];
  explicit StoredScales(const uint8_t* panel) { F::scales(panel, scales, mins); }
  Floats scale(size_t s) const { return load(scales + 16 * s); }
  Floats min(size_t s) const { return load(mins + 16 * s); }
};
template <class F>
inline auto scales_of(const uint8_t* panel) {
  if constexpr (requires { typename F::Scales; })
    return typename F::Scales(panel);
  else
    return StoredScales<F>(panel);
}

/// Integers times one float: a byte of each of 16 rows for each sub-block, widened where it is wanted.
template <size_t n>
struct ByteScales {
  Floats d;
  alignas(64) int8_t bytes[n * 16];
  /// Those of sub-blocks s .. s + 3.
  void put(size_t s, Ints four) { store_ints(bytes + 16 * s, four); }
  Floats at(size_t s) const { return multiply(d, load_bytes(bytes + 16 * s)); }
};

/// A block as codes, scales and minima in memory.
template <class F>
inline void unpack_block(const uint8_t* panel, uint8_t* codes, float* scales, float* mins) {
  if constexpr (requires { F::kZero; }) {
    if constexpr (requires { typename F::Scales; }) {
      const typename F::Scales from(panel);
      for (size_t s = 0; s < F::Block::kValues / F::Block::kSubBlock; ++s) {
        put(scales, s, from.scale(s));
        if constexpr (F::Block::kHasMin) put(mins, s, from.min(s));
      }
    } else {
      F::scales(panel, scales, mins);
    }
    for (size_t part = 0; part * F::kWidePart < F::Block::kValues; ++part) {
      StoredCodes<F> to = {codes + part * F::kWidePart * 16};
      F::quants(panel, part, to);
    }
  } else {
    F::unpack(panel, codes, scales, mins);
  }
}

// ------------------------------------------------------------------------------------------------- legacy

struct LanesQ4_0 : FormatInParts<BlockQ4_0, 8, 8, 32> {
  static void scales(const uint8_t* panel, float* scales, float*) { put(scales, 0, halves_of(panel, 0)); }
  template <class Codes>
  static void quants(const uint8_t* panel, size_t, Codes& to) {
#pragma GCC unroll 4
    for (size_t u = 0; u < 4; ++u) {
      const Ints q = to.words(panel, 2, u);
      to.put(u, to.centred(low_nibbles(q)));
      to.put(u + 4, to.centred(high_nibbles(q)));
    }
  }
};

inline void put_scale_and_min(const uint8_t* panel, float* scales, float* mins) {
  put(scales, 0, halves_of(panel, 0));
  put(mins, 0, halves_of(panel, 2));
}

struct LanesQ4_1 : FormatInParts<BlockQ4_1, 15, 128, 32> {
  static void scales(const uint8_t* panel, float* scales, float* mins) {
    put_scale_and_min(panel, scales, mins);
  }
  template <class Codes>
  static void quants(const uint8_t* panel, size_t, Codes& to) {
#pragma GCC unroll 4
    for (size_t u = 0; u < 4; ++u) {
      const Ints q = to.words(panel, 4, u);
      to.put(u, low_nibbles(q));
      to.put(u + 4, high_nibbles(q));
    }
  }
};

/// Nibbles at `offset` with fifth bits: bit j of the words belongs to value j. Each through finish().
template <class Codes, class Finish>
inline void unpack_five_bits(const uint8_t* panel, size_t offset, Ints fifth_bits, Codes& to, Finish finish) {
  const auto put = [&](size_t group, Ints nibbles) {
    const Ints fifth = value_where_bit(fifth_bits, static_cast<int>(4 * group), 16);
    to.put(group, finish(either(nibbles, fifth)));
  };
#pragma GCC unroll 4
  for (size_t u = 0; u < 4; ++u) {
    const Ints q = to.words(panel, offset, u);
    put(u, low_nibbles(q));
    put(u + 4, high_nibbles(q));
  }
}

struct LanesQ5_0 : FormatInParts<BlockQ5_0, 16, 16, 32> {
  static void scales(const uint8_t* panel, float* scales, float*) { put(scales, 0, halves_of(panel, 0)); }
  template <class Codes>
  static void quants(const uint8_t* panel, size_t, Codes& to) {
    unpack_five_bits(panel, 6, to.words(panel, 2), to, [&](Ints q) { return to.centred(q); });
  }
};

struct LanesQ5_1 : FormatInParts<BlockQ5_1, 31, 128, 32> {
  static void scales(const uint8_t* panel, float* scales, float* mins) {
    put_scale_and_min(panel, scales, mins);
  }
  template <class Codes>
  static void quants(const uint8_t* panel, size_t, Codes& to) {
    unpack_five_bits(panel, 8, to.words(panel, 4), to, [](Ints q) { return q; });
  }
};

struct LanesQ8_0 : FormatInParts<BlockQ8_0, 128, 128, 32> {
  static void scales(const uint8_t* panel, float* scales, float*) { put(scales, 0, halves_of(panel, 0)); }
  template <class Codes>
  static void quants(const uint8_t* panel, size_t, Codes& to) {
#pragma GCC unroll 8
    for (size_t u = 0; u < 8; ++u) to.put(u, codes_from_signed(to.words(panel, 2, u)));
  }
};

// ----------------------------------------------------------------------------------------------- K formats

/// The crumbs of 8 units, each through finish(): byte j of 32 of a half of 128 values holds values j, j + 32,
/// j + 64, j + 96. A wide part is a half, a narrow one a crumb of it.
template <class Codes, class Finish>
inline void unpack_crumbs(const uint8_t* panel, size_t offset, size_t part, Codes& to, Finish finish) {
  if constexpr (Codes::kColumns == 32) {
    const Ints by = splat_word(static_cast<int32_t>(2 * (part % 4)));
#pragma GCC unroll 8
    for (size_t u = 0; u < 8; ++u)
      to.put(u, finish(mask_bytes(shift_right_each(to.words(panel, offset, part / 4 * 8 + u), by), 3)));
  } else {
#pragma GCC unroll 8
    for (size_t u = 0; u < 8; ++u) {
      const Ints q = to.words(panel, offset, 8 * part + u);
      to.put(u, finish(mask_bytes(q, 3)));
      to.put(u + 8, finish(to.template bits<2>(q, 3)));
      to.put(u + 16, finish(to.template bits<4>(q, 3)));
      to.put(u + 24, finish(to.template bits<6>(q, 3)));
    }
  }
}

struct LanesQ2_K : FormatInParts<BlockQ2_K, 3, 128, 128, 32> {
  struct Scales {
    ByteScales<16> scales, mins;
    explicit Scales(const uint8_t* panel) {
      scales.d = halves_of(panel, 0);
      mins.d = negated(halves_of(panel, 2));
      for (size_t s = 0; s < 16; s += 4) {
        const Ints packed = load_ints(unit_of(panel, 4, s, 1));
        scales.put(s, low_nibbles(packed));
        mins.put(s, high_nibbles(packed));
      }
    }
    Floats scale(size_t s) const { return scales.at(s); }
    Floats min(size_t s) const { return mins.at(s); }
  };
  template <class Codes>
  static void quants(const uint8_t* panel, size_t part, Codes& to) {
    unpack_crumbs(panel, 20, part, to, [](Ints q) { return q; });
  }
  static constexpr int place_of(size_t s) { return static_cast<int>(s / 2 * 2); }
};

struct LanesQ3_K : FormatInParts<BlockQ3_K, 4, 4, 128, 32> {
  struct Scales {
    ByteScales<16> scales;
    explicit Scales(const uint8_t* panel) {
      scales.d = halves_of(panel, 0);
      const Ints even = words_of(panel, 2, 0), odd = words_of(panel, 2, 1), high = words_of(panel, 2, 2);
      const auto put = [&](size_t s, Ints low, Ints two_bits) {
        scales.put(s, add_bytes(either(low, shift_left<4>(two_bits)), splat_byte(-32)));
      };
      put(0, low_nibbles(even), mask_bytes(high, 3));
      put(4, low_nibbles(odd), mask_bytes(shift_right<2>(high), 3));
      put(8, high_nibbles(even), mask_bytes(shift_right<4>(high), 3));
      put(12, high_nibbles(odd), mask_bytes(shift_right<6>(high), 3));
    }
    Floats scale(size_t s) const { return scales.at(s); }
  };
  /// Where third bits and crumbs begin in a panel. Bit c of 8 of a byte is the third bit of crumb c.
  static constexpr size_t kThirds = 14, kCrumbs = 46;
  template <class Codes>
  static void quants(const uint8_t* panel, size_t part, Codes& to) {
    const auto put = [&](size_t group, Ints crumbs, Ints thirds) {
      to.put(group, to.centred(either(mask_bytes(crumbs, 3), mask_bytes(thirds, 4))));
    };
    if constexpr (Codes::kColumns == 32) {
      const Ints by_crumb = splat_word(static_cast<int32_t>(2 * (part % 4)));
      const Ints by_bit = splat_word(static_cast<int32_t>(part));
#pragma GCC unroll 8
      for (size_t u = 0; u < 8; ++u)
        put(u, shift_right_each(to.words(panel, kCrumbs, part / 4 * 8 + u), by_crumb),
            shift_left<2>(shift_right_each(to.words(panel, kThirds, u), by_bit)));
    } else {
      const Ints by = splat_word(static_cast<int32_t>(4 * part));
      Ints thirds[8];
#pragma GCC unroll 8
      for (size_t u = 0; u < 8; ++u) thirds[u] = to.words(panel, kThirds, u);
#pragma GCC unroll 8
      for (size_t u = 0; u < 8; ++u) {
        const Ints q = to.words(panel, kCrumbs, 8 * part + u), bits = shift_right_each(thirds[u], by);
        put(u, q, shift_left<2>(bits));
        put(u + 8, shift_right<2>(q), shift_left<1>(bits));
        put(u + 16, shift_right<4>(q), bits);
        put(u + 24, shift_right<6>(q), shift_right<1>(bits));
      }
    }
  }
};

/// Scales and minima of Q4_K and Q5_K: see BlockQ4_K.
struct SixBitScales {
  ByteScales<8> scales, mins;
  explicit SixBitScales(const uint8_t* panel) {
    scales.d = halves_of(panel, 0);
    mins.d = negated(halves_of(panel, 2));
    const Ints first = words_of(panel, 4, 0), second = words_of(panel, 4, 1), third = words_of(panel, 4, 2);
    scales.put(0, mask_bytes(first, 63));
    mins.put(0, mask_bytes(second, 63));
    scales.put(4, either(low_nibbles(third), mask_bytes(shift_right<2>(first), 48)));
    mins.put(4, either(high_nibbles(third), mask_bytes(shift_right<2>(second), 48)));
  }
  Floats scale(size_t s) const { return scales.at(s); }
  Floats min(size_t s) const { return mins.at(s); }
};

struct LanesQ4_K : FormatInParts<BlockQ4_K, 15, 128, 64> {
  using Scales = SixBitScales;
  template <class Codes>
  static void quants(const uint8_t* panel, size_t part, Codes& to) {
#pragma GCC unroll 8
    for (size_t u = 0; u < 8; ++u) {
      const Ints q = to.words(panel, 16, 8 * part + u);
      to.put(u, low_nibbles(q));
      to.put(u + 8, to.template bits<4>(q, 15));
    }
  }
  static constexpr int place_of(size_t s) { return s == 0 ? 0 : 4; }
};

struct LanesQ5_K : FormatInParts<BlockQ5_K, 31, 128, 64> {
  using Scales = SixBitScales;
  /// Sub-blocks 2 part and 2 part + 1: their fifth bits are bits 2 part and 2 part + 1 of the bytes of qh.
  template <class Codes>
  static void quants(const uint8_t* panel, size_t part, Codes& to) {
    const Ints by = splat_word(static_cast<int32_t>(2 * part));
    Ints fifths[8];
#pragma GCC unroll 8
    for (size_t u = 0; u < 8; ++u) fifths[u] = to.words(panel, 16, u);
#pragma GCC unroll 8
    for (size_t u = 0; u < 8; ++u) {
      const Ints q = to.words(panel, 48, 8 * part + u), fifth = shift_right_each(fifths[u], by);
      to.put(u, either(low_nibbles(q), mask_bytes(shift_left<4>(fifth), 16)));
      to.put(u + 8, either(high_nibbles(q), mask_bytes(shift_left<3>(fifth), 16)));
    }
  }
};

struct LanesQ6_K : FormatInParts<BlockQ6_K, 32, 32, 128, 32> {
  static void scales(const uint8_t* panel, float* scales, float*) {
    const Floats d = halves_of(panel, 0);
    for (size_t s = 0; s < 16; ++s)
      put(scales, s, multiply(d, load_bytes(reinterpret_cast<const int8_t*>(unit_of(panel, 2, s, 1)))));
  }
  /// Where the crumbs and the nibbles of a half begin in a panel.
  static constexpr size_t crumbs_of(size_t half) { return 18 + 96 * half; }
  static constexpr size_t nibbles_of(size_t half) { return crumbs_of(half) + 32; }
  /// Crumb c of 4 of units u of a half belongs to nibbles of its units u (c = 0, 2: low, high) or u + 8 (1,
  /// 3). A wide part is a half, read from its first byte to its last; a narrow one is a crumb of it.
  template <class Codes>
  static void quants(const uint8_t* panel, size_t part, Codes& to) {
    if constexpr (Codes::kColumns == 32) return quarter(panel, part, to);
    Ints crumbs[8];
#pragma GCC unroll 8
    for (size_t u = 0; u < 8; ++u) crumbs[u] = to.words(panel, crumbs_of(part), u);
#pragma GCC unroll 8
    for (size_t u = 0; u < 8; ++u) {
      const Ints near = to.words(panel, nibbles_of(part), u), even = mask_bytes(crumbs[u], 0x33);
      to.put(u, to.centred(join_nibbles(near, shift_left<4>(even))));
      to.put(u + 16, to.centred(join_nibbles(shift_right<4>(near), even)));
    }
#pragma GCC unroll 8
    for (size_t u = 0; u < 8; ++u) {
      const Ints far = to.words(panel, nibbles_of(part), 8 + u);
      const Ints odd = mask_bytes(shift_right<2>(crumbs[u]), 0x33);
      to.put(u + 8, to.centred(join_nibbles(far, shift_left<4>(odd))));
      to.put(u + 24, to.centred(join_nibbles(shift_right<4>(far), odd)));
    }
  }
  template <class Codes>
  static void quarter(const uint8_t* panel, size_t part, Codes& to) {
    const size_t half = part / 4, c = part % 4;
    const Ints by_nibble = splat_word(static_cast<int32_t>(c / 2 * 4));
    const Ints by_crumb = splat_word(static_cast<int32_t>(c * 2));
#pragma GCC unroll 8
    for (size_t u = 0; u < 8; ++u) {
      const Ints nibbles = shift_right_each(to.words(panel, nibbles_of(half), c % 2 * 8 + u), by_nibble);
      const Ints crumbs = shift_left<4>(shift_right_each(to.words(panel, crumbs_of(half), u), by_crumb));
      to.put(u, to.centred(either(low_nibbles(nibbles), mask_bytes(crumbs, 48))));
    }
  }
};

struct LanesQ8_K : FormatInParts<BlockQ8_K, 128, 128, 32> {
  static void scales(const uint8_t* panel, float* scales, float*) {
    for (size_t s = 0; s < 8; ++s) put(scales, s, as_floats(words_of(panel, 0)));
  }
  template <class Codes>
  static void quants(const uint8_t* panel, size_t part, Codes& to) {
#pragma GCC unroll 8
    for (size_t u = 0; u < 8; ++u) to.put(u, codes_from_signed(to.words(panel, 4, 8 * part + u)));
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

struct LanesTQ2_0 : FormatInParts<BlockTQ2_0, 1, 1, 128, 32> {
  static void scales(const uint8_t* panel, float* scales, float*) {
    for (size_t s = 0; s < 8; ++s) put(scales, s, halves_of(panel, 64));
  }
  template <class Codes>
  static void quants(const uint8_t* panel, size_t part, Codes& to) {
    unpack_crumbs(panel, 0, part, to, [&](Ints q) { return to.centred(q); });
  }
};

/// A code book of signed bytes, looked up by nibbles of 4 units: the low ones first.
template <class Codes>
inline void unpack_levels(const uint8_t* panel, size_t offset, size_t first_unit, const int8_t* levels,
                          Codes& to) {
  const Ints table = codes_from_signed(load_table(levels));
#pragma GCC unroll 4
  for (size_t u = 0; u < 4; ++u) {
    const Ints q = to.words(panel, offset, first_unit + u);
    to.put(u, look_up(table, low_nibbles(q)));
    to.put(u + 4, look_up(table, high_nibbles(q)));
  }
}

struct LanesMXFP4 : FormatInParts<BlockMXFP4, 12, 128, 32> {
  static void scales(const uint8_t* panel, float* scales, float*) {
    for (size_t lane = 0; lane < 16; ++lane) scales[lane] = e8m0_half_to_f32(panel[lane]);
  }
  template <class Codes>
  static void quants(const uint8_t* panel, size_t, Codes& to) {
    unpack_levels(panel, 1, 0, kMxfp4Values, to);
  }
};

struct LanesNVFP4 : FormatInParts<BlockNVFP4, 12, 128, 64, 32> {
  static void scales(const uint8_t* panel, float* scales, float*) {
    for (size_t i = 0; i < 4 * 16; ++i) scales[i] = ue4m3_half_to_f32(panel[i]);
  }
  /// A word has the low halves of 4 columns and the high halves of those 8 further on.
  template <class Codes>
  static void quants(const uint8_t* panel, size_t part, Codes& to) {
    constexpr size_t kWords = Codes::kColumns / 8;
    const Ints table = codes_from_signed(load_table(kMxfp4Values));
#pragma GCC unroll 8
    for (size_t u = 0; u < kWords; ++u) {
      const Ints q = to.words(panel, 4, kWords * part + u);
      const size_t group = u / 2 * 4 + u % 2;
      to.put(group, look_up(table, low_nibbles(q)));
      to.put(group + 2, look_up(table, high_nibbles(q)));
    }
  }
};

}  // namespace
}  // namespace ruvllm::kernels
