#include "kernels/set_quants.h"

#include <doctest/doctest.h>

#include "base/random.h"
#include "kernels/set_points.h"
#include "kernels/unpack.h"
#include "test_support.h"

#include <algorithm>
#include <string>
#include <vector>

namespace ruvllm::kernels {

TEST_CASE("quants that are set are quants that are unpacked, and scales stay") {
  Random random(test::test_seed());
  size_t n_formats = 0, n_settable = 0;
  const Traits* rows = all_formats(&n_formats);
  for (const Traits& row : std::vector<Traits>(rows, rows + n_formats)) {
    const QuantRange* range = quant_range(row.format);
    if (range == nullptr) continue;
    ++n_settable;
    CAPTURE(std::string(row.name));
    const size_t n = 3 * row.block_values;
    std::vector<uint8_t> blocks(3 * row.block_bytes);
    for (uint8_t& byte : blocks) byte = static_cast<uint8_t>(random.below(120));  // finite scales
    const Unpack& unpack = unpack_of(row.format);
    const size_t n_scales = n / static_cast<size_t>(unpack.sub_block);
    std::vector<int8_t> quants(n), found(n);
    std::vector<float> scales(n_scales), mins(n_scales), same_scales(n_scales), same_mins(n_scales);
    unpack.unpack(blocks.data(), n, found.data(), scales.data(), mins.data());
    for (int8_t& quant : quants) {
      const auto n_quants =
          static_cast<uint64_t>(range->levels != nullptr ? range->n_levels : range->high - range->low + 1);
      const int chosen = static_cast<int>(random.below(n_quants));
      quant = static_cast<int8_t>(range->levels != nullptr ? range->levels[chosen] : range->low + chosen);
    }
    set_quants(row.format, quants.data(), n, blocks.data());
    unpack.unpack(blocks.data(), n, found.data(), same_scales.data(), same_mins.data());
    CHECK(found == quants);
    CHECK(same_scales == scales);
    CHECK(same_mins == mins);
  }
  CHECK(n_settable == 20);
}

TEST_CASE("points that are set are points that are unpacked, and scales and shifts stay") {
  Random random(test::test_seed());
  for (const Format format : {Format::IQ1_S, Format::IQ1_M, Format::IQ2_XXS, Format::IQ2_XS, Format::IQ2_S,
                              Format::IQ3_XXS, Format::IQ3_S}) {
    CAPTURE(std::string(traits(format).name));
    constexpr size_t n = 3 * 256;
    const size_t at_once = quants_at_once(format);
    REQUIRE(at_once == (format == Format::IQ3_S ? 4 : 8));
    const Unpack& unpack = unpack_of(format);
    const auto make_blocks = [&] {
      std::vector<uint8_t> blocks(3 * traits(format).block_bytes);
      for (uint8_t& byte : blocks) byte = static_cast<uint8_t>(random.below(120));
      return blocks;
    };
    std::vector<uint8_t> blocks = make_blocks(), others = make_blocks();
    std::vector<int8_t> quants(n), found(n);
    std::vector<float> scales(n / static_cast<size_t>(unpack.sub_block)), same(scales.size());
    unpack.unpack(blocks.data(), n, quants.data(), scales.data(), nullptr);
    std::vector<uint8_t> again = blocks;
    set_quants(format, quants.data(), n, again.data());
    CHECK(again == blocks);
    // Points near to any target are ones that can be stored; one that is a point is found exactly.
    unpack.unpack(others.data(), n, found.data(), scales.data(), nullptr);
    for (size_t first = 0; first < n; first += at_once) {
      float target[8];
      for (size_t j = 0; j < at_once; ++j) target[j] = static_cast<float>(found[first + j]);
      int8_t near[kMaxNearPoints * 8];
      const size_t n_near = near_points(format, target, &found[first], near);
      bool is_there = false;
      for (size_t k = 0; k < n_near; ++k)
        is_there |= std::equal(near + k * at_once, near + (k + 1) * at_once, &found[first]);
      CHECK(is_there);
      for (size_t j = 0; j < at_once; ++j) target[j] += 0.8f * static_cast<float>(random.normal());
      const size_t n_others = near_points(format, target, &found[first], near);
      std::copy_n(near + random.below(n_others) * at_once, at_once, &quants[first]);
    }
    set_quants(format, quants.data(), n, others.data());
    unpack.unpack(others.data(), n, found.data(), same.data(), nullptr);
    CHECK(found == quants);
    CHECK(same == scales);
  }
  CHECK(quants_at_once(Format::TQ1_0) == 0);
  CHECK(quants_at_once(Format::F16) == 0);
}

}  // namespace ruvllm::kernels
