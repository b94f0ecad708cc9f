#include "train/qat.h"

#include "tensor/ops.h"

#include <cmath>

namespace ruvllm::train {

FakeQuantiser::FakeQuantiser(Network& network, const TypePlan& types, const StraightThroughArguments& rule,
                             ThreadPool& pool)
    : rule_(rule), pool_(pool) {
  for (size_t i = 0; i < types.size(); ++i) {
    const Parameter<float>& parameter = *network.parameters()[i];
    if (types[i] == tensor::Format::F32) continue;
    index_[parameter.name] = matrices_.size();
    matrices_.push_back({&parameter, types[i], std::vector<float>(parameter.value.size())});
  }
}

void FakeQuantiser::refresh() {
  std::vector<std::byte> blocks;
  for (Matrix& matrix : matrices_) {
    const Shape& shape = matrix.parameter->shape;
    const size_t row_bytes = tensor::row_bytes(matrix.format, shape.n_columns);
    blocks.resize(row_bytes * shape.n_rows);
    encode_matrix(matrix.format, *matrix.parameter, blocks, pool_);
    pool_.for_each_tile(shape.n_rows, [&](size_t row, int) {
      tensor::decode_values(matrix.format,
                            std::span<const std::byte>(blocks).subspan(row * row_bytes, row_bytes),
                            std::span(matrix.quantised).subspan(row * shape.n_columns, shape.n_columns));
    });
  }
}

Network::WeightHook FakeQuantiser::hook() {
  return [this](Tape<float>& tape, const std::string& name, Var weight) {
    const auto found = index_.find(name);
    return found == index_.end()
               ? weight
               : fake_quantise<float>(tape, weight, matrices_[found->second].quantised, rule_);
  };
}

double FakeQuantiser::error() const {
  double sum = 0, n = 0;
  for (const Matrix& matrix : matrices_) {
    for (size_t i = 0; i < matrix.quantised.size(); ++i) {
      const double difference = static_cast<double>(matrix.quantised[i]) - matrix.parameter->value[i];
      sum += difference * difference;
    }
    n += static_cast<double>(matrix.quantised.size());
  }
  return n > 0 ? std::sqrt(sum / n) : 0;
}

}  // namespace ruvllm::train
