// Every encoder: against the reference's bytes where the format defines them, against its error elsewhere,
// and every instruction set against scalar.
#include "kernels/kernels.h"

#include <doctest/doctest.h>

#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "test_support.h"

#include <cmath>
#include <cstring>
#include <optional>
#include <span>
#include <string>
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
  const KernelSet* const* available_sets = available(&n);
  return {available_sets, n};
}

std::vector<float> read_floats(const std::filesystem::path& path) {
  const std::string bytes = read_file(path, 1 << 20);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

std::vector<uint8_t> encode(const KernelSet& set, const Traits& row, std::span<const float> values,
                            const float* importance, Search effort) {
  std::vector<uint8_t> blocks(values.size() / row.block_values * row.block_bytes);
  set.encode[static_cast<uint32_t>(row.format)](values.data(), importance, values.size(), blocks.data(),
                                                effort);
  return blocks;
}

std::vector<float> decode(const Traits& row, const std::vector<uint8_t>& blocks) {
  std::vector<float> values(blocks.size() / row.block_bytes * row.block_values);
  active()[row.format].decode(blocks.data(), values.data(), values.size());
  return values;
}

/// sum w (a - b)^2; w null: 1.
double squared_error(std::span<const float> a, std::span<const float> b, const float* w = nullptr) {
  double sum = 0.0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double miss = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += (w != nullptr ? static_cast<double>(w[i]) : 1.0) * miss * miss;
  }
  return sum;
}

std::vector<float> random_weights(size_t n, Random& random) {
  std::vector<float> values(n);
  for (float& value : values)
    value = static_cast<float>(random.normal() * (random.below(100) == 0 ? 0.4 : 0.05));
  return values;
}

/// What a K format's error may be with Search::best, as a fraction of the reference's. No choice of d, scales
/// and quants does better than 0.9791 for Q3_K and 0.9712 for Q6_K on the set gauss (every f16 d with every
/// integer scale was tried), nor than 0.9726 for Q4_K (every f16 d and integer scale, minimums not even
/// rounded).
std::optional<double> best_effort_bound(const std::string& type) {
  if (type == "Q2_K") return 0.83;
  if (type == "Q3_K") return 0.98;
  if (type == "Q4_K") return 0.982;
  if (type == "Q5_K") return 0.97;
  if (type == "Q6_K") return 0.975;
  return std::nullopt;
}

}  // namespace

TEST_CASE("encoders reach the reference: its bytes where the format defines them, its error elsewhere") {
  const auto folder = test::test_data("quants");
  if (!folder) return;
  const Json manifest = parse_json(read_file(*folder / "manifest.json", 1 << 20), "manifest.json");
  for (const Json& set : manifest["sets"]) {
    const auto input = read_floats(*folder / set["input"].get<std::string>());
    const std::vector<float> ones(input.size(), 1.0f);
    for (const Json& entry : set["entries"]) {
      const std::string type = entry["type"];
      const Traits& row = *find_format(type.c_str());
      const bool weighted = !entry["imatrix"].is_null();
      CAPTURE(entry["file"].get<std::string>());
      const auto blocks = encode(active(), row, input, weighted ? ones.data() : nullptr, Search::fast);
      const double reference = entry["rmse"].get<double>();
      const auto rmse_of = [&](const std::vector<uint8_t>& encoded) {
        return std::sqrt(squared_error(decode(row, encoded), input) / static_cast<double>(input.size()));
      };
      CHECK(rmse_of(blocks) <= reference * 1.000001);
      for (const char* exact : {"F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"}) {
        if (type != exact || weighted) continue;
        const std::string expected = read_file(*folder / entry["file"].get<std::string>(), 1 << 20);
        CHECK(std::string(blocks.begin(), blocks.end()) == expected);
      }
      if (const auto bound = best_effort_bound(type); bound && !weighted)
        CHECK(rmse_of(encode(active(), row, input, nullptr, Search::best)) <= *bound * reference);
    }
  }
}

TEST_CASE("every instruction set encodes the same bytes as scalar, tails and importance included") {
  Random random(test::test_seed());
  for (const Traits& row : formats()) {
    for (const size_t n_blocks : {size_t{1}, size_t{2}, size_t{3}, 1024 / row.block_values + 1}) {
      const auto values = random_weights(n_blocks * row.block_values, random);
      std::vector<float> importance(values.size());
      for (float& weight : importance) weight = static_cast<float>(random.uniform());
      for (const float* weights :
           {static_cast<const float*>(nullptr), static_cast<const float*>(importance.data())}) {
        const auto expected = encode(*sets().front(), row, values, weights, Search::fast);
        for (const KernelSet* set : sets()) {
          CAPTURE(std::string(row.name));
          CAPTURE(set->name);
          CAPTURE(n_blocks);
          CHECK(encode(*set, row, values, weights, Search::fast) == expected);
        }
      }
    }
  }
}

TEST_CASE("a block's bytes don't depend on the blocks around it") {
  Random random(test::test_seed());
  for (const Traits& row : formats()) {
    CAPTURE(std::string(row.name));
    const auto values = random_weights(5 * 512, random);
    const auto together = encode(active(), row, values, nullptr, Search::fast);
    const size_t step = row.block_values == 1 ? 64 : row.block_values;
    std::vector<uint8_t> apart;
    for (size_t i = 0; i < values.size(); i += step) {
      const auto some = encode(active(), row, std::span(values).subspan(i, step), nullptr, Search::fast);
      apart.insert(apart.end(), some.begin(), some.end());
    }
    CHECK(apart == together);
  }
}

TEST_CASE("importance moves error to where it matters less") {
  Random random(test::test_seed());
  const auto values = random_weights(16 * 256, random);
  std::vector<float> importance(values.size());
  for (float& weight : importance) weight = static_cast<float>(std::pow(10.0, 3.0 * random.uniform()));
  for (const Traits& row : formats()) {
    const std::string name = row.name;
    if (!row.is_quantised || name.starts_with("Q8")) continue;
    CAPTURE(name);
    const auto plain = decode(row, encode(active(), row, values, nullptr, Search::fast));
    const auto weighted = decode(row, encode(active(), row, values, importance.data(), Search::fast));
    CHECK(squared_error(weighted, values, importance.data()) <
          squared_error(plain, values, importance.data()));
  }
}

TEST_CASE("zeros, constants, denormals, huge values and importance of zero are encoded without ado") {
  for (const Traits& row : formats()) {
    CAPTURE(std::string(row.name));
    const auto rmse = [&](const std::vector<float>& values, const float* importance) {
      const auto decoded = decode(row, encode(active(), row, values, importance, Search::fast));
      return std::sqrt(squared_error(decoded, values) / static_cast<double>(values.size()));
    };
    std::vector<float> values(512, 0.0f);
    CHECK(rmse(values, nullptr) == 0.0);
    const std::vector<float> nothing_matters(512, 0.0f);
    CHECK(rmse(values, nothing_matters.data()) == 0.0);
    for (const float constant : {1.0f, -1.0f}) {
      values.assign(512, constant);
      CHECK(rmse(values, nullptr) < 0.4);
    }
    values.assign(512, 1e-41f);
    CHECK(rmse(values, nullptr) < 1e-38);
    values.assign(512, 1e4f);
    values[17] = -6e4f;
    CHECK(std::isfinite(rmse(values, nullptr)));
    values.assign(512, 3e38f);
    (void)rmse(values, nullptr);  // what it becomes is no matter: f16 scales end at 65504
  }
}

TEST_CASE("weights that are ternary already are kept as they are") {
  Random random(test::test_seed());
  std::vector<float> values(1024);
  for (float& value : values) value = 0.0625f * (static_cast<float>(random.below(3)) - 1.0f);
  for (const char* name : {"TQ1_0", "TQ2_0"}) {
    const Traits& row = *find_format(name);
    CHECK(decode(row, encode(active(), row, values, nullptr, Search::fast)) == values);
  }
}

}  // namespace ruvllm::kernels
