#include "train/export.h"

#include "base/error.h"
#include "format/gguf.h"
#include "kernels/kernels.h"

#include <algorithm>

namespace ruvllm::train {
namespace {

using tensor::Format;

constexpr size_t kRowsInTile = 16;

// What a type becomes where a row doesn't divide into its blocks: the next one down with smaller blocks.
Format fallback(Format format) {
  switch (format) {
    case Format::Q2_K:
    case Format::Q3_K:
    case Format::IQ1_S:
    case Format::IQ1_M:
    case Format::IQ2_XXS:
    case Format::IQ2_XS:
    case Format::IQ2_S:
    case Format::IQ3_XXS:
    case Format::IQ3_S:
    case Format::IQ4_XS:
      return Format::IQ4_NL;
    case Format::Q4_K:
      return Format::Q5_0;
    case Format::Q5_K:
      return Format::Q5_1;
    case Format::Q6_K:
      return Format::Q8_0;
    case Format::TQ1_0:
    case Format::TQ2_0:
      return Format::Q4_0;
    default:
      return Format::F16;
  }
}

}  // namespace

TypePlan plan_types(const Network& network, Format target) {
  TypePlan types;
  for (const auto& parameter : network.parameters()) {
    Format format = parameter->shape.n_rows > 1 ? target : Format::F32;
    while (!tensor::divides(format, parameter->shape.n_columns)) format = fallback(format);
    types.push_back(format);
  }
  return types;
}

void encode_matrix(Format format, const Parameter<float>& parameter, std::span<std::byte> blocks,
                   ThreadPool& pool) {
  const auto encode = kernels::active().encode[static_cast<size_t>(format)];
  const size_t n = parameter.shape.n_columns, row_bytes = tensor::row_bytes(format, n);
  RUVLLM_ASSERT(encode && blocks.size() == row_bytes * parameter.shape.n_rows);
  pool.for_each_tile((parameter.shape.n_rows + kRowsInTile - 1) / kRowsInTile, [&](size_t tile, int) {
    const size_t last = std::min(parameter.shape.n_rows, (tile + 1) * kRowsInTile);
    for (size_t row = tile * kRowsInTile; row < last; ++row)
      encode(parameter.value.data() + row * n, nullptr, n, blocks.data() + row * row_bytes,
             kernels::Search::fast);
  });
}

void export_network(const Network& network, const TypePlan& types, format::Metadata metadata,
                    const std::filesystem::path& path, ThreadPool& pool) {
  const auto& parameters = network.parameters();
  RUVLLM_ASSERT(types.size() == parameters.size());
  std::vector<format::TensorPlan> plans;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Shape& shape = parameters[i]->shape;
    plans.push_back({parameters[i]->name, types[i],
                     shape.n_rows > 1 ? std::vector<uint64_t>{shape.n_columns, shape.n_rows}
                                      : std::vector<uint64_t>{shape.n_columns}});
  }
  const std::vector<float>& factors = network.rope_factors();
  if (!factors.empty()) plans.push_back({"rope_freqs.weight", Format::F32, {factors.size()}});
  metadata.set("general.quantization_version", uint32_t{2});
  format::GgufWriter writer(path, metadata, plans);
  std::vector<std::byte> blocks;
  for (size_t i = 0; i < parameters.size(); ++i) {
    blocks.resize(plans[i].n_bytes());
    encode_matrix(types[i], *parameters[i], blocks, pool);
    writer.write_tensor(i, blocks);
  }
  if (!factors.empty()) writer.write_tensor(parameters.size(), std::as_bytes(std::span(factors)));
  writer.commit();
}

}  // namespace ruvllm::train
