#include "train/qat.h"

#include "base/error.h"
#include "kernels/piq.h"
#include "quant/incoherence.h"
#include "tensor/ops.h"

#include <algorithm>
#include <cmath>

namespace ruvllm::train {

namespace {

// Rows rotated, or turned back; the gradient turns the other way.
Var rotate_rows(Tape<float>& tape, Var x, const tensor::Rotation& rotation, bool back) {
  const auto turn = [&rotation](std::span<float> rows, bool inverse) {
    if (inverse)
      rotation.undo(rows);
    else
      rotation.apply(rows);
  };
  const Var y = tape.make(tape.shape(x), tape.needs_gradient(x));
  std::ranges::copy(tape.value(x), tape.value(y).begin());
  turn(tape.value(y), back);
  if (!tape.needs_gradient(y)) return y;
  tape.on_backward([&tape, x, y, back, turn] {
    const std::span<float> g = tape.scratch(tape.gradient(y).size());
    std::ranges::copy(tape.gradient(y), g.begin());
    turn(g, !back);
    for (size_t i = 0; i < g.size(); ++i) tape.gradient(x)[i] += g[i];
  });
  return y;
}

// Levels are stored as i8, in units of the grid; parameters are 1 where that is largest, so that one learning
// rate fits them and weights.
constexpr float kLargestLevel = 127.0f;

std::unique_ptr<Parameter<float>> levels_parameter(const std::string& tensor, const tensor::Grid& grid,
                                                   int n_levels) {
  auto levels = std::make_unique<Parameter<float>>();
  levels->name = tensor + ", its levels";
  levels->shape = {1, static_cast<size_t>(n_levels)};  // a row: weight decay leaves it alone
  for (int i = 0; i < n_levels; ++i) levels->value.push_back(grid.levels[i] / kLargestLevel);
  levels->gradient.assign(levels->value.size(), 0.0f);
  return levels;
}

// The grid's levels as stored: rounded, and rising; a level that has met its neighbour is moved.
void round_levels(Parameter<float>& levels, tensor::Grid& grid) {
  const int n = static_cast<int>(levels.value.size());
  int previous = -static_cast<int>(kLargestLevel) - 1;
  for (int i = 0; i < n; ++i) {
    const float wanted = std::nearbyint(levels.value[i] * kLargestLevel);
    const int highest = static_cast<int>(kLargestLevel) - (n - 1 - i);
    const int level = std::isfinite(wanted)
                          ? std::clamp(static_cast<int>(std::clamp(wanted, -kLargestLevel, kLargestLevel)),
                                       previous + 1, highest)
                          : previous + 1;  // the loss will tell of it
    if (static_cast<float>(level) != wanted) levels.value[i] = static_cast<float>(level) / kLargestLevel;
    grid.levels[i] = static_cast<int8_t>(level);
    previous = level;
  }
}

}  // namespace

FakeQuantiser::FakeQuantiser(Network& network, const TypePlan& types, const quant::Importance& importance,
                             const format::OwnFormats& own, const QatOptions& options, ThreadPool& pool)
    : by_parameter_(types.size()), rule_(options.rule), pool_(pool) {
  bool is_any_uniform = false;
  for (size_t i = 0; i < types.size(); ++i) {
    const Parameter<float>& parameter = *network.parameters()[i];
    if (types[i] == tensor::Format::F32) continue;
    by_parameter_[i] = index_[parameter.name] = matrices_.size();
    Matrix& matrix = matrices_.emplace_back();
    matrix.parameter = &parameter;
    matrix.format = types[i];
    matrix.grid = own.grid_of(types[i], parameter.name);
    const auto known = importance.tensors().find(parameter.name);
    if (known != importance.tensors().end()) matrix.importance = known->second;
    if (own.rotated.contains(parameter.name)) {
      matrix.rotation = std::make_shared<tensor::Rotation>(own.rotation_seed, parameter.shape.n_columns);
      matrix.rotated.resize(parameter.value.size());
      if (!matrix.importance.empty()) quant::rotate_importance(*matrix.rotation, matrix.importance);
      rotate(matrix);
    }
    matrix.blocks.resize(tensor::row_bytes(types[i], parameter.shape.n_columns) * parameter.shape.n_rows);
    matrix.quantised.resize(parameter.value.size());
    if (options.learned_steps || options.granularity) add_steps(matrix, options);
    if (own.codebooks.contains(parameter.name) && tensor::traits(types[i]).has_grid) {
      matrix.levels = levels_parameter(parameter.name, matrix.grid, kernels::grid_levels(types[i]));
      matrix.places.group = tensor::traits(types[i]).block_values;
    }
    is_any_uniform |= matrix.uniform != nullptr;
  }
  if ((options.learned_steps || options.granularity) && !is_any_uniform)
    throw Error(
        Errc::usage,
        "{}: no tensor gets a uniform grid (Q4_0, Q5_0, Q8_0, PIQ2, PIQ3, or --bits), whose steps could be "
        "{}",
        options.learned_steps ? "--ste lsq" : "--granularity", options.learned_steps ? "learned" : "shared");
}

void FakeQuantiser::add_steps(Matrix& matrix, const QatOptions& options) {
  const Parameter<float>& parameter = *matrix.parameter;
  matrix.uniform = find_uniform(matrix.format);
  if (!matrix.uniform) return;
  matrix.layout = step_layout(parameter.name, parameter.shape, *matrix.uniform,
                              options.granularity.value_or(GranularityOption{Granularity::block}));
  if (!options.learned_steps) return;
  // A row of its own shape, so that weight decay, which is for matrices, leaves it alone.
  matrix.log_steps = std::make_unique<Parameter<float>>();
  matrix.log_steps->name = parameter.name + ", its steps";
  matrix.log_steps->shape = {1, matrix.layout.n_steps()};
  search_learned_steps(matrix);
  matrix.log_steps->gradient.assign(matrix.log_steps->value.size(), 0.0f);
}

void FakeQuantiser::search_learned_steps(Matrix& matrix) {
  matrix.log_steps->value =
      search_steps(matrix.weights(), matrix.layout, *matrix.uniform, matrix.importance, pool_);
  for (float& value : matrix.log_steps->value) value = std::log(value);
}

void FakeQuantiser::restart_steps() {
  for (Matrix& matrix : matrices_) {
    if (!matrix.log_steps) continue;
    rotate(matrix);
    search_learned_steps(matrix);
  }
}

void FakeQuantiser::refresh() {
  for (Matrix& matrix : matrices_) refresh(matrix, kernels::Search::fast);
}

void FakeQuantiser::refresh_carefully() {
  for (Matrix& matrix : matrices_) refresh(matrix, kernels::Search::best);
}

void FakeQuantiser::rotate(Matrix& matrix) {
  if (!matrix.rotation) return;
  matrix.rotated.assign(matrix.parameter->value.begin(), matrix.parameter->value.end());
  matrix.rotation->apply(matrix.rotated);
}

void FakeQuantiser::refresh(Matrix& matrix, kernels::Search effort) {
  rotate(matrix);
  if (matrix.levels) round_levels(*matrix.levels, matrix.grid);
  const std::span<const float> weights = matrix.weights();
  if (!matrix.uniform) {
    encode_matrix(matrix.format, matrix.grid, matrix.parameter->shape, weights, matrix.importance, effort,
                  matrix.blocks, pool_);
  } else {
    if (matrix.log_steps) {
      matrix.steps.resize(matrix.layout.n_steps());
      std::ranges::transform(matrix.log_steps->value, matrix.steps.begin(),
                             [](float log) { return std::exp(log); });
    } else {
      matrix.steps = search_steps(weights, matrix.layout, *matrix.uniform, matrix.importance, pool_);
    }
    pack_uniform(weights, matrix.layout, *matrix.uniform, matrix.grid, matrix.steps, matrix.blocks, pool_);
  }
  decode(matrix);
}

void FakeQuantiser::decode(Matrix& matrix) {
  const Shape& shape = matrix.parameter->shape;
  const size_t row_bytes = matrix.blocks.size() / shape.n_rows;
  pool_.for_each_tile(shape.n_rows, [&](size_t row, int) {
    tensor::decode_rows(matrix.format, matrix.grid, shape.n_columns,
                        std::span<const std::byte>(matrix.blocks).subspan(row * row_bytes, row_bytes),
                        std::span(matrix.quantised).subspan(row * shape.n_columns, shape.n_columns));
  });
  if (matrix.levels) find_places(matrix);
}

// The codes and scales of the blocks: what the gradient of the levels goes by.
void FakeQuantiser::find_places(Matrix& matrix) {
  const Shape& shape = matrix.parameter->shape;
  const size_t row_bytes = matrix.blocks.size() / shape.n_rows, group = matrix.places.group;
  const size_t n_groups = (shape.n_columns + group - 1) / group;
  matrix.places.codes.resize(shape.n_values());
  matrix.places.scales.resize(shape.n_rows * n_groups);
  pool_.for_each_tile(shape.n_rows, [&](size_t row, int) {
    const std::span<float> scales = std::span(matrix.places.scales).subspan(row * n_groups, n_groups);
    kernels::unpack_piq_row(matrix.format, matrix.blocks.data() + row * row_bytes, shape.n_columns,
                            scales.data(), matrix.places.codes.data() + row * shape.n_columns);
    for (float& scale : scales) scale *= matrix.grid.unit * kLargestLevel;
  });
}

Var FakeQuantiser::quantise(Tape<float>& tape, Matrix& matrix, Var weight) {
  if (matrix.levels)
    return codebook_quantise<float>(tape, weight, tape.parameter(*matrix.levels), matrix.places,
                                    matrix.quantised, rule_);
  if (!matrix.log_steps) return fake_quantise<float>(tape, weight, matrix.quantised, rule_);
  return lsq_quantise<float>(tape, weight, tape.parameter(*matrix.log_steps), matrix.layout.group,
                             matrix.uniform->least(), matrix.uniform->most(), matrix.quantised);
}

Network::WeightHook FakeQuantiser::hook() {
  return [this](Tape<float>& tape, const std::string& name, Var weight) {
    const auto found = index_.find(name);
    if (found == index_.end() || !is_active_) return weight;
    Matrix& matrix = matrices_[found->second];
    if (!matrix.rotation) return quantise(tape, matrix, weight);
    const Var turned = rotate_rows(tape, weight, *matrix.rotation, false);
    return rotate_rows(tape, quantise(tape, matrix, turned), *matrix.rotation, true);
  };
}

std::vector<Parameter<float>*> FakeQuantiser::learned() {
  std::vector<Parameter<float>*> parameters;
  for (Matrix& matrix : matrices_)
    for (const auto& learned : {&matrix.log_steps, &matrix.levels})
      if (*learned) parameters.push_back(learned->get());
  return parameters;
}

void FakeQuantiser::describe(format::OwnFormats& own) const {
  for (const Matrix& matrix : matrices_)
    if (matrix.levels)
      std::copy_n(matrix.grid.levels, matrix.levels->value.size(),
                  own.codebooks[matrix.parameter->name].begin());
}

FakeQuantiser::Snapshot FakeQuantiser::snapshot() const {
  Snapshot snapshot;
  for (const Matrix& matrix : matrices_) {
    snapshot.grids.push_back(matrix.grid);
    snapshot.blocks.push_back(matrix.blocks);
  }
  return snapshot;
}

void FakeQuantiser::restore(const Snapshot& snapshot) {
  RUVLLM_ASSERT(snapshot.blocks.size() == matrices_.size());
  for (size_t i = 0; i < matrices_.size(); ++i) {
    matrices_[i].grid = snapshot.grids[i];
    matrices_[i].blocks = snapshot.blocks[i];
    decode(matrices_[i]);
  }
}

bool FakeQuantiser::encode(size_t parameter, std::span<std::byte> blocks) const {
  if (!by_parameter_[parameter]) return false;
  const Matrix& matrix = matrices_[*by_parameter_[parameter]];
  RUVLLM_ASSERT(blocks.size() == matrix.blocks.size());
  std::ranges::copy(matrix.blocks, blocks.begin());
  return true;
}

std::vector<FakeQuantiser::MatrixError> FakeQuantiser::errors() const {
  std::vector<MatrixError> errors;
  for (const Matrix& matrix : matrices_) {
    double miss = 0, size = 0;
    for (size_t i = 0; i < matrix.quantised.size(); ++i) {
      const double weight = static_cast<double>(matrix.weights()[i]);  // a rotation keeps errors
      const double difference = static_cast<double>(matrix.quantised[i]) - weight;
      miss += difference * difference;
      size += weight * weight;
    }
    errors.push_back({matrix.parameter->name, size > 0 ? std::sqrt(miss / size) : 0});
  }
  return errors;
}

}  // namespace ruvllm::train
