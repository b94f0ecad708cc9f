// GGUF version 2 and 3, reading and writing (github.com/ggml-org/ggml/blob/master/docs/gguf.md).
//
// Reading trusts nothing: every count is checked against the bytes that are left before anything is allocated
// for it, every product is checked arithmetic, every tensor lies inside the file, aligned, without overlap.
// Time is linear in keys and tensors. Tested by tests/format/gguf_test.cpp and tests/fuzz/gguf_fuzz.cpp.
#pragma once

#include "base/file.h"
#include "format/model_file.h"

#include <atomic>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ruvllm::format {

inline constexpr uint64_t kGgufDefaultAlignment = 32;

/// What one GGUF file holds; views point into its bytes.
struct GgufImage {
  uint32_t version = 0;
  uint64_t alignment = kGgufDefaultAlignment;
  Metadata metadata;
  std::vector<Tensor> tensors;  ///< in the order of the file, file_index 0; names may repeat until indexed
};

/// Parses one GGUF file in memory. Throws Errc::corrupt_file naming the field and offset; `name` stands in
/// messages.
GgufImage parse_gguf(std::span<const std::byte> bytes, const std::string& name);

/// A GGUF file, with all shards of a split model. Throws not_found, corrupt_file.
std::shared_ptr<const ModelFile> read_gguf(const std::filesystem::path& path);

/// A tensor to be written: described first, its bytes asked for when its turn comes.
struct TensorPlan {
  std::string name;
  tensor::Format format;
  std::vector<uint64_t> dimensions;
  uint64_t n_bytes() const;
};

/// Where everything lies in a file to be written: the header's bytes, padded up to where tensor data begins,
/// and the place of each tensor in the file. The key general.alignment is made to agree with `alignment`, a
/// power of two.
struct GgufLayout {
  std::vector<std::byte> header;
  std::vector<uint64_t> offsets;
  uint64_t file_bytes = 0;
};
GgufLayout plan_gguf(const Metadata& metadata, std::span<const TensorPlan> tensors,
                     uint64_t alignment = kGgufDefaultAlignment);

/// Writes metadata and tensors (always version 3) through AtomicFile.
class GgufWriter {
 public:
  GgufWriter(std::filesystem::path path, const Metadata& metadata, std::vector<TensorPlan> tensors,
             uint64_t alignment = kGgufDefaultAlignment);

  /// The size of the whole file, known before a tensor is written.
  uint64_t file_bytes() const { return file_bytes_; }
  /// Writes the bytes of tensors[i]; any order, any thread, each exactly once (n_bytes must match: asserted).
  void write_tensor(size_t i, std::span<const std::byte> bytes);
  /// Part of tensors[i] from byte `offset` on; no byte is written twice.
  void write_tensor_part(size_t i, uint64_t offset, std::span<const std::byte> bytes);
  /// Makes the file appear. Every byte of every tensor has been written (asserted).
  void commit();

 private:
  std::vector<TensorPlan> tensors_;
  std::vector<uint64_t> offsets_;
  uint64_t file_bytes_ = 0;
  std::atomic<uint64_t> bytes_missing_ = 0;
  AtomicFile file_;
};

}  // namespace ruvllm::format
