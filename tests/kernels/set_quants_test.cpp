#include "kernels/set_quants.h"

#include <doctest/doctest.h>

#include "base/random.h"
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
    for (int8_t& quant : quants)
      quant = static_cast<int8_t>(
          range->low + static_cast<int>(random.below(static_cast<uint64_t>(range->high - range->low + 1))));
    set_quants(row.format, quants.data(), n, blocks.data());
    unpack.unpack(blocks.data(), n, found.data(), same_scales.data(), same_mins.data());
    CHECK(found == quants);
    CHECK(same_scales == scales);
    CHECK(same_mins == mins);
  }
  CHECK(n_settable == 17);
}

}  // namespace ruvllm::kernels
