// Scales beside weights: where they go, and what values become.
#include "format/tensor_scales.h"

#include "base/error.h"

#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

using namespace ruvllm;

namespace {

/// A model with one weight of F32, counting up from 1, and whatever is added.
struct Fixture {
  explicit Fixture(std::vector<uint64_t> dimensions) {
    add("blk.0.ffn_up.weight", dimensions, counting(dimensions));
  }
  static std::vector<float> counting(const std::vector<uint64_t>& dimensions) {
    uint64_t n = 1;
    for (const uint64_t dimension : dimensions) n *= dimension;
    std::vector<float> values(n);
    std::iota(values.begin(), values.end(), 1.0f);
    return values;
  }
  void add(const char* name, std::vector<uint64_t> dimensions, std::vector<float> values) {
    const auto& kept = kept_.emplace_back(std::make_unique<std::vector<float>>(std::move(values)));
    model.tensors.push_back(
        {name, tensor::Format::F32, std::move(dimensions), std::as_bytes(std::span(*kept)), 0, 0});
  }
  std::vector<float> values() const {
    std::vector<float> values(model.tensors[0].n_values());
    model.tensors[0].decode(0, values);
    return values;
  }
  bool is_refused() {
    try {
      format::assign_scales(model);
    } catch (const Error& error) {
      CHECK(error.code() == Errc::corrupt_file);
      CHECK(std::string(error.what()).find("blk.0.ffn_up.scale") != std::string::npos);
      return true;
    }
    return false;
  }

  format::ModelFile model;

 private:
  std::vector<std::unique_ptr<std::vector<float>>> kept_;
};

}  // namespace

TEST_CASE("a scale beside a weight multiplies its values and is no tensor of its own") {
  Fixture one({2, 3});
  one.add("blk.0.ffn_up.scale", {1}, {0.5f});
  one.add("blk.0.ffn_up.input_scale", {1}, {7.0f});
  format::assign_scales(one.model);
  CHECK(one.model.tensors.size() == 1);
  CHECK(one.values() == std::vector<float>{0.5f, 1.0f, 1.5f, 2.0f, 2.5f, 3.0f});

  Fixture none({2, 3});
  format::assign_scales(none.model);
  CHECK(none.values() == std::vector<float>{1, 2, 3, 4, 5, 6});
}

TEST_CASE("stacked experts have a scale each") {
  Fixture experts({2, 1, 3});
  experts.add("blk.0.ffn_up.scale", {3}, {1.0f, 10.0f, 100.0f});
  format::assign_scales(experts.model);
  CHECK(experts.values() == std::vector<float>{1, 2, 30, 40, 500, 600});
  CHECK(experts.model.tensors[0].scale_of_row(2) == 100.0f);
}

TEST_CASE("a scale that fits no weight is refused, or left to be named by whoever lists tensors") {
  Fixture many({2, 3});
  many.add("blk.0.ffn_up.scale", {2}, {1.0f, 2.0f});
  CHECK(many.is_refused());
  Fixture nan({2, 3});
  nan.add("blk.0.ffn_up.scale", {1}, {std::nanf("")});
  CHECK(nan.is_refused());
  Fixture alone({2, 3});
  alone.add("blk.1.ffn_up.scale", {1}, {2.0f});
  format::assign_scales(alone.model);
  CHECK(alone.model.tensors.size() == 2);
}
