// Models split over several GGUF files, NAME-00001-of-00003.gguf and so on: shards become one model.
//
// Each shard is a GGUF file of its own and says which it is (split.no, counted from 0), of how many
// (split.count) and how many tensors all of them hold (split.tensors.count). The first one carries the
// model's metadata. Tested by tests/format/split_file_test.cpp.
#pragma once

#include "format/model_file.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace ruvllm::format {

/// The parts of a shard's file name.
struct SplitName {
  std::string stem;  ///< what stands before "-00001-of-00003.gguf"
  uint32_t number;   ///< counted from 1, as in the name
  uint32_t n_shards;
};

/// Nothing where a file name is not of that form.
std::optional<SplitName> parse_split_name(const std::string& file_name);
/// "STEM-00002-of-00003.gguf"; `number` counts from 1.
std::string split_name(const std::string& stem, uint32_t number, uint32_t n_shards);

/// Does the metadata say that the file is one of several? (A count of 0 or 1 means a whole model.)
bool is_split(const Metadata& metadata);

/// Opens all shards of the split model that `path` belongs to and fills files, metadata (of the first shard,
/// without the split.* keys), tensors and alignment. Throws not_found naming the missing shard, corrupt_file
/// where the shards don't belong together.
void join_shards(const std::filesystem::path& path, ModelFile& model);

}  // namespace ruvllm::format
