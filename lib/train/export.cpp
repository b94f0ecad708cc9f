#include "train/export.h"

#include "base/error.h"
#include "format/gguf.h"
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
  RUVLLM_ASSERT(importance.empty() || importance.size() == n);
  pool.for_each_tile((shape.n_rows + kRowsInTile - 1) / kRowsInTile, [&](size_t tile, int) {
    const size_t last = std::min(shape.n_rows, (tile + 1) * kRowsInTile);
    for (size_t row = tile * kRowsInTile; row < last; ++row)
      tensor::encode_rows(format, grid, n, values.subspan(row * n, n), importance, effort,
                          blocks.subspan(row * row_bytes, row_bytes));
  });
}

void export_network(const Network& network, const TypePlan& types, format::Metadata metadata,
                    const Encoder& encode, const std::filesystem::path& path) {
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
    encode(i, blocks);
    writer.write_tensor(i, blocks);
  }
  if (!factors.empty()) writer.write_tensor(parameters.size(), std::as_bytes(std::span(factors)));
  writer.commit();
}

}  // namespace ruvllm::train
