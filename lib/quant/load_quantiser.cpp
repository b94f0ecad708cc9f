#include "quant/load_quantiser.h"

#include <algorithm>

namespace ruvllm::quant {
namespace {

Plan plan_as_file(const format::ModelFile& model, std::string_view type) {
  Recipe recipe;
  recipe.mix = &find_mix(type);
  return plan_model(model, choose_formats(model, recipe), {.file_type = recipe.mix->file_type}, {}, {});
}

}  // namespace

LoadQuantiser::LoadQuantiser(const format::ModelFile& model, std::string_view type, ThreadPool& pool)
    : model_(model),
      pool_(pool),
      plan_(plan_as_file(model, type)),
      scratch_(static_cast<size_t>(pool.n_threads())) {}

const format::Tensor& LoadQuantiser::convert(const format::Tensor& tensor) {
  const size_t i = static_cast<size_t>(&tensor - model_.tensors.data());
  const format::TensorPlan& plan = plan_.tensors[i];
  if (plan.format == tensor.format) return tensor;
  if (last_ == &tensor) return made_;
  last_ = nullptr;
  bytes_.resize(plan.n_bytes());
  const TensorJob job = {tensor,       plan.format, plan_.own.grid_of(plan.format, tensor.name),
                         nullptr,      {},          importance_,
                         Search::fast, nullptr};
  const std::vector<Piece> pieces = job.cut(kPieceValues);
  pool_.for_each_tile(pieces.size(), [&](size_t p, int worker) {
    Scratch& mine = scratch_[static_cast<size_t>(worker)];
    encode_piece(job, pieces[p], mine);
    const Place place = place_of(plan.format, tensor, pieces[p]);
    std::ranges::copy(mine.encoded, bytes_.begin() + static_cast<std::ptrdiff_t>(place.offset));
    if (!model_.files.empty()) model_.files[tensor.file_index].give_back(bytes_of(tensor, pieces[p]));
  });
  made_ = tensor;
  made_.format = plan.format;
  made_.grid = job.grid;
  made_.rotation = nullptr;
  made_.scales.clear();
  made_.bytes = bytes_;
  last_ = &tensor;
  return made_;
}

}  // namespace ruvllm::quant
