#include "format/tensor_scales.h"

#include "base/finite.h"
#include "base/utf8.h"

#include <algorithm>
#include <map>

namespace ruvllm::format {
namespace {

constexpr std::string_view kWeight = ".weight", kScale = ".scale", kInputScale = ".input_scale";

std::string_view without_ending(std::string_view name, std::string_view ending) {
  return name.ends_with(ending) ? name.substr(0, name.size() - ending.size()) : std::string_view();
}

void give(const Tensor& scale, Tensor& weight) {
  const uint64_t n = scale.n_values();
  if (scale.format != tensor::Format::F32 ||
      (n != 1 && (weight.dimensions.size() < 3 || n != weight.dimensions.back())))
    throw Error(Errc::corrupt_file,
                "tensor {} has {} values of {}, expected one of F32 or one for each expert",
                printable(scale.name), n, tensor::format_name(scale.format));
  weight.scales.resize(n);
  scale.decode(0, weight.scales);
  require_finite(weight.scales, fmt::format("tensor {}", printable(scale.name)));
}

}  // namespace

void assign_scales(ModelFile& model) {
  std::map<std::string, size_t, std::less<>> weights;  // by stem
  for (size_t i = 0; i < model.tensors.size(); ++i)
    if (const auto stem = without_ending(model.tensors[i].name, kWeight); !stem.empty())
      weights.emplace(stem, i);
  std::vector<bool> is_taken(model.tensors.size());
  for (size_t i = 0; i < model.tensors.size(); ++i) {
    const Tensor& tensor = model.tensors[i];
    for (const std::string_view ending : {kScale, kInputScale}) {
      std::string_view stem = without_ending(tensor.name, ending);
      if (const auto inner = without_ending(stem, kWeight); !inner.empty()) stem = inner;
      const auto weight = weights.find(stem);
      if (stem.empty() || weight == weights.end()) continue;
      if (ending == kScale) give(tensor, model.tensors[weight->second]);
      is_taken[i] = true;
    }
  }
  size_t i = 0;
  std::erase_if(model.tensors, [&](const Tensor&) { return is_taken[i++]; });
}

}  // namespace ruvllm::format
