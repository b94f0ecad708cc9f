#include "train/type_plan.h"

#include "base/error.h"
#include "kernels/kernels.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

namespace ruvllm::train {

namespace {

bool has_parameter(const Network& network, std::string_view name) {
  return std::ranges::any_of(network.parameters(),
                             [&](const auto& parameter) { return parameter->name == name; });
}

}  // namespace

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
  if (recipe.output_format && recipe.embedding_format && !has_parameter(network, "output.weight"))
    throw Error(
        Errc::usage,
        "--output-type would have no effect: the model's token embedding makes the logits as well, and "
        "--embedding-type says its type");
  TypePlan types;
  for (const quant::Choice& choice : quant::choose_formats(describe(network, metadata), recipe)) {
    if (!kernels::active().encode[static_cast<uint32_t>(choice.format)])
      throw Error(Errc::usage, "--target: weights can't be written in {}",
                  tensor::format_name(choice.format));
    types.push_back(choice.format);
  }
  return types;
}

std::vector<std::string> fall_backs(const Network& network, const format::Metadata& metadata,
                                    const quant::Recipe& recipe) {
  std::map<std::pair<std::string_view, std::string_view>, int> counts;
  for (const quant::Choice& choice : quant::choose_formats(describe(network, metadata), recipe))
    if (choice.wanted) ++counts[{tensor::format_name(*choice.wanted), tensor::format_name(choice.format)}];
  std::vector<std::string> lines;
  for (const auto& [types, count] : counts)
    lines.push_back(fmt::format("{} matrices have rows that blocks of {} don't divide: they become {}", count,
                                types.first, types.second));
  return lines;
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
