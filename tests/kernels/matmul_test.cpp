// Every format's product in every instruction set: scalar against a naive sum in double, the others against
// scalar to the bit, for one activation row and for many, at odd sizes and extremes.
#include <doctest/doctest.h>

#include "base/random.h"
#include "kernels/formats/floats.h"
#include "kernels/kernels.h"
#include "test_support.h"

#include <cmath>
#include <cstring>
#include <span>
#include <vector>

namespace ruvllm::kernels {
namespace {

std::span<const Traits> formats() {
  size_t n = 0;
  const Traits* rows = all_formats(&n);
  return {rows, n};
}

std::span<const KernelSet* const> sets() {
  size_t n = 0;
  const KernelSet* const* rows = available(&n);
  return {rows, n};
}

const KernelSet& scalar() { return *sets()[0]; }

/// Random bytes are valid blocks of every format, but for scales that are no finite numbers: those are made
/// small.
std::vector<uint8_t> random_rows(Random& random, const Traits& shape, size_t n_rows, size_t n_columns) {
  std::vector<uint8_t> bytes(n_rows * n_columns / shape.block_values * shape.block_bytes);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.next());
  std::vector<float> values(shape.block_values);
  for (size_t at = 0; at < bytes.size(); at += shape.block_bytes) {
    for (;;) {
      scalar()[shape.format].decode(&bytes[at], values.data(), values.size());
      bool all_finite = true;
      for (float value : values) all_finite &= std::isfinite(value) && std::fabs(value) < 1e20f;
      if (all_finite) break;
      for (size_t i = 0; i < shape.block_bytes; ++i) bytes[at + i] = static_cast<uint8_t>(random.next());
    }
  }
  return bytes;
}

struct Case {
  size_t n_weights, n_columns, n_rows;
  bool is_wide = false;  ///< 16-bit activations, f32 for 16-bit weights
};

/// Weights in panels and activations, as lib/tensor prepares them.
struct Problem {
  Case size;
  const Traits& shape;
  std::vector<uint8_t> rows;
  std::vector<uint8_t> panels;
  size_t row_bytes, panel_bytes, n_panels;
  std::vector<float> values;
  std::vector<float> groups;
  std::vector<uint32_t> pairs;
  std::vector<ActivationBlock> blocks;
  std::vector<WideActivationBlock> wide_blocks;

  Problem(const Traits& format, const Case& case_size, Random& random) : size(case_size), shape(format) {
    rows = random_rows(random, shape, size.n_weights, size.n_columns);
    row_bytes = size.n_columns / shape.block_values * shape.block_bytes;
    panel_bytes = panel_columns(shape, size.n_columns) / shape.block_values * shape.block_bytes * kPanelRows;
    n_panels = (size.n_weights + kPanelRows - 1) / kPanelRows;
    interleave();
    values.resize(size.n_rows * size.n_columns);
    for (float& value : values) value = static_cast<float>(random.normal());
    for (size_t i = 0; i < values.size() && i < 32; ++i) values[i] = 0.0f;  // a block without a scale
    for (size_t i = 32; i < values.size() && i < 64; ++i)
      values[i] = i % 2 ? 1e4f : -1e4f;  // every quant at its limit
  }

  void interleave() {
    panels.assign(panel_bytes * n_panels, 0xEE);
    for (size_t p = 0; p < n_panels; ++p) {
      const size_t n = std::min(kPanelRows, size.n_weights - p * kPanelRows);
      scalar()[shape.format].interleave(&rows[p * kPanelRows * row_bytes], row_bytes, n, size.n_columns,
                                        &panels[p * panel_bytes]);
    }
  }

  /// Floats in groups, as lib/tensor lays them out.
  Activations grouped(size_t first_row, size_t n) {
    const size_t n_columns = size.n_columns, n_pairs = activation_pairs(n_columns);
    groups.resize(n * n_columns);
    pairs.resize(n * n_pairs);
    for (size_t row = 0; row < n; row += kGroupRows) {
      const float* from = &values[(first_row + row) * n_columns];
      scalar().group_values(from, group_rows(n, row), n_columns, &groups[row * n_columns]);
      scalar().group_pairs(from, group_rows(n, row), n_columns, &pairs[row * n_pairs]);
    }
    Activations x = {n, n_columns, groups.data()};
    if (is_rounded()) x.pairs = pairs.data();
    return x;
  }
  /// Rows as integers, in groups as lib/tensor lays them out.
  Activations activations(size_t first_row, size_t n) {
    const size_t n_columns = size.n_columns;
    if (!shape.is_quantised) return grouped(first_row, n);
    Activations x = {n, n_columns};
    blocks.resize(n * n_columns / 32);
    wide_blocks.resize(n * n_columns / 32);
    for (size_t row = 0; row < n; ++row) {
      const size_t at = first_block_of(n_columns, row), stride = group_rows(n, row);
      const float* from = &values[(first_row + row) * n_columns];
      scalar().quantise(from, n_columns, &blocks[at], stride);
      scalar().quantise_wide(from, n_columns, &wide_blocks[at], stride);
    }
    x.blocks = size.is_wide ? nullptr : blocks.data();
    x.wide_blocks = size.is_wide ? wide_blocks.data() : nullptr;
    return x;
  }

  /// All results, computed in chunks of `chunk` activation rows, `panel_chunk` panels at a time.
  std::vector<float> multiply(const KernelSet& set, size_t chunk, size_t panel_chunk) {
    const size_t stride = n_panels * kPanelRows + 3;
    std::vector<float> out(size.n_rows * stride, -77.0f);
    std::vector<char> scratch(set.matmul_scratch_bytes(size.n_columns, chunk) + 64);
    char* aligned = scratch.data() + (64 - reinterpret_cast<uintptr_t>(scratch.data()) % 64) % 64;
    for (size_t row = 0; row < size.n_rows; row += chunk)
      for (size_t p = 0; p < n_panels; p += panel_chunk)
        set[shape.format].matmul(&panels[p * panel_bytes], panel_bytes, std::min(panel_chunk, n_panels - p),
                                 activations(row, std::min(chunk, size.n_rows - row)),
                                 &out[row * stride + p * kPanelRows], stride, aligned);
    return out;
  }

  /// Weights and activations meet as bf16.
  bool is_rounded() const { return shape.is_paired && !size.is_wide; }
  double weight(float value) const { return is_rounded() ? bf16_to_f32(f32_to_bf16(value)) : value; }
  /// Rounded activations as what they stand for.
  double activation(size_t at) const {
    if (is_rounded()) return bf16_to_f32(f32_to_bf16(values[at]));
    if (!shape.is_quantised) return values[at];
    ActivationBlock block;
    WideActivationBlock wide;
    const float* from = &values[at / 32 * 32];
    scalar().quantise(from, 32, &block, 1);
    scalar().quantise_wide(from, 32, &wide, 1);
    if (!size.is_wide) return static_cast<double>(block.quants[at % 32]) * block.scale;
    return (256.0 * wide.high.quants[at % 32] + wide.low[at % 32]) * wide.high.scale;
  }
};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

size_t fitting_columns(const Traits& shape, size_t wanted) {
  return (wanted + shape.block_values - 1) / shape.block_values * shape.block_values;
}

}  // namespace

TEST_CASE("the scalar product of every format is the sum of products, up to rounding") {
  Random random(test::test_seed());
  for (const Traits& shape : formats()) {
    for (bool is_wide : {false, true}) {
      Problem problem(shape, {19, fitting_columns(shape, 288), 3, is_wide}, random);
      const std::vector<float> out = problem.multiply(scalar(), 3, 2);
      const size_t n = problem.size.n_columns;
      std::vector<float> weights(19 * n);
      scalar()[shape.format].decode(problem.rows.data(), weights.data(), weights.size());
      for (size_t row = 0; row < 3; ++row)
        for (size_t i = 0; i < 19; ++i) {
          double sum = 0, size = 0;
          for (size_t k = 0; k < n; ++k) {
            const double product = problem.activation(row * n + k) * problem.weight(weights[i * n + k]);
            sum += product;
            size += std::fabs(product);
          }
          INFO(shape.name, " row ", row, " weight ", i);
          REQUIRE(std::fabs(out[row * (32 + 3) + i] - sum) <= 1e-6 * size + 1e-30);
        }
      for (size_t row = 0; row < 3; ++row)
        for (size_t i = 19; i < 32; ++i) REQUIRE(out[row * (32 + 3) + i] == 0.0f);
    }
  }
}

TEST_CASE("every instruction set gives the scalar product to the bit, in chunks of any size") {
  Random random(test::test_seed());
  const Case cases[] = {{16, 32, 1},   {7, 64, 2},         {33, 256, 13}, {18, 512, 8},   {48, 1312, 7},
                        {80, 2304, 5}, {50, 768, 4, true}, {3, 1, 2},     {100, 301, 40}, {37, 255, 9, true}};
  for (const Traits& shape : formats()) {
    for (Case size : cases) {
      size.n_columns = fitting_columns(shape, size.n_columns);
      Problem problem(shape, size, random);
      const std::vector<float> expected = problem.multiply(scalar(), size.n_rows, problem.n_panels);
      for (const KernelSet* set : sets()) {
        INFO(shape.name, " ", set->name, " ", size.n_weights, " x ", size.n_columns, ", ", size.n_rows,
             " rows");
        REQUIRE(same_bits(problem.multiply(*set, size.n_rows, problem.n_panels), expected));
        REQUIRE(same_bits(problem.multiply(*set, 1, 1), expected));
        REQUIRE(same_bits(problem.multiply(*set, 3, 2), expected));
      }
    }
  }
}

TEST_CASE("every instruction set interleaves and decodes alike") {
  Random random(test::test_seed());
  for (const Traits& shape : formats()) {
    const size_t n_columns = fitting_columns(shape, 288);
    Problem problem(shape, {23, n_columns, 1}, random);
    std::vector<float> expected(23 * n_columns), values(23 * n_columns);
    scalar()[shape.format].decode(problem.rows.data(), expected.data(), expected.size());
    for (const KernelSet* set : sets()) {
      INFO(shape.name, " ", set->name);
      (*set)[shape.format].decode(problem.rows.data(), values.data(), values.size());
      REQUIRE(same_bits(values, expected));
      std::vector<uint8_t> panel(problem.panel_bytes, 0xEE);
      (*set)[shape.format].interleave(&problem.rows[kPanelRows * problem.row_bytes], problem.row_bytes, 7,
                                      n_columns, panel.data());
      REQUIRE(std::memcmp(panel.data(), &problem.panels[problem.panel_bytes], panel.size()) == 0);
    }
  }
}

TEST_CASE("every instruction set groups activations alike, and writes no further") {
  Random random(test::test_seed());
  const float kExtremes[] = {INFINITY, -INFINITY, NAN, 1e-40f, -1e-45f, 0.0f, -0.0f, 3.4e38f, 0x1.01p0f};
  for (const size_t n_columns : {1, 2, 15, 33, 256, 259, 544})
    for (size_t n_rows = 1; n_rows <= kGroupRows; ++n_rows) {
      std::vector<float> x(n_rows * n_columns);
      for (float& value : x)
        value = random.below(8) != 0 ? static_cast<float>(random.normal()) : kExtremes[random.below(9)];
      const size_t n_pairs = n_rows * activation_pairs(n_columns);
      const auto group = [&](const KernelSet& set) {
        std::vector<uint32_t> words(n_rows * n_columns + n_pairs + 32, 0xEEEEEEEE);
        set.group_values(x.data(), n_rows, n_columns, reinterpret_cast<float*>(words.data()));
        set.group_pairs(x.data(), n_rows, n_columns, &words[n_rows * n_columns + 16]);
        return words;
      };
      const std::vector<uint32_t> expected = group(scalar());
      CHECK(expected[n_rows * n_columns] == 0xEEEEEEEE);
      CHECK(expected.back() == 0xEEEEEEEE);
      for (const KernelSet* set : sets()) {
        INFO(set->name, " ", n_rows, " x ", n_columns);
        REQUIRE(group(*set) == expected);
      }
    }
}

TEST_CASE("BF16 products of any numbers are the same in every instruction set") {
  Random random(test::test_seed());
  const auto any_bf16 = [&](int exponents_from, int exponents) {
    const uint64_t exponent =
        static_cast<uint64_t>(exponents_from) + random.below(static_cast<uint64_t>(exponents));
    return static_cast<uint16_t>(random.below(2) << 15 | exponent << 7 | random.below(128));
  };
  // Exponents of weights and activations: all there are; and such that sums hover about the least normal
  // number.
  const int kExponents[][4] = {{0, 256, 0, 256}, {57, 12, 57, 12}, {0, 3, 120, 12}};
  for (const auto& [weights_from, weights, values_from, values] : kExponents)
    for (const size_t n_columns : {7, 40, 301}) {
      Problem problem(traits(Format::BF16), {33, n_columns, 8}, random);
      for (size_t i = 0; i < problem.rows.size(); i += 2) {
        const uint16_t weight = any_bf16(weights_from, weights);
        std::memcpy(&problem.rows[i], &weight, 2);
      }
      problem.interleave();
      for (float& value : problem.values) value = bf16_to_f32(any_bf16(values_from, values));
      const std::vector<float> expected = problem.multiply(scalar(), 8, 3);
      for (const KernelSet* set : sets()) {
        const std::vector<float> out = problem.multiply(*set, 8, 3);
        for (size_t i = 0; i < out.size(); ++i) {
          INFO(set->name, ", exponents from ", weights_from, ", ", n_columns, " columns, number ", i);
          const bool is_same = float_bits(out[i]) == float_bits(expected[i]);
          REQUIRE((is_same || (std::isnan(out[i]) && std::isnan(expected[i]))));
        }
      }
    }
}

TEST_CASE("F16 weights of any size meet bf16 activations as BF16 weights that they round to do") {
  Random random(test::test_seed());
  const Case size = {33, 515, 8};
  Problem halves(traits(Format::F16), size, random), rounded(traits(Format::BF16), size, random);
  for (size_t i = 0; i < halves.rows.size(); i += 2) {
    const auto sign_and_exponent = static_cast<uint16_t>(random.below(2) << 15 | random.below(31) << 10);
    const auto half = static_cast<uint16_t>(sign_and_exponent | random.below(1024));
    const uint16_t as_bf16 = f32_to_bf16(f16_to_f32(half));
    std::memcpy(&halves.rows[i], &half, 2);
    std::memcpy(&rounded.rows[i], &as_bf16, 2);
  }
  halves.interleave();
  rounded.interleave();
  rounded.values = halves.values;
  const std::vector<float> expected = rounded.multiply(scalar(), 8, 3);
  CHECK(same_bits(halves.multiply(scalar(), 8, 3), expected));
  for (const KernelSet* set : sets()) {
    INFO(set->name);
    CHECK(same_bits(halves.multiply(*set, 8, 3), expected));
  }
}

TEST_CASE(
    "a BF16 sum is zero where it would round, with exponents of any size, to less than a normal number") {
  Random random(test::test_seed());
  const struct {
    float activation, sum;  // 2^-126 + 2^-70 * activation = sum
  } kExamples[] = {
      {-0x1p-81f, 0x1p-126f}, {-0x1.02p-81f, 0.0f}, {-0x1.8p-81f, 0.0f}, {0x1p-79f, 0x1.000002p-126f}};
  for (const auto& example : kExamples) {
    Problem problem(traits(Format::BF16), {1, 4, 1}, random);
    const uint16_t weights[] = {f32_to_bf16(0x1p-60f), 0, f32_to_bf16(0x1p-70f), 0};
    std::memcpy(problem.rows.data(), weights, sizeof weights);
    problem.interleave();
    problem.values = {0x1p-66f, 0.0f, example.activation, 0.0f};
    for (const KernelSet* set : sets()) {
      INFO(set->name, ", ", example.activation);
      CHECK(problem.multiply(*set, 1, 1)[0] == example.sum);
    }
  }
}

}  // namespace ruvllm::kernels
