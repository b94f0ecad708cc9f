// PIQ2 and PIQ3: their bytes, rows of any length on any grid in every instruction set, and how near encoders
// come to the best alpha that there is.
#include "kernels/piq.h"

#include <doctest/doctest.h>

#include "base/random.h"
#include "test_support.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <span>
#include <vector>

namespace ruvllm::kernels {
namespace {

constexpr Format kFormats[] = {Format::PIQ2,    Format::PIQ3,    Format::PIQ2_64,
                               Format::PIQ3_64, Format::PIQ2_32, Format::PIQ3_32};
constexpr size_t kLengths[] = {1, 7, 31, 32, 172, 255, 256, 300, 1041};

std::span<const KernelSet* const> sets() {
  size_t n = 0;
  const KernelSet* const* rows = available(&n);
  return {rows, n};
}
const GridKernels& kernels_of(const KernelSet& set, Format format) {
  return set.on_grid[static_cast<uint32_t>(format)];
}

/// Uniform grids of every k, and one of uneven levels.
std::vector<Grid> grids_of(Format format) {
  std::vector<Grid> grids;
  for (int k = 2; k <= 5; ++k) grids.push_back(uniform_grid(format, k));
  if (grid_levels(format) == 8)
    grids.push_back({{-127, -79, -44, -14, 15, 45, 79, 127}, 0.025f});
  else
    grids.push_back({{-96, -29, 30, 97, 0, 0, 0, 0}, 0.025f});
  return grids;
}

struct Row {
  std::vector<float> alphas;
  std::vector<uint8_t> codes, bytes;
};

Row random_row(Random& random, Format format, size_t n) {
  Row row;
  row.alphas.resize((n + traits(format).block_values - 1) / traits(format).block_values);
  for (float& alpha : row.alphas)
    alpha = static_cast<float>(random.below(2000) + 1) / 4096.0f;  // f16 numbers
  row.codes.resize(n);
  for (uint8_t& code : row.codes) code = static_cast<uint8_t>(random.below(grid_levels(format)));
  row.bytes.resize(row_bytes(traits(format), n));
  pack_piq_row(format, row.alphas.data(), row.codes.data(), n, row.bytes.data());
  return row;
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

std::vector<float> decode(const KernelSet& set, Format format, std::span<const uint8_t> bytes, size_t n,
                          const Grid& grid) {
  std::vector<float> values(n);
  kernels_of(set, format).decode(bytes.data(), values.data(), n, grid);
  return values;
}

double squared_error(std::span<const float> a, std::span<const float> b, std::span<const float> w) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double miss = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += static_cast<double>(w[i]) * miss * miss;
  }
  return sum;
}

std::vector<float> normals(Random& random, size_t n) {
  std::vector<float> values(n);
  for (float& value : values) value = static_cast<float>(random.normal());
  return values;
}

}  // namespace

TEST_CASE("codes lie low bits first: eight in three bytes, four in one") {
  const uint8_t codes[] = {0, 1, 2, 3, 4, 5, 6, 7};
  const float alpha = 1.0f;
  uint8_t three[5] = {}, two[4] = {};
  pack_piq_row(Format::PIQ3, &alpha, codes, 8, three);
  const uint8_t expected_three[] = {0x00, 0x3C, 0x88, 0xC6, 0xFA};
  CHECK(std::memcmp(three, expected_three, 5) == 0);
  pack_piq_row(Format::PIQ2_32, &alpha, codes, 4, two);
  const uint8_t expected_two[] = {0x00, 0x3C, 0xE4};
  CHECK(std::memcmp(two, expected_two, 3) == 0);
  float values[8];
  active()[Format::PIQ3].decode(three, values, 8);
  for (int i = 0; i < 8; ++i)
    CHECK(values[i] == static_cast<float>(std::numbers::pi / 4) * static_cast<float>(i - 4));
}

TEST_CASE("a row takes what its blocks take, and the last one only what it needs") {
  CHECK(row_bytes(traits(Format::PIQ3), 512) == 2 * 98);
  CHECK(row_bytes(traits(Format::PIQ2), 512) == 2 * 66);
  CHECK(row_bytes(traits(Format::PIQ3), 172) == 2 + 22 * 3);
  CHECK(row_bytes(traits(Format::PIQ2), 172) == 2 + 43);
  CHECK(row_bytes(traits(Format::PIQ3_64), 172) == 2 * 26 + 2 + 6 * 3);
  CHECK(row_bytes(traits(Format::PIQ3), 1) == 5);
}

TEST_CASE("rows of any length decode to alpha * unit * level, alike in every instruction set") {
  Random random(test::test_seed());
  for (const Format format : kFormats)
    for (const size_t n : kLengths)
      for (const Grid& grid : grids_of(format)) {
        const Row row = random_row(random, format, n);
        std::vector<float> expected(n);
        for (size_t i = 0; i < n; ++i)
          expected[i] = row.alphas[i / traits(format).block_values] * grid.unit *
                        static_cast<float>(grid.levels[row.codes[i]]);
        for (const KernelSet* set : sets()) {
          INFO(traits(format).name, " ", set->name, " ", n);
          REQUIRE(same_bits(decode(*set, format, row.bytes, n, grid), expected));
        }
      }
}

TEST_CASE("products of any shape and grid are alike in every instruction set, and panels give rows back") {
  Random random(test::test_seed());
  constexpr size_t n_weights = 37, n_panels = 3;
  for (const Format format : kFormats)
    for (const size_t n : kLengths) {
      const Traits& shape = traits(format);
      const size_t bytes = row_bytes(shape, n),
                   panel_bytes = 16 * row_bytes(shape, activation_blocks(n) * 32);
      std::vector<uint8_t> rows, panels(n_panels * panel_bytes, 0xEE);
      for (size_t i = 0; i < n_weights; ++i) {
        const Row row = random_row(random, format, n);
        rows.insert(rows.end(), row.bytes.begin(), row.bytes.end());
      }
      for (size_t p = 0; p < n_panels; ++p)
        active()[format].interleave(&rows[p * 16 * bytes], bytes, std::min<size_t>(16, n_weights - 16 * p), n,
                                    &panels[p * panel_bytes]);
      std::vector<uint8_t> back(bytes);
      for (size_t i = 0; i < n_weights; ++i) {
        extract_piq_row(format, &panels[i / 16 * panel_bytes], i % 16, n, back.data());
        REQUIRE(std::memcmp(back.data(), &rows[i * bytes], bytes) == 0);
      }

      constexpr size_t n_rows = 8;
      const std::vector<float> x = normals(random, n_rows * n);
      std::vector<ActivationBlock> blocks(n_rows * activation_blocks(n));
      std::vector<WideActivationBlock> wide(blocks.size());
      for (size_t row = 0; row < n_rows; ++row) {
        active().quantise(&x[row * n], n, &blocks[first_block_of(n, row)], group_rows(n_rows, row));
        active().quantise_wide(&x[row * n], n, &wide[first_block_of(n, row)], group_rows(n_rows, row));
      }
      const Activations narrow = {n_rows, n, nullptr, nullptr, blocks.data(), nullptr},
                        exact = {n_rows, n, nullptr, nullptr, nullptr, wide.data()};
      for (const Grid& grid : grids_of(format)) {
        std::vector<float> weights;
        for (size_t i = 0; i < n_weights; ++i) {
          const auto row = decode(*sets()[0], format, std::span(rows).subspan(i * bytes, bytes), n, grid);
          weights.insert(weights.end(), row.begin(), row.end());
        }
        for (const Activations& activations : {narrow, exact}) {
          std::vector<float> expected;
          for (const KernelSet* set : sets()) {
            INFO(shape.name, " ", set->name, " ", n);
            std::vector<char> scratch(set->matmul_scratch_bytes(n, n_rows) + 64);
            char* aligned = scratch.data() + (64 - reinterpret_cast<uintptr_t>(scratch.data()) % 64) % 64;
            std::vector<float> out(n_rows * n_panels * 16);
            kernels_of(*set, format)
                .matmul(panels.data(), panel_bytes, n_panels, activations, out.data(), n_panels * 16, aligned,
                        grid);
            if (expected.empty()) expected = out;
            REQUIRE(same_bits(out, expected));
          }
          const double tolerance = activations.blocks != nullptr ? 2e-2 : 1e-4;
          for (size_t row = 0; row < n_rows; ++row)
            for (size_t i = 0; i < n_weights; ++i) {
              double sum = 0, size = 0;
              for (size_t j = 0; j < n; ++j) {
                const double product =
                    static_cast<double>(x[row * n + j]) * static_cast<double>(weights[i * n + j]);
                sum += product;
                size += std::fabs(product);
              }
              REQUIRE(std::fabs(static_cast<double>(expected[row * 48 + i]) - sum) <=
                      tolerance * size + 1e-9);
            }
        }
      }
    }
}

TEST_CASE("every instruction set encodes the same bytes, and none finds a worse alpha than a fine comb") {
  Random random(test::test_seed());
  for (const Format format : kFormats)
    for (const size_t n : {size_t{13}, size_t{172}, size_t{256}})
      for (const Grid& grid : {grids_of(format).front(), grids_of(format).back()}) {
        const Traits& shape = traits(format);
        INFO(shape.name, " ", n);
        const size_t n_block = std::min(n, shape.block_values);
        std::vector<float> values = normals(random, n), importance(n);
        values[n / 2] *= 4.0f;
        for (float& weight : importance) weight = static_cast<float>(random.uniform());
        std::vector<uint8_t> expected;
        for (const KernelSet* set : sets()) {
          std::vector<uint8_t> bytes(row_bytes(shape, n), 0xEE);
          kernels_of(*set, format)
              .encode(values.data(), importance.data(), n, bytes.data(), grid, Search::best);
          if (expected.empty()) expected = bytes;
          REQUIRE(bytes == expected);
        }
        std::vector<float> alphas((n + shape.block_values - 1) / shape.block_values);
        unpack_piq_row(format, expected.data(), n, alphas.data(), nullptr);
        for (const float alpha : alphas) CHECK(alpha > 0.0f);

        // The first block: two thousand alphas, each with the codes nearest.
        const std::vector<float> decoded = decode(active(), format, expected, n, grid);
        const double found = squared_error(std::span(decoded).first(n_block), values, importance);
        double best = 1e30;
        for (int i = 1; i <= 2000; ++i) {
          const float step = alphas[0] * grid.unit * 0.0015f * static_cast<float>(i);
          double sum = 0;
          for (size_t j = 0; j < n_block; ++j) {
            const int code = nearest_code(grid, grid_levels(format), values[j] / step);
            const double miss =
                static_cast<double>(values[j]) - static_cast<double>(step * grid.levels[code]);
            sum += static_cast<double>(importance[j]) * miss * miss;
          }
          best = std::min(best, sum);
        }
        CHECK(found <= 1.01 * best);
      }
}

TEST_CASE("Gaussian weights lose what a searched uniform grid loses") {
  Random random(test::test_seed());
  const std::vector<float> values = normals(random, 256 * 64), ones(values.size(), 1.0f);
  struct Case {
    Format format;
    double most;  // error / variance
  };
  for (const Case& c :
       {Case{Format::PIQ3, 0.0385}, Case{Format::PIQ2, 0.147}, Case{Format::PIQ3_32, 0.031}}) {
    std::vector<uint8_t> bytes(row_bytes(traits(c.format), values.size()));
    active().encode[static_cast<uint32_t>(c.format)](values.data(), nullptr, values.size(), bytes.data(),
                                                     Search::fast);
    const auto decoded = decode(active(), c.format, bytes, values.size(), uniform_grid(c.format));
    CHECK(squared_error(decoded, values, ones) / static_cast<double>(values.size()) < c.most);
  }
}

}  // namespace ruvllm::kernels
