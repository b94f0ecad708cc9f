// Names of tensors, GGUF's and Hugging Face's, from one table (tensor_names.def).
// Tested by tests/format/tensor_names_test.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ruvllm::format {

/// Families of architectures that spell their tensors alike; a row of the table belongs to one or several.
enum NameFamily : unsigned {
  kPlain = 1,     ///< Llama and its many children: norms before the branches
  kSandwich = 2,  ///< Gemma 2 and 3: norms before and after
  kPostNorm = 4,  ///< OLMo 2: norms after
  kPhi = 8,       ///< Phi 1 and 2
  kBert = 16,
  kDecoder = kPlain | kSandwich | kPostNorm | kPhi,
};

/// Rows that rotary embedding pairs: GGUF files of the Llama family keep pairs as neighbours, Hugging Face as
/// halves.
enum class RotatedRows { none, query, key };

struct TensorNameRow {
  unsigned families;
  std::string_view gguf;
  std::string_view hf;
  RotatedRows rotated;
};
std::span<const TensorNameRow> tensor_names();

/// A Hugging Face name that the table knows.
struct NameMatch {
  std::string gguf;                ///< with layer and suffix filled in
  std::optional<uint32_t> member;  ///< which expert or head of a stacked tensor it is
  RotatedRows rotated = RotatedRows::none;
};

/// By Hugging Face name ("model.layers.3.mlp.up_proj.weight"); nothing where the family has no such tensor.
std::optional<NameMatch> match_hf_name(std::string_view hf, NameFamily family);

/// The Hugging Face name of a GGUF tensor; of member `member` if it is stacked there. Where a family has
/// several spellings, `choice` tells which one (from 0); nothing where there are no more.
std::optional<std::string> hf_name_of(std::string_view gguf, NameFamily family, uint32_t member = 0,
                                      size_t choice = 0);

}  // namespace ruvllm::format
