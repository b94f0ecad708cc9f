// Safetensors, reading (github.com/huggingface/safetensors, "Format"): eight bytes of header length, a JSON
// header that gives each tensor a type, a shape and a range of bytes, and the bytes.
//
// The rules are kept to the letter: the header is at most 100 MB and UTF-8 without repeated keys; the ranges
// cover the rest of the file exactly, without gap or overlap. So a file has one meaning only, and nothing
// hides in it. Tested by tests/format/safetensors_test.cpp and tests/fuzz/safetensors_fuzz.cpp.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::format {

/// Element types, as the header names them. Those of less than a byte lie packed, and a tensor of them takes
/// whole bytes.
enum class SafetensorsType {
  BOOL,
  F4,
  F6_E2M3,
  F6_E3M2,
  U8,
  I8,
  F8_E4M3,
  F8_E5M2,
  F8_E8M0,
  F8_E4M3FNUZ,
  F8_E5M2FNUZ,
  I16,
  U16,
  F16,
  BF16,
  I32,
  U32,
  F32,
  I64,
  U64,
  F64,
  C64
};

std::string_view safetensors_type_name(SafetensorsType type);
uint64_t safetensors_type_bits(SafetensorsType type);

struct SafetensorsEntry {
  std::string name;
  SafetensorsType type = SafetensorsType::F32;
  std::vector<uint64_t> shape;  ///< outermost first; empty for a single value
  std::span<const std::byte> bytes;
  uint64_t file_offset = 0;
};

struct SafetensorsImage {
  std::vector<SafetensorsEntry> tensors;        ///< in the order of their bytes
  std::map<std::string, std::string> metadata;  ///< "__metadata__"
};

/// Parses one file in memory; views point into `bytes`. Throws Errc::corrupt_file naming the tensor and what
/// is wrong; `name` stands in messages. Time is n log n in the number of tensors.
SafetensorsImage parse_safetensors(std::span<const std::byte> bytes, const std::string& name);

}  // namespace ruvllm::format
