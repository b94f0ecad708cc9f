#include "kernels/neighbours.h"

#include "kernels/formats/iquants.h"

#include <algorithm>
#include <vector>

namespace ruvllm::kernels {
namespace {

/// A built table with the memory it points into.
struct Table {
  Neighbours neighbours;
  std::vector<int8_t> points;
  std::vector<uint16_t> numbers;
};

/// `levels`: a coordinate's values in ascending order.
template <class Word, size_t n_points>
Table build(const CodeBook<Word, n_points>& book, std::vector<int> levels, float per_level, float offset) {
  constexpr int dimensions = sizeof(Word);
  const int n_levels = static_cast<int>(levels.size());
  size_t n_cells = 1;
  for (int d = 0; d < dimensions; ++d) n_cells *= levels.size();

  Table table;
  table.points.resize(n_cells * dimensions * Neighbours::kListed);
  table.numbers.resize(n_cells * Neighbours::kListed);
  std::vector<uint32_t> by_distance(n_points);  // distance << 12 | number
  for (size_t cell = 0; cell < n_cells; ++cell) {
    int centre[dimensions];
    size_t rest = cell;
    for (int& coordinate : centre) {
      coordinate = levels[rest % levels.size()];
      rest /= levels.size();
    }
    for (size_t number = 0; number < n_points; ++number) {
      uint32_t distance = 0;
      for (int d = 0; d < dimensions; ++d) {
        const int miss = static_cast<int8_t>(book.points[number] >> (8 * d)) - centre[d];
        distance += static_cast<uint32_t>(miss * miss);
      }
      by_distance[number] = distance << 12 | static_cast<uint32_t>(number);
    }
    std::partial_sort(by_distance.begin(), by_distance.begin() + Neighbours::kListed, by_distance.end());
    for (int k = 0; k < Neighbours::kListed; ++k) {
      const uint32_t number = by_distance[static_cast<size_t>(k)] & 0xfffu;
      table.numbers[cell * Neighbours::kListed + static_cast<size_t>(k)] = static_cast<uint16_t>(number);
      for (int d = 0; d < dimensions; ++d)
        table.points[(cell * dimensions + static_cast<size_t>(d)) * Neighbours::kListed +
                     static_cast<size_t>(k)] = static_cast<int8_t>(book.points[number] >> (8 * d));
    }
  }
  table.neighbours = {dimensions,
                      n_levels,
                      per_level,
                      offset,
                      static_cast<float>(levels.back()),
                      table.points.data(),
                      table.numbers.data()};
  return table;
}

const std::vector<int> kIq2 = {8, 25, 43};

}  // namespace

const Neighbours& neighbours_of(GridName grid) {
  switch (grid) {
    case GridName::iq1: {
      static const Table table = build(kIq1Grid, {-1, 0, 1}, 1.0f, 1.5f);
      return table.neighbours;
    }
    case GridName::iq2_xxs: {
      static const Table table = build(kIq2xxsGrid, kIq2, 1.0f / 17.2f, 0.0f);
      return table.neighbours;
    }
    case GridName::iq2_xs: {
      static const Table table = build(kIq2xsGrid, kIq2, 1.0f / 17.2f, 0.0f);
      return table.neighbours;
    }
    case GridName::iq2_s: {
      static const Table table = build(kIq2sGrid, kIq2, 1.0f / 17.2f, 0.0f);
      return table.neighbours;
    }
    case GridName::iq3_xxs: {
      static const Table table = build(kIq3xxsGrid, {4, 12, 20, 28, 36, 44, 52, 62}, 1.0f / 8.0f, 0.0f);
      return table.neighbours;
    }
    case GridName::iq3_s: {
      static const Table table = build(kIq3sGrid, {1, 3, 5, 7, 9, 11, 13, 15}, 1.0f / 2.0f, 0.0f);
      return table.neighbours;
    }
  }
  __builtin_unreachable();
}

}  // namespace ruvllm::kernels
