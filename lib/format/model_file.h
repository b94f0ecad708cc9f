// One view of a model on disk, whatever its format: metadata by GGUF key, and named tensors. Readers (gguf,
// safetensors) produce it; model/, text/ and quant/ consume it and never ask which reader it was.
// Tested with each reader.
#pragma once

#include "base/mapped_file.h"
#include "format/metadata.h"
#include "tensor/format.h"
#include "tensor/rotation.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::format {

/// A tensor: dimensions in GGUF order (the first is the contiguous one), bytes in a mapped file (or made by a
/// reader: then file_offset is 0).
struct Tensor {
  std::string name;
  tensor::Format format;
  std::vector<uint64_t> dimensions;  ///< 1 to 4, none 0; trailing ones are dropped by readers
  std::span<const std::byte> bytes;
  uint64_t file_offset = 0;  ///< in its own file
  uint32_t file_index = 0;   ///< which of ModelFile::files
  tensor::Grid grid = {};    ///< what codes stand for, where the format has a grid
  std::shared_ptr<const tensor::Rotation> rotation = nullptr;  ///< that rows were stored through, or null
  /// What values are multiplied by: nothing, one number, or one for each slice of the last dimension
  /// (tensor_scales.h).
  std::vector<float> scales = {};

  uint64_t n_values() const;
  uint64_t n_columns() const { return dimensions[0]; }
  uint64_t n_rows() const { return n_values() / dimensions[0]; }
  /// What the values of a row are multiplied by.
  float scale_of_row(uint64_t row) const;

  /// Values from number `first` on as f32: whole rows, or a part of one row that begins at a multiple of
  /// 65,536 and ends at one or with the row.
  void decode(uint64_t first, std::span<float> values) const;
};

class ModelFile {
 public:
  std::string source;  ///< path as given, for messages
  std::string kind;    ///< "GGUF v3", "safetensors"
  Metadata metadata;
  std::vector<Tensor> tensors;
  std::vector<MappedFile> files;  ///< shards, in order; tensors and metadata point into them
  /// Bytes of tensors that a reader made: put together, reordered or converted. (Inner vectors never move.)
  std::vector<std::vector<std::byte>> made;
  std::filesystem::path folder;  ///< of a model in Hugging Face layout, where its tokenizer lies; else empty
  uint64_t alignment = 32;

  const Tensor* find(std::string_view name) const;
  uint64_t file_bytes() const;
  /// To be called by readers when `tensors` is complete; throws corrupt_file on a duplicate name.
  void index_tensors();

 private:
  std::vector<size_t> by_name_;  // indices of `tensors`, sorted by name
};

/// Opens a GGUF file (any shard of a split model: the others are found beside it) or a folder in Hugging Face
/// layout. Throws not_found, corrupt_file.
std::shared_ptr<const ModelFile> open_model_file(const std::filesystem::path& path);

}  // namespace ruvllm::format
