#include "train/lora.h"

#include "base/error.h"
#include "base/random.h"
#include "format/gguf.h"
#include "tensor/ops.h"

#include <cmath>

namespace ruvllm::train {
namespace {

constexpr const char* kTypeKey = "adapter.type";
constexpr const char* kAlphaKey = "adapter.lora.alpha";

std::vector<float> transposed(std::span<const float> values, size_t n_rows, size_t n_columns) {
  std::vector<float> turned(values.size());
  for (size_t row = 0; row < n_rows; ++row)
    for (size_t column = 0; column < n_columns; ++column)
      turned[column * n_rows + row] = values[row * n_columns + column];
  return turned;
}

/// Matrices do, but for embedding and head, which are large, and for experts that are stacked in one tensor.
bool takes_adapter(const Network& network, size_t i) {
  const Parameter<float>& parameter = *network.parameters()[i];
  return network.dimensions(i).size() == 2 && parameter.shape.n_rows > 1 &&
         parameter.name != "token_embd.weight" && parameter.name != "output.weight";
}

std::vector<float> read_tensor(const format::ModelFile& file, const std::string& name, const Shape& shape) {
  const format::Tensor* tensor = file.find(name);
  if (!tensor || tensor->n_columns() != shape.n_columns || tensor->n_rows() != shape.n_rows)
    throw Error(Errc::corrupt_file, "{}: tensor {} is missing or not {}x{}", file.source, name, shape.n_rows,
                shape.n_columns);
  std::vector<float> values(shape.n_values());
  tensor::decode_values(tensor->format, tensor->bytes, values);
  return values;
}

}  // namespace

Adapter::Adapter(Network& network, size_t rank, AdapterUse use, uint64_t seed)
    : use_(use), rank_(rank), alpha_(2.0f * static_cast<float>(rank)) {
  network.set_trainable(false);
  const Random seeds(seed);
  for (size_t i = 0; i < network.parameters().size(); ++i) {
    if (!takes_adapter(network, i)) continue;
    Parameter<float>& parameter = *network.parameters()[i];
    Random random = seeds.split(matrices_.size());
    add_matrix(parameter, rank);
    const double deviation = 1 / std::sqrt(static_cast<double>(parameter.shape.n_columns));
    for (float& value : matrices_.back()->a_turned.value)
      value = static_cast<float>(deviation * random.normal());
  }
}

Adapter::Adapter(Network& network, const format::ModelFile& file) : use_(AdapterUse::separate), rank_(0) {
  const auto alpha = file.metadata.number(kAlphaKey);
  if (file.metadata.string(kTypeKey) != "lora" || !alpha)
    throw Error(Errc::corrupt_file, "{}: no adapter: {} is not lora or {} is missing", file.source, kTypeKey,
                kAlphaKey);
  alpha_ = static_cast<float>(*alpha);
  for (const auto& parameter : network.parameters()) {
    const format::Tensor* a = file.find(parameter->name + ".lora_a");
    if (!a) continue;
    rank_ = a->n_rows();
    const Shape shape = parameter->shape;
    add_matrix(*parameter, rank_);
    Matrix& matrix = *matrices_.back();
    matrix.a_turned.value = transposed(
        read_tensor(file, parameter->name + ".lora_a", {rank_, shape.n_columns}), rank_, shape.n_columns);
    matrix.b.value = read_tensor(file, parameter->name + ".lora_b", {shape.n_rows, rank_});
  }
  if (matrices_.empty()) throw Error(Errc::corrupt_file, "{}: no tensor is one of this model's", file.source);
}

void Adapter::add_matrix(Parameter<float>& weight, size_t rank) {
  matrices_.push_back(std::make_unique<Matrix>());
  Matrix& matrix = *matrices_.back();
  const auto make = [&](Parameter<float>& parameter, const char* suffix, Shape shape) {
    parameter.name = weight.name + suffix;
    parameter.shape = shape;
    parameter.value.assign(shape.n_values(), 0.0f);
    parameter.gradient.assign(shape.n_values(), 0.0f);
  };
  matrix.weight = &weight;
  make(matrix.a_turned, ".lora_a", {weight.shape.n_columns, rank});
  make(matrix.b, ".lora_b", {weight.shape.n_rows, rank});
  if (use_ == AdapterUse::merged) matrix.base = {weight.name, weight.shape, weight.value, {}};
  index_[weight.name] = &matrix;
}

Var Adapter::change(Tape<float>& tape, Matrix& matrix) const {
  return train::scale(tape, matmul(tape, tape.parameter(matrix.b), tape.parameter(matrix.a_turned)), scale());
}

Network::WeightHook Adapter::hook(Network::WeightHook next) {
  return [this, next = std::move(next)](Tape<float>& tape, const std::string& name, Var weight) {
    const auto found = index_.find(name);
    if (found == index_.end()) return next ? next(tape, name, weight) : weight;
    if (use_ == AdapterUse::separate)
      return add(tape, next ? next(tape, name, weight) : weight, change(tape, *found->second));
    const Var sum = add(tape, tape.parameter(found->second->base), change(tape, *found->second));
    return next ? next(tape, name, sum) : sum;
  };
}

std::vector<Parameter<float>*> Adapter::trained() {
  std::vector<Parameter<float>*> parameters;
  for (const auto& matrix : matrices_) {
    parameters.push_back(&matrix->a_turned);
    parameters.push_back(&matrix->b);
  }
  return parameters;
}

void Adapter::merge(ThreadPool& pool) {
  RUVLLM_ASSERT(use_ == AdapterUse::merged);
  Tape<float> tape(pool);
  for (const auto& matrix : matrices_) {
    tape.clear();
    const Var sum = add(tape, tape.parameter(matrix->base), change(tape, *matrix));
    matrix->weight->value.assign(tape.value(sum).begin(), tape.value(sum).end());
  }
}

void Adapter::write(const format::Metadata& metadata, const std::filesystem::path& path) const {
  format::Metadata own;
  own.add("general.type", own.keep("adapter"));
  own.add("general.architecture",
          own.keep(std::string(metadata.string("general.architecture").value_or(""))));
  own.add(kTypeKey, own.keep("lora"));
  own.add(kAlphaKey, alpha_);
  std::vector<format::TensorPlan> plans;
  for (const auto& matrix : matrices_) {
    const Shape& shape = matrix->weight->shape;
    plans.push_back({matrix->a_turned.name, tensor::Format::F32, {shape.n_columns, rank_}});
    plans.push_back({matrix->b.name, tensor::Format::F32, {rank_, shape.n_rows}});
  }
  format::GgufWriter writer(path, own, plans);
  for (size_t i = 0; i < matrices_.size(); ++i) {
    const Matrix& matrix = *matrices_[i];
    const std::vector<float> a = transposed(matrix.a_turned.value, matrix.weight->shape.n_columns, rank_);
    writer.write_tensor(2 * i, std::as_bytes(std::span(a)));
    writer.write_tensor(2 * i + 1, std::as_bytes(std::span(matrix.b.value)));
  }
  writer.commit();
}

}  // namespace ruvllm::train
