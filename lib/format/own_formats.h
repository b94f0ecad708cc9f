// What a GGUF file says of tensors in the suite's own formats (kernels/formats/piq.h), in metadata that other
// programs pass over:
//
//   ruvllm.piq.k                  u32, 2 .. 5: a step of the uniform grid is alpha * pi / k; absent: 4
//   ruvllm.piq.codebook.tensors   names of tensors whose levels were learned
//   ruvllm.piq.codebook.levels    i8, eight for each of these (two bits: the first four count), rising, in
//                                 32nds of the uniform grid's step
//   ruvllm.rotation.tensors       names of tensors whose rows were rotated (tensor/rotation.h) before they
//                                 were stored
//   ruvllm.rotation.seed          u64: of the rotations' signs; absent: 0
//
// Tested by tests/format/own_formats_test.cpp.
#pragma once

#include "format/metadata.h"
#include "format/model_file.h"

#include <array>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace ruvllm::format {

inline constexpr int kDefaultPiqK = 4;

/// How tensors of a file are to be read.
struct OwnFormats {
  using Levels = std::array<int8_t, 8>;

  int k = kDefaultPiqK;
  std::map<std::string, Levels, std::less<>> codebooks;  ///< by tensor name
  uint64_t rotation_seed = 0;
  std::set<std::string, std::less<>> rotated;  ///< tensor names

  /// Of a tensor in this format; of no meaning where the format has no grid.
  tensor::Grid grid_of(tensor::Format format, std::string_view tensor) const;
};

/// Throws Errc::corrupt_file naming the key whose value makes no sense.
OwnFormats read_own_formats(const Metadata& metadata);
/// Sets (or removes) the keys above.
void write_own_formats(const OwnFormats& own, Metadata& metadata);
void erase_own_formats(Metadata& metadata);

/// Gives every tensor of the model its grid and its rotation; for readers. Throws Errc::corrupt_file where
/// a tensor in a format without a grid is said to be rotated.
void assign_own_formats(ModelFile& model);

}  // namespace ruvllm::format
