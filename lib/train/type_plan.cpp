#include "train/type_plan.h"

#include "base/error.h"
#include "kernels/kernels.h"

namespace ruvllm::train {

format::ModelFile describe(const Network& network, const format::Metadata& metadata) {
  format::ModelFile file;
  file.metadata = metadata;
  for (size_t i = 0; i < network.parameters().size(); ++i) {
    const Parameter<float>& parameter = *network.parameters()[i];
    format::Tensor tensor;
    tensor.name = parameter.name;
    tensor.format = tensor::Format::F32;
    tensor.dimensions = network.dimensions(i);
    tensor.bytes = std::as_bytes(std::span(parameter.value));
    file.tensors.push_back(std::move(tensor));
  }
  file.index_tensors();
  return file;
}

TypePlan plan_types(const Network& network, const format::Metadata& metadata, const quant::Recipe& recipe) {
  TypePlan types;
  for (const quant::Choice& choice : quant::choose_formats(describe(network, metadata), recipe)) {
    if (!kernels::active().encode[static_cast<uint32_t>(choice.format)])
      throw Error(Errc::usage, "--target: weights can't be written in {}",
                  tensor::format_name(choice.format));
    types.push_back(choice.format);
  }
  return types;
}

format::OwnFormats plan_own_formats(const Network& network, const format::Metadata& metadata,
                                    const TypePlan& types, const quant::Importance& importance,
                                    const quant::OwnOptions& options, ThreadPool& pool) {
  std::vector<quant::Choice> choices;
  for (const tensor::Format format : types) choices.push_back({format, std::nullopt, false, false});
  return quant::choose_own_formats(describe(network, metadata), choices, quant::Folding(types.size()),
                                   importance, options, pool, [](uint64_t, uint64_t) {});
}

}  // namespace ruvllm::train
