// IQ1 .. IQ4: what their blocks mean, and the code books expanded. Layouts are drawn in formats/iquants.h.
#include "kernels/formats/iquants.h"

#include "kernels/scalar/definition.h"

namespace ruvllm::kernels {
namespace {

// ---------------------------------------------------------------------------------------------- code books

constexpr int8_t kIq1Levels[] = {-1, 0, 1};

#define GRID(name, dimensions, bits, ...) constexpr uint16_t kPacked##name[] = {__VA_ARGS__};
#include "kernels/formats/iquants_grid.inc"
#undef GRID

template <class Word, size_t n_points>
constexpr CodeBook<Word, n_points> expand(const uint16_t (&packed)[n_points], const int8_t* levels,
                                          int bits) {
  CodeBook<Word, n_points> book{};
  for (size_t i = 0; i < n_points; ++i) {
    for (size_t j = 0; j < sizeof(Word); ++j) {
      const int level = (packed[i] >> (bits * j)) & ((1 << bits) - 1);
      book.points[i] |= static_cast<Word>(static_cast<uint8_t>(levels[level])) << (8 * j);
    }
  }
  return book;
}

/// Nibbles 0, 2, 1, 3 of a point are those of bytes 0 .. 3: of each, `bits` bits of every fourth level.
template <size_t n_points>
constexpr CodeBook<uint16_t, n_points> number(const uint16_t (&packed)[n_points], int bits) {
  constexpr int kByteOf[4] = {0, 2, 1, 3};
  CodeBook<uint16_t, n_points> book{};
  for (size_t i = 0; i < n_points; ++i)
    for (int nibble = 0; nibble < 4; ++nibble)
      for (int j = kByteOf[nibble], shift = 4 * nibble; bits * j < 16; j += 4, shift += bits) {
        const int level = (packed[i] >> (bits * j)) & ((1 << bits) - 1);
        book.points[i] = static_cast<uint16_t>(book.points[i] | level << shift);
      }
  return book;
}

}  // namespace

constexpr CodeBook<uint64_t, 2048> kIq1Grid = expand<uint64_t>(kPackedIq1, kIq1Levels, 2);
constexpr CodeBook<uint64_t, 256> kIq2xxsGrid = expand<uint64_t>(kPackedIq2xxs, kIq2Levels, 2);
constexpr CodeBook<uint64_t, 512> kIq2xsGrid = expand<uint64_t>(kPackedIq2xs, kIq2Levels, 2);
constexpr CodeBook<uint64_t, 1024> kIq2sGrid = expand<uint64_t>(kPackedIq2s, kIq2Levels, 2);
constexpr CodeBook<uint32_t, 256> kIq3xxsGrid = expand<uint32_t>(kPackedIq3xxs, kIq3xxsLevels, 3);
constexpr CodeBook<uint32_t, 512> kIq3sGrid = expand<uint32_t>(kPackedIq3s, kIq3sLevels, 3);

constexpr CodeBook<uint16_t, 256> kIq2xxsNumbers = number(kPackedIq2xxs, 2);
constexpr CodeBook<uint16_t, 512> kIq2xsNumbers = number(kPackedIq2xs, 2);
constexpr CodeBook<uint16_t, 1024> kIq2sNumbers = number(kPackedIq2s, 2);
constexpr CodeBook<uint16_t, 256> kIq3xxsNumbers = number(kPackedIq3xxs, 3);
constexpr CodeBook<uint16_t, 512> kIq3sNumbers = number(kPackedIq3s, 3);

namespace {

using scalar::Unpacked;

// -------------------------------------------------------------------------------------------- IQ2, IQ3:
// signs

/// A point's coordinates, negated where their bit of `signs` is set.
template <class Word>
void put_signed(Word point, uint32_t signs, int8_t* quants) {
  for (size_t j = 0; j < sizeof(Word); ++j) {
    const int coordinate = static_cast<int>((point >> (8 * j)) & 255u);
    quants[j] = static_cast<int8_t>((signs >> j) & 1u ? -coordinate : coordinate);
  }
}

uint32_t load_u32(const uint8_t* bytes) {
  uint32_t word;
  memcpy(&word, bytes, sizeof word);
  return word;
}

/// The scales of IQ2_XS and IQ2_S: nibbles, one for each 16 values.
void unpack_iq2_scales(float d, const uint8_t* nibbles, float* scales) {
  for (int s = 0; s < 16; ++s) {
    const int scale = (nibbles[s / 2] >> (s % 2 * 4)) & 15;
    scales[s] = d * (static_cast<float>(scale) + 0.5f) * 0.25f;
  }
}

void unpack_iq2_xxs(const BlockIQ2_XXS& block, Unpacked<BlockIQ2_XXS>& out) {
  const float d = f16_to_f32(block.d);
  for (int s = 0; s < 8; ++s) {
    const uint8_t* numbers = block.qs + 8 * s;
    const uint32_t signs_and_scale = load_u32(numbers + 4);
    out.scales[s] = d * (static_cast<float>(signs_and_scale >> 28) + 0.5f) * 0.25f;
    for (int k = 0; k < 4; ++k) {
      const uint32_t seven_bits = (signs_and_scale >> (7 * k)) & 127u;
      put_signed(kIq2xxsGrid.points[numbers[k]], even_signs(seven_bits), out.quants + 32 * s + 8 * k);
    }
  }
}

void unpack_iq2_xs(const BlockIQ2_XS& block, Unpacked<BlockIQ2_XS>& out) {
  unpack_iq2_scales(f16_to_f32(block.d), block.scales, out.scales);
  for (int k = 0; k < 32; ++k)
    put_signed(kIq2xsGrid.points[block.qs[k] & 511], even_signs(block.qs[k] >> 9), out.quants + 8 * k);
}

void unpack_iq2_s(const BlockIQ2_S& block, Unpacked<BlockIQ2_S>& out) {
  unpack_iq2_scales(f16_to_f32(block.d), block.scales, out.scales);
  for (int k = 0; k < 32; ++k) {
    const int high = (block.qh[k / 4] >> (k % 4 * 2)) & 3;
    put_signed(kIq2sGrid.points[block.qs[k] | (high << 8)], block.signs[k], out.quants + 8 * k);
  }
}

void unpack_iq3_xxs(const BlockIQ3_XXS& block, Unpacked<BlockIQ3_XXS>& out) {
  const float d = f16_to_f32(block.d);
  for (int s = 0; s < 8; ++s) {
    const uint32_t signs_and_scale = load_u32(block.signs + 4 * s);
    out.scales[s] = d * (static_cast<float>(signs_and_scale >> 28) + 0.5f) * 0.5f;
    for (int k = 0; k < 8; ++k) {
      const uint8_t signs = even_signs((signs_and_scale >> (k / 2 * 7)) & 127u);
      put_signed(kIq3xxsGrid.points[block.qs[8 * s + k]], signs >> (k % 2 * 4), out.quants + 32 * s + 4 * k);
    }
  }
}

void unpack_iq3_s(const BlockIQ3_S& block, Unpacked<BlockIQ3_S>& out) {
  const float d = f16_to_f32(block.d);
  for (int s = 0; s < 8; ++s) {
    const int scale = (block.scales[s / 2] >> (s % 2 * 4)) & 15;
    out.scales[s] = d * static_cast<float>(2 * scale + 1);
  }
  for (int k = 0; k < 64; ++k) {
    const int high = (block.qh[k / 8] >> (k % 8)) & 1;
    const uint32_t signs = static_cast<uint32_t>(block.signs[k / 2]) >> (k % 2 * 4);
    put_signed(kIq3sGrid.points[block.qs[k] | (high << 8)], signs, out.quants + 4 * k);
  }
}

// ------------------------------------------------------------------------------------------------ IQ1:
// shifts

/// Eight times (grid point +- 1/8), so that it is an integer.
void put_shifted(uint64_t point, bool down, int8_t* quants) {
  for (int j = 0; j < 8; ++j) {
    const int coordinate = static_cast<int8_t>(point >> (8 * j));
    quants[j] = static_cast<int8_t>(8 * coordinate + (down ? -1 : 1));
  }
}

void unpack_iq1_s(const BlockIQ1_S& block, Unpacked<BlockIQ1_S>& out) {
  const float d = f16_to_f32(block.d);
  for (int s = 0; s < 8; ++s) {
    const int qh = block.qh[s];
    out.scales[s] = d * static_cast<float>(2 * ((qh >> 12) & 7) + 1) * 0.125f;
    for (int k = 0; k < 4; ++k) {
      const int number = block.qs[4 * s + k] | (((qh >> (3 * k)) & 7) << 8);
      put_shifted(kIq1Grid.points[number], (qh & 0x8000) != 0, out.quants + 32 * s + 8 * k);
    }
  }
}

void unpack_iq1_m(const BlockIQ1_M& block, Unpacked<BlockIQ1_M>& out) {
  uint32_t d_bits = 0;
  for (int i = 0; i < 4; ++i) d_bits |= static_cast<uint32_t>(block.scales[i] >> 12) << (4 * i);
  const float d = f16_to_f32(static_cast<uint16_t>(d_bits));
  for (int s = 0; s < 16; ++s) {
    const int scale = (block.scales[s / 4] >> (s % 4 * 3)) & 7;
    out.scales[s] = d * static_cast<float>(2 * scale + 1) * 0.125f;
  }
  for (int k = 0; k < 32; ++k) {
    const int high = block.qh[k / 2] >> (k % 2 * 4);
    const int number = block.qs[k] | ((high & 7) << 8);
    put_shifted(kIq1Grid.points[number], (high & 8) != 0, out.quants + 8 * k);
  }
}

// ------------------------------------------------------------------------------------------------ IQ4:
// levels

void put_levels(const uint8_t* nibbles, int8_t* quants) {
  for (int j = 0; j < 16; ++j) {
    quants[j] = kIq4Values[nibbles[j] & 15];
    quants[j + 16] = kIq4Values[nibbles[j] >> 4];
  }
}

void unpack_iq4_nl(const BlockIQ4_NL& block, Unpacked<BlockIQ4_NL>& out) {
  put_levels(block.qs, out.quants);
  out.scales[0] = f16_to_f32(block.d);
}

void unpack_iq4_xs(const BlockIQ4_XS& block, Unpacked<BlockIQ4_XS>& out) {
  const float d = f16_to_f32(block.d);
  for (int s = 0; s < 8; ++s) {
    const int low = (block.scales_l[s / 2] >> (s % 2 * 4)) & 15;
    const int high = (block.scales_h >> (2 * s)) & 3;
    out.scales[s] = d * static_cast<float>((low | (high << 4)) - 32);
    put_levels(block.qs + 16 * s, out.quants + 32 * s);
  }
}

}  // namespace

const Definition kIQ1_SDefinition = scalar::define<BlockIQ1_S, unpack_iq1_s>();
const Definition kIQ1_MDefinition = scalar::define<BlockIQ1_M, unpack_iq1_m>();
const Definition kIQ2_XXSDefinition = scalar::define<BlockIQ2_XXS, unpack_iq2_xxs>();
const Definition kIQ2_XSDefinition = scalar::define<BlockIQ2_XS, unpack_iq2_xs>();
const Definition kIQ2_SDefinition = scalar::define<BlockIQ2_S, unpack_iq2_s>();
const Definition kIQ3_XXSDefinition = scalar::define<BlockIQ3_XXS, unpack_iq3_xxs>();
const Definition kIQ3_SDefinition = scalar::define<BlockIQ3_S, unpack_iq3_s>();
const Definition kIQ4_NLDefinition = scalar::define<BlockIQ4_NL, unpack_iq4_nl>();
const Definition kIQ4_XSDefinition = scalar::define<BlockIQ4_XS, unpack_iq4_xs>();

}  // namespace ruvllm::kernels
