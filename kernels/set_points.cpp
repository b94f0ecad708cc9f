#include "kernels/set_points.h"

#include "kernels/formats/iquants.h"
#include "kernels/neighbours.h"

#include <string.h>

#include <algorithm>
#include <vector>

namespace ruvllm::kernels {
namespace {

// ------------------------------------------------------------------------------------------------ numbers

/// Places in a code book, by point.
template <class Word, size_t n_points>
class Index {
 public:
  explicit Index(const CodeBook<Word, n_points>& book) {
    for (size_t i = 0; i < n_points; ++i) entries_.push_back({book.points[i], static_cast<int>(i)});
    std::sort(entries_.begin(), entries_.end());
  }
  int number_of(Word point) const {
    return std::lower_bound(entries_.begin(), entries_.end(), std::pair<Word, int>(point, 0))->second;
  }

 private:
  std::vector<std::pair<Word, int>> entries_;
};

/// The number of the point whose coordinates are the magnitudes of `quants`, and their signs, a bit each.
struct Signed {
  int number;
  uint32_t signs;
};

template <class Word, size_t n_points>
Signed find_signed(const CodeBook<Word, n_points>& book, const int8_t* quants) {
  static const Index<Word, n_points> index(book);  // one book has each pair of types
  Word point = 0;
  uint32_t signs = 0;
  for (size_t j = 0; j < sizeof(Word); ++j) {
    const int quant = quants[j];
    point |= static_cast<Word>(quant < 0 ? -quant : quant) << (8 * j);
    signs |= static_cast<uint32_t>(quant < 0) << j;
  }
  return {index.number_of(point), signs};
}

/// Quants are eight times (coordinate +- 1/8).
bool is_down(int8_t quant) { return (quant & 7) == 7; }

int find_shifted(const int8_t* quants) {
  static const Index<uint64_t, 2048> index(kIq1Grid);
  uint64_t point = 0;
  for (size_t j = 0; j < 8; ++j) {
    const int coordinate = (quants[j] + (is_down(quants[j]) ? 1 : -1)) / 8;
    point |= static_cast<uint64_t>(static_cast<uint8_t>(static_cast<int8_t>(coordinate))) << (8 * j);
  }
  return index.number_of(point);
}

void put_bits(uint8_t& byte, int shift, int mask, int bits) {
  byte = static_cast<uint8_t>((byte & ~(mask << shift)) | (bits & mask) << shift);
}

/// Seven bits of signs at `shift` of a word; the scale above them stays.
void put_signs(uint8_t* bytes, int shift, uint32_t signs) {
  uint32_t word;
  memcpy(&word, bytes, sizeof word);
  word = (word & ~(127u << shift)) | (signs & 127u) << shift;
  memcpy(bytes, &word, sizeof word);
}

// One function a format: group k of a block becomes these quants.
void put(BlockIQ2_XXS& block, int k, const int8_t* quants) {
  const Signed found = find_signed(kIq2xxsGrid, quants);
  uint8_t* run = block.qs + k / 4 * 8;
  run[k % 4] = static_cast<uint8_t>(found.number);
  put_signs(run + 4, k % 4 * 7, found.signs);
}
void put(BlockIQ2_XS& block, int k, const int8_t* quants) {
  const Signed found = find_signed(kIq2xsGrid, quants);
  block.qs[k] = static_cast<uint16_t>(found.number | static_cast<int>(found.signs & 127u) << 9);
}
void put(BlockIQ2_S& block, int k, const int8_t* quants) {
  const Signed found = find_signed(kIq2sGrid, quants);
  block.qs[k] = static_cast<uint8_t>(found.number);
  put_bits(block.qh[k / 4], k % 4 * 2, 3, found.number >> 8);
  block.signs[k] = static_cast<uint8_t>(found.signs);
}
void put(BlockIQ3_XXS& block, int k, const int8_t* quants) {
  const Signed low = find_signed(kIq3xxsGrid, quants), high = find_signed(kIq3xxsGrid, quants + 4);
  block.qs[2 * k] = static_cast<uint8_t>(low.number);
  block.qs[2 * k + 1] = static_cast<uint8_t>(high.number);
  put_signs(block.signs + k / 4 * 4, k % 4 * 7, low.signs | high.signs << 4);
}
void put(BlockIQ3_S& block, int k, const int8_t* quants) {
  const Signed found = find_signed(kIq3sGrid, quants);
  block.qs[k] = static_cast<uint8_t>(found.number);
  put_bits(block.qh[k / 8], k % 8, 1, found.number >> 8);
  put_bits(block.signs[k / 2], k % 2 * 4, 15, static_cast<int>(found.signs));
}
void put(BlockIQ1_S& block, int k, const int8_t* quants) {
  const int number = find_shifted(quants);
  block.qs[k] = static_cast<uint8_t>(number);
  uint16_t& qh = block.qh[k / 4];
  const int shift = k % 4 * 3;
  qh = static_cast<uint16_t>((qh & ~(7 << shift)) | (number >> 8) << shift);
}
void put(BlockIQ1_M& block, int k, const int8_t* quants) {
  const int number = find_shifted(quants);
  block.qs[k] = static_cast<uint8_t>(number);
  put_bits(block.qh[k / 2], k % 2 * 4, 7, number >> 8);
}

template <class Block, int kValues>
void set_blocks(const int8_t* quants, size_t n_values, void* blocks) {
  for (size_t b = 0; b < n_values / Block::kValues; ++b) {
    char* place = static_cast<char*>(blocks) + b * sizeof(Block);
    Block block;
    memcpy(&block, place, sizeof block);
    for (int k = 0; k < Block::kValues / kValues; ++k)
      put(block, k, quants + b * Block::kValues + static_cast<size_t>(k * kValues));
    memcpy(place, &block, sizeof block);
  }
}

// ----------------------------------------------------------------------------------------------- neighbours

/// A format's groups.
struct Row {
  Format format;
  GridName grid;
  size_t values;    ///< that are chosen at once
  bool has_signs;   ///< beside the point
  bool even_signs;  ///< and of an even number of minuses
  void (*set)(const int8_t* quants, size_t n_values, void* blocks);
};

constexpr Row kRows[] = {
    {Format::IQ1_S, GridName::iq1, 8, false, false, set_blocks<BlockIQ1_S, 8>},
    {Format::IQ1_M, GridName::iq1, 8, false, false, set_blocks<BlockIQ1_M, 8>},
    {Format::IQ2_XXS, GridName::iq2_xxs, 8, true, true, set_blocks<BlockIQ2_XXS, 8>},
    {Format::IQ2_XS, GridName::iq2_xs, 8, true, true, set_blocks<BlockIQ2_XS, 8>},
    {Format::IQ2_S, GridName::iq2_s, 8, true, false, set_blocks<BlockIQ2_S, 8>},
    {Format::IQ3_XXS, GridName::iq3_xxs, 8, true, true, set_blocks<BlockIQ3_XXS, 8>},
    {Format::IQ3_S, GridName::iq3_s, 4, true, false, set_blocks<BlockIQ3_S, 4>},
};

const Row* find_row(Format format) {
  for (const Row& row : kRows)
    if (row.format == format) return &row;
  return nullptr;
}

/// Signs that are tried where the number of minuses has to change: of the values nearest to zero.
constexpr size_t kFlips = 3;
/// Points of each half that are tried with each other, where a group is two points.
constexpr size_t kOfHalf = 6;

/// The points around `target`, (coordinates) of a grid's dimensions each.
const int8_t* listed_points(const Neighbours& near, const float* target) {
  size_t cell = 0;
  for (int j = near.dimensions - 1; j >= 0; --j) {
    const float level = target[j] * near.per_level + near.offset;
    const float highest = static_cast<float>(near.n_levels - 1);
    const float clamped = level < highest ? (level > 0.0f ? level : 0.0f) : highest;
    cell = cell * static_cast<size_t>(near.n_levels) + static_cast<size_t>(clamped);
  }
  return near.points + cell * static_cast<size_t>(near.dimensions) * Neighbours::kListed;
}

/// Puts coordinate j of listed point k, made a quant.
int8_t coordinate(const int8_t* points, size_t j, size_t k) {
  return points[j * static_cast<size_t>(Neighbours::kListed) + k];
}

/// A group's points and its signs (a factor of 1 or -1 for each value).
size_t put_near(const Neighbours& near, const float* magnitudes, const int8_t* factors, int8_t* quants) {
  const int8_t* points = listed_points(near, magnitudes);
  const size_t dimensions = static_cast<size_t>(near.dimensions);
  for (size_t k = 0; k < Neighbours::kListed; ++k)
    for (size_t j = 0; j < dimensions; ++j)
      quants[k * dimensions + j] = static_cast<int8_t>(coordinate(points, j, k) * factors[j]);
  return Neighbours::kListed;
}

/// The numbers, among those listed, of the kOfHalf points nearest to a half of a group.
void find_nearest(const Neighbours& near, const float* magnitudes, size_t* found) {
  const int8_t* points = listed_points(near, magnitudes);
  std::pair<float, size_t> by_distance[Neighbours::kListed];
  for (size_t k = 0; k < Neighbours::kListed; ++k) {
    by_distance[k] = {0.0f, k};
    for (size_t j = 0; j < 4; ++j) {
      const float miss = static_cast<float>(coordinate(points, j, k)) - magnitudes[j];
      by_distance[k].first += miss * miss;
    }
  }
  std::partial_sort(by_distance, by_distance + kOfHalf, by_distance + Neighbours::kListed);
  for (size_t k = 0; k < kOfHalf; ++k) found[k] = by_distance[k].second;
}

/// The same for a group of two points of four.
size_t put_near_pairs(const Neighbours& near, const float* magnitudes, const int8_t* factors,
                      int8_t* quants) {
  size_t low[kOfHalf], high[kOfHalf];
  find_nearest(near, magnitudes, low);
  find_nearest(near, magnitudes + 4, high);
  const int8_t *low_points = listed_points(near, magnitudes),
               *high_points = listed_points(near, magnitudes + 4);
  for (const size_t a : low)
    for (const size_t b : high) {
      for (size_t j = 0; j < 4; ++j) {
        quants[j] = static_cast<int8_t>(coordinate(low_points, j, a) * factors[j]);
        quants[4 + j] = static_cast<int8_t>(coordinate(high_points, j, b) * factors[4 + j]);
      }
      quants += 8;
    }
  return kOfHalf * kOfHalf;
}

size_t put_near_signed(const Row& row, const float* target, int8_t* quants) {
  const Neighbours& near = neighbours_of(row.grid);
  float magnitudes[8];
  int8_t factors[8];
  int minuses = 0;
  for (size_t j = 0; j < row.values; ++j) {
    factors[j] = target[j] < 0.0f ? -1 : 1;
    minuses += target[j] < 0.0f;
    magnitudes[j] = target[j] * static_cast<float>(factors[j]);
  }
  const auto put_all = [&](int8_t* place) {
    return static_cast<size_t>(near.dimensions) < row.values
               ? put_near_pairs(near, magnitudes, factors, place)
               : put_near(near, magnitudes, factors, place);
  };
  if (!row.even_signs || minuses % 2 == 0) return put_all(quants);
  size_t by_size[8] = {0, 1, 2, 3, 4, 5, 6, 7}, n_found = 0;
  std::partial_sort(by_size, by_size + kFlips, by_size + row.values,
                    [&](size_t a, size_t b) { return magnitudes[a] < magnitudes[b]; });
  for (size_t flip = 0; flip < kFlips; ++flip) {
    const size_t j = by_size[flip];
    const auto turn = [&] {
      magnitudes[j] = -magnitudes[j];
      factors[j] = static_cast<int8_t>(-factors[j]);
    };
    turn();
    n_found += put_all(quants + n_found * row.values);
    turn();
  }
  return n_found;
}

size_t put_near_shifted(const Row& row, const float* target, const int8_t* present, int8_t* quants) {
  const Neighbours& near = neighbours_of(row.grid);
  const int shift = is_down(present[0]) ? -1 : 1;
  float coordinates[8];
  for (size_t j = 0; j < 8; ++j) coordinates[j] = (target[j] - static_cast<float>(shift)) * 0.125f;
  const int8_t* points = listed_points(near, coordinates);
  for (size_t k = 0; k < Neighbours::kListed; ++k)
    for (size_t j = 0; j < 8; ++j)
      quants[k * 8 + j] = static_cast<int8_t>(8 * coordinate(points, j, k) + shift);
  return Neighbours::kListed;
}

static_assert(kFlips * kOfHalf * kOfHalf <= kMaxNearPoints && kFlips * Neighbours::kListed <= kMaxNearPoints);

}  // namespace

size_t point_values(Format format) {
  const Row* row = find_row(format);
  return row != nullptr ? row->values : 0;
}

size_t near_points(Format format, const float* target, const int8_t* present, int8_t* quants) {
  const Row& row = *find_row(format);
  return row.has_signs ? put_near_signed(row, target, quants)
                       : put_near_shifted(row, target, present, quants);
}

void set_points(Format format, const int8_t* quants, size_t n_values, void* blocks) {
  find_row(format)->set(quants, n_values, blocks);
}

}  // namespace ruvllm::kernels
