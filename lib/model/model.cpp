#include "model/model.h"

#include "model/weights.h"

namespace ruvllm::model {

std::shared_ptr<const Model> Model::load(std::shared_ptr<const format::ModelFile> file, ThreadPool& pool,
                                         const LoadProgress& progress, const TensorConversion& convert) {
  auto hparams = std::make_unique<const HyperParameters>(read_hyper_parameters(*file));
  auto weights = std::make_unique<const Weights>(load_weights(*hparams, *file, pool, progress, convert));
  return std::make_shared<const Model>(std::move(hparams), std::move(weights));
}

Model::Model(std::unique_ptr<const HyperParameters> hparams, std::unique_ptr<const Weights> weights)
    : hparams_(std::move(hparams)), weights_(std::move(weights)) {}

Model::~Model() = default;

uint64_t Model::n_parameters() const { return weights_->n_parameters; }

uint64_t Model::weight_bytes() const { return weights_->n_bytes; }

kv::KvShape Model::kv_shape(kv::KvFormat keys, kv::KvFormat values) const {
  return {.n_layers = hparams_->n_layers,
          .n_kv_heads = hparams_->n_kv_heads,
          .key_dimension = hparams_->head_dimension,
          .value_dimension = hparams_->head_dimension,
          .key_format = keys,
          .value_format = values};
}

}  // namespace ruvllm::model
