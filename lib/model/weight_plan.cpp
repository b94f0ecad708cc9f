#include "model/weight_plan.h"

#include "base/utf8.h"
#include "tensor/ops.h"

#include <algorithm>
#include <numeric>

namespace ruvllm::model {
namespace {

/// "4096x512"
std::string shape_text(std::span<const uint64_t> dimensions) {
  return fmt::format("{}", fmt::join(dimensions, "x"));
}

/// Dimensions without ones at the end, which carry no meaning.
std::span<const uint64_t> significant(std::span<const uint64_t> dimensions) {
  while (dimensions.size() > 1 && dimensions.back() == 1)
    dimensions = dimensions.first(dimensions.size() - 1);
  return dimensions;
}

}  // namespace

const format::Tensor* WeightPlan::claim(const std::string& name, std::span<const uint64_t> dimensions,
                                        Need need) {
  const format::Tensor* tensor = file_.find(name);
  if (!tensor) {
    if (need == Need::optional) return nullptr;
    throw Error(Errc::corrupt_file, "{}: tensor \"{}\" is missing", printable(file_.source), name);
  }
  if (!std::ranges::equal(significant(tensor->dimensions), significant(dimensions)))
    throw Error(Errc::corrupt_file, "{}: tensor \"{}\" is {}, expected {}", printable(file_.source), name,
                shape_text(tensor->dimensions), shape_text(dimensions));
  claimed_[static_cast<size_t>(tensor - file_.tensors.data())] = true;
  return tensor;
}

uint64_t WeightPlan::n_rows(const std::string& name) const {
  const format::Tensor* tensor = file_.find(name);
  return tensor && tensor->dimensions.size() > 1 ? tensor->dimensions[1] : 1;
}

void WeightPlan::require(const std::string& name, std::initializer_list<uint64_t> dimensions) {
  claim(name, dimensions, Need::required);
}

bool WeightPlan::matrix(const std::string& name, uint64_t n_columns, std::initializer_list<MatrixPart> parts,
                        Need need) {
  uint64_t n_rows = 0;
  for (const MatrixPart& part : parts) n_rows += part.n_rows;
  const uint64_t dimensions[] = {n_columns, n_rows};
  const format::Tensor* tensor = claim(name, dimensions, need);
  if (!tensor) return false;
  uint64_t first = 0;
  for (const MatrixPart& part : parts) {
    steps_.push_back({tensor, first, part.n_rows, n_columns, part.matrix, nullptr});
    first += part.n_rows;
  }
  return true;
}

void WeightPlan::stack(const std::string& name, uint64_t n_columns, uint64_t n_rows,
                       std::span<tensor::PackedMatrix* const> matrices) {
  const uint64_t dimensions[] = {n_columns, n_rows, matrices.size()};
  const format::Tensor* tensor = claim(name, dimensions, Need::required);
  for (size_t i = 0; i < matrices.size(); ++i)
    steps_.push_back({tensor, i * n_rows, n_rows, n_columns, matrices[i], nullptr});
}

bool WeightPlan::vector(const std::string& name, std::initializer_list<VectorPart> parts, Need need) {
  uint64_t n_values = 0;
  for (const VectorPart& part : parts) n_values += part.n_values;
  const uint64_t dimensions[] = {n_values};
  const format::Tensor* tensor = claim(name, dimensions, need);
  if (!tensor) return false;
  if (tensor::traits(tensor->format).is_quantised && parts.size() > 1)
    throw Error(Errc::corrupt_file, "{}: tensor \"{}\" is {}, expected F32", printable(file_.source), name,
                tensor::format_name(tensor->format));
  uint64_t first = 0;
  for (const VectorPart& part : parts) {
    steps_.push_back({tensor, first, part.n_values, 1, nullptr, part.values});
    first += part.n_values;
  }
  return true;
}

bool WeightPlan::table(const std::string& name, uint64_t n_columns, uint64_t n_rows,
                       std::vector<float>& values, uint64_t n_kept, Need need) {
  const uint64_t dimensions[] = {n_columns, n_rows};
  const format::Tensor* tensor = claim(name, dimensions, need);
  if (!tensor) return false;
  steps_.push_back({tensor, 0, n_kept, n_columns, nullptr, &values});
  return true;
}

void WeightPlan::refuse_unclaimed() const {
  const auto unknown = std::find(claimed_.begin(), claimed_.end(), false);
  if (unknown != claimed_.end())
    throw Error(Errc::corrupt_file, "{}: tensor \"{}\" has no place in this architecture",
                printable(file_.source),
                printable(file_.tensors[static_cast<size_t>(unknown - claimed_.begin())].name, 64));
}

void WeightPlan::pack(ThreadPool& pool, const Step& step, const format::Tensor& tensor) const {
  if (step.values) {
    step.values->resize(step.n_rows * step.n_columns);
    tensor.decode(step.first_row * step.n_columns, *step.values);
    return;
  }
  const uint64_t row_bytes = tensor::row_bytes(tensor.format, step.n_columns);
  const tensor::MatrixView view{tensor.format,
                                step.n_rows,
                                step.n_columns,
                                tensor.bytes.subspan(step.first_row * row_bytes, step.n_rows * row_bytes),
                                tensor.grid,
                                tensor.rotation,
                                tensor.scale_of_row(step.first_row)};
  const MappedFile& mapped = file_.files[tensor.file_index];
  const bool is_mapped = &tensor == step.tensor;
  *step.matrix = tensor::PackedMatrix(pool, view, [&](std::span<const std::byte> part) {
    if (is_mapped) mapped.give_back(part);
  });
}

uint64_t WeightPlan::bytes_of(const Step& step, const format::Tensor& tensor) {
  if (step.n_rows * step.n_columns == tensor.n_values()) return tensor.bytes.size();
  return tensor::row_bytes(tensor.format, step.n_columns) * step.n_rows;
}

uint64_t WeightPlan::load(ThreadPool& pool, const LoadProgress& progress,
                          const TensorConversion& convert) const {
  std::vector<const Step*> order(steps_.size());
  std::transform(steps_.begin(), steps_.end(), order.begin(), [](const Step& step) { return &step; });
  std::sort(order.begin(), order.end(), [](const Step* a, const Step* b) {
    return std::tuple(a->tensor->file_index, a->tensor->file_offset, a->first_row) <
           std::tuple(b->tensor->file_index, b->tensor->file_offset, b->first_row);
  });
  const uint64_t total = n_bytes();
  uint64_t n_packed = 0, done = 0;
  for (const Step* step : order) {
    const format::Tensor& tensor = convert ? convert(*step->tensor) : *step->tensor;
    pack(pool, *step, tensor);
    n_packed += bytes_of(*step, tensor);
    done += bytes_of(*step, *step->tensor);
    if (progress) progress(std::min(done, total), total);
  }
  return n_packed;
}

uint64_t WeightPlan::n_parameters() const {
  return std::accumulate(file_.tensors.begin(), file_.tensors.end(), uint64_t{0},
                         [](uint64_t sum, const format::Tensor& tensor) { return sum + tensor.n_values(); });
}

uint64_t WeightPlan::n_bytes() const {
  return std::accumulate(
      file_.tensors.begin(), file_.tensors.end(), uint64_t{0},
      [](uint64_t sum, const format::Tensor& tensor) { return sum + tensor.bytes.size(); });
}

}  // namespace ruvllm::model
