#include "format/model_file.h"

#include "base/error.h"
#include "base/utf8.h"
#include "format/gguf.h"
#include "format/hf_folder.h"
#include "tensor/ops.h"

#include <algorithm>
#include <numeric>

namespace ruvllm::format {

uint64_t Tensor::n_values() const {
  uint64_t product = 1;
  for (const uint64_t dimension : dimensions) product = checked_mul(product, dimension, "number of values");
  return product;
}

float Tensor::scale_of_row(uint64_t row) const {
  return scales.empty() ? 1.0f : scales[row / (n_rows() / scales.size())];
}

void Tensor::decode(uint64_t first, std::span<float> values) const {
  const uint64_t row_values = std::min<uint64_t>(n_columns(), values.size());
  const uint64_t begin = tensor::offset_of(format, n_columns(), first),
                 end = tensor::offset_of(format, n_columns(), first + values.size());
  tensor::decode_rows(format, grid, row_values, bytes.subspan(begin, end - begin), values);
  if (rotation) rotation->undo(values, first % n_columns());
  if (scales.empty()) return;
  for (uint64_t i = 0; i < values.size(); i += row_values) {
    const float scale = scale_of_row((first + i) / n_columns());
    for (uint64_t k = i; k < i + row_values; ++k) values[k] *= scale;
  }
}

const Tensor* ModelFile::find(std::string_view name) const {
  const auto name_of = [this](size_t i) -> std::string_view { return tensors[i].name; };
  const auto found = std::ranges::lower_bound(by_name_, name, {}, name_of);
  return found != by_name_.end() && name_of(*found) == name ? &tensors[*found] : nullptr;
}

uint64_t ModelFile::file_bytes() const {
  uint64_t sum = 0;
  for (const MappedFile& file : files) sum += file.bytes().size();
  return sum;
}

void ModelFile::index_tensors() {
  const auto name_of = [this](size_t i) -> std::string_view { return tensors[i].name; };
  by_name_.resize(tensors.size());
  std::iota(by_name_.begin(), by_name_.end(), size_t{0});
  std::ranges::sort(by_name_, {}, name_of);
  const auto twice = std::ranges::adjacent_find(by_name_, {}, name_of);
  if (twice != by_name_.end())
    throw Error(Errc::corrupt_file, "{}: two tensors are named {}", source, printable(name_of(*twice)));
}

std::shared_ptr<const ModelFile> open_model_file(const std::filesystem::path& path) {
  if (std::filesystem::is_directory(path)) return read_hf_folder(path);
  if (path.extension() == ".safetensors")
    throw Error(Errc::usage,
                "{}: safetensors hold weights alone; give the folder that its config.json lies in",
                path.string());
  return read_gguf(path);
}

}  // namespace ruvllm::format
