#include "format/own_formats.h"

#include "base/error.h"
#include "base/utf8.h"

#include <algorithm>
#include <vector>

namespace ruvllm::format {
namespace {

constexpr const char* kKKey = "ruvllm.piq.k";
constexpr const char* kTensorsKey = "ruvllm.piq.codebook.tensors";
constexpr const char* kLevelsKey = "ruvllm.piq.codebook.levels";
constexpr const char* kRotatedKey = "ruvllm.rotation.tensors";
constexpr const char* kSeedKey = "ruvllm.rotation.seed";
constexpr float kLevelsPerStep = 32.0f;

}  // namespace

tensor::Grid OwnFormats::grid_of(tensor::Format format, std::string_view tensor) const {
  if (!tensor::traits(format).has_grid) return {};
  tensor::Grid grid = kernels::uniform_grid(format, k);
  const auto found = codebooks.find(tensor);
  if (found == codebooks.end()) return grid;
  grid.unit /= kLevelsPerStep;
  std::copy_n(found->second.begin(), kernels::grid_levels(format), grid.levels);
  return grid;
}

OwnFormats read_own_formats(const Metadata& metadata) {
  OwnFormats own;
  if (const auto k = metadata.integer(kKKey)) {
    if (*k < 2 || *k > 5)
      throw Error(Errc::corrupt_file, "metadata key {} is {}, expected 2 to 5", kKKey, *k);
    own.k = static_cast<int>(*k);
  }
  const MetadataArray* tensors = metadata.array(kTensorsKey, ValueType::string);
  const MetadataArray* levels = metadata.array(kLevelsKey, ValueType::i8);
  const uint64_t n_tensors = tensors ? tensors->n_elements : 0, n_levels = levels ? levels->n_elements : 0;
  if (n_levels % 8 != 0 || n_levels / 8 != n_tensors)
    throw Error(Errc::corrupt_file, "metadata key {} has {} levels for {} tensors", kLevelsKey, n_levels,
                n_tensors);
  for (uint64_t i = 0; i < n_tensors; ++i) {
    OwnFormats::Levels of_tensor;
    for (uint64_t j = 0; j < 8; ++j) of_tensor[j] = static_cast<int8_t>(levels->integer(8 * i + j));
    const std::span<const int8_t> all(of_tensor), last = all.last(4);
    const bool is_for_two_bits = std::ranges::all_of(last, [](int8_t level) { return level == 0; });
    if (!std::ranges::is_sorted(is_for_two_bits ? all.first(4) : all))
      throw Error(Errc::corrupt_file, "metadata key {}: the levels of {} don't rise", kLevelsKey,
                  printable(tensors->strings[i]));
    own.codebooks.emplace(tensors->strings[i], of_tensor);
  }
  if (const MetadataArray* rotated = metadata.array(kRotatedKey, ValueType::string))
    own.rotated.insert(rotated->strings.begin(), rotated->strings.end());
  if (const MetadataValue* seed = metadata.find(kSeedKey)) {
    const uint64_t* number = std::get_if<uint64_t>(seed);
    if (!number) throw Error(Errc::corrupt_file, "metadata key {} is no u64", kSeedKey);
    own.rotation_seed = *number;
  }
  return own;
}

void erase_own_formats(Metadata& metadata) {
  for (const char* key : {kKKey, kTensorsKey, kLevelsKey, kRotatedKey, kSeedKey}) metadata.erase(key);
}

void write_own_formats(const OwnFormats& own, Metadata& metadata) {
  erase_own_formats(metadata);
  metadata.set(kKKey, static_cast<uint32_t>(own.k));
  if (!own.codebooks.empty()) {
    std::vector<std::string> names;
    std::vector<int8_t> levels;
    for (const auto& [name, of_tensor] : own.codebooks) {
      names.push_back(name);
      levels.insert(levels.end(), of_tensor.begin(), of_tensor.end());
    }
    metadata.set(kTensorsKey, metadata.keep_strings(names));
    metadata.set(kLevelsKey, metadata.keep_array(ValueType::i8, std::as_bytes(std::span(levels))));
  }
  if (!own.rotated.empty()) {
    metadata.set(kRotatedKey,
                 metadata.keep_strings(std::vector<std::string>(own.rotated.begin(), own.rotated.end())));
    metadata.set(kSeedKey, own.rotation_seed);
  }
}

void assign_own_formats(ModelFile& model) {
  const auto is_own = [](const Tensor& tensor) { return tensor::traits(tensor.format).has_grid; };
  const MetadataValue* rotated = model.metadata.find(kRotatedKey);
  if (!rotated && std::ranges::none_of(model.tensors, is_own)) return;
  const OwnFormats own = read_own_formats(model.metadata);
  std::map<uint64_t, std::shared_ptr<const tensor::Rotation>> rotations;  // by width
  for (Tensor& tensor : model.tensors) {
    tensor.grid = own.grid_of(tensor.format, tensor.name);
    if (!own.rotated.contains(tensor.name)) continue;
    if (!is_own(tensor))
      throw Error(Errc::corrupt_file, "metadata key {}: tensor {} is {}, which is never rotated", kRotatedKey,
                  printable(tensor.name), tensor::format_name(tensor.format));
    auto& rotation = rotations[tensor.n_columns()];
    if (!rotation) rotation = std::make_shared<tensor::Rotation>(own.rotation_seed, tensor.n_columns());
    tensor.rotation = rotation;
  }
}

}  // namespace ruvllm::format
