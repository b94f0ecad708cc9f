#include "train/export.h"

#include "base/error.h"
#include "format/gguf.h"
#include "quant/importance.h"
#include "tensor/ops.h"

#include <algorithm>

namespace ruvllm::train {
namespace {

using tensor::Format;

constexpr size_t kRowsInTile = 16;

}  // namespace

void encode_matrix(Format format, const tensor::Grid& grid, const Shape& shape, std::span<const float> values,
                   std::span<const float> importance, kernels::Search effort, std::span<std::byte> blocks,
                   ThreadPool& pool) {
  const size_t n = shape.n_columns, row_bytes = tensor::row_bytes(format, n);
  RUVLLM_ASSERT(values.size() == shape.n_values() && blocks.size() == row_bytes * shape.n_rows);
  pool.for_each_tile((shape.n_rows + kRowsInTile - 1) / kRowsInTile, [&](size_t tile, int) {
    const size_t last = std::min(shape.n_rows, (tile + 1) * kRowsInTile);
    for (size_t row = tile * kRowsInTile; row < last; ++row)
      tensor::encode_rows(format, grid, n, values.subspan(row * n, n),
                          quant::importance_of_row(importance, shape.n_rows, n, row), effort,
                          blocks.subspan(row * row_bytes, row_bytes));
  });
}

void export_network(const Network& network, const TypePlan& types, format::Metadata metadata,
                    const Encoder& encode, const std::filesystem::path& path) {
  const auto& parameters = network.parameters();
  RUVLLM_ASSERT(types.size() == parameters.size());
  std::vector<format::TensorPlan> plans;
  for (size_t i = 0; i < parameters.size(); ++i)
    plans.push_back({parameters[i]->name, types[i], network.dimensions(i)});
  for (const Network::Constant& constant : network.constants())
    plans.push_back({constant.name, Format::F32, {constant.values.size()}});
  metadata.set("general.quantization_version", uint32_t{2});
  format::GgufWriter writer(path, metadata, plans);
  std::vector<std::byte> blocks;
  for (size_t i = 0; i < parameters.size(); ++i) {
    blocks.resize(plans[i].n_bytes());
    encode(i, blocks);
    writer.write_tensor(i, blocks);
  }
  for (size_t i = 0; const Network::Constant& constant : network.constants())
    writer.write_tensor(parameters.size() + i++, std::as_bytes(std::span(constant.values)));
  writer.commit();
}

}  // namespace ruvllm::train
