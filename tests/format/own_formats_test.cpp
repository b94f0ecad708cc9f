#include "format/own_formats.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "test_support.h"

#include <numbers>

namespace ruvllm::format {

TEST_CASE("grids come back from metadata, each to its tensor") {
  OwnFormats grids;
  grids.k = 3;
  grids.codebooks["a.weight"] = {-120, -70, -40, -10, 12, 40, 70, 120};
  grids.codebooks["b.weight"] = {-60, -20, 20, 60, 0, 0, 0, 0};
  grids.rotation_seed = 1ull << 63;
  grids.rotated = {"b.weight"};
  Metadata metadata;
  metadata.set("general.name", metadata.keep("x"));
  write_own_formats(grids, metadata);
  const OwnFormats read = read_own_formats(metadata);
  CHECK(read.k == 3);
  CHECK(read.codebooks == grids.codebooks);
  CHECK(read.rotation_seed == 1ull << 63);
  CHECK(read.rotated == grids.rotated);

  const float step = static_cast<float>(std::numbers::pi / 3);
  const tensor::Grid of_a = read.grid_of(tensor::Format::PIQ3, "a.weight");
  CHECK(of_a.unit == step / 32);
  CHECK(of_a.levels[7] == 120);
  const tensor::Grid of_b = read.grid_of(tensor::Format::PIQ2_64, "b.weight");
  CHECK(of_b.levels[3] == 60);
  const tensor::Grid of_others = read.grid_of(tensor::Format::PIQ3, "c.weight");
  CHECK(of_others.unit == step);
  CHECK(of_others.levels[0] == -4);

  write_own_formats({}, metadata);
  CHECK(read_own_formats(metadata).codebooks.empty());
  CHECK(read_own_formats(metadata).rotated.empty());
  CHECK(read_own_formats(Metadata()).k == kDefaultPiqK);
}

TEST_CASE("grids that make no sense are refused by the key's name") {
  const auto refusal = [](const auto& change) -> std::string {
    OwnFormats grids;
    grids.codebooks["a"] = {-4, -3, -2, -1, 0, 1, 2, 3};
    Metadata metadata;
    write_own_formats(grids, metadata);
    change(metadata);
    try {
      read_own_formats(metadata);
    } catch (const Error& error) {
      CHECK(error.code() == Errc::corrupt_file);
      return error.what();
    }
    return "accepted";
  };
  CHECK(refusal([](Metadata& m) { m.set("ruvllm.piq.k", uint32_t{6}); }).find("ruvllm.piq.k is 6") == 13);
  CHECK(refusal([](Metadata& m) { m.erase("ruvllm.piq.codebook.tensors"); }).find("for 0 tensors") !=
        std::string::npos);
  const int8_t falling[8] = {3, 2, 1, 0, -1, -2, -3, -4};
  CHECK(refusal([&](Metadata& m) {
          m.set("ruvllm.piq.codebook.levels", m.keep_array(ValueType::i8, std::as_bytes(std::span(falling))));
        }).find("don't rise") != std::string::npos);
}

}  // namespace ruvllm::format
