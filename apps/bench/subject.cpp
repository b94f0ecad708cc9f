#include "subject.h"

#include "base/error.h"
#include "base/random.h"
#include "cli/load_model.h"
#include "cli/model_options.h"
#include "model/hparams.h"
#include "model/weights.h"
#include "synthetic.h"

#include <algorithm>
#include <chrono>
#include <map>

namespace ruvllm::bench {
namespace {

using Clock = std::chrono::steady_clock;

// Tokens of a prompt that are fed at once, as the engine does.
constexpr int kPrefillChunk = 512;

// A sample lasts at least so long, of as many passes as that takes: shorter ones tell whether a scheduler's
// slice ended in them.
constexpr double kLeastSeconds = 0.05;

/// The weight type that most bytes of a file are in.
std::string main_type(const format::ModelFile& file) {
  std::map<std::string_view, uint64_t> bytes;
  for (const format::Tensor& tensor : file.tensors)
    bytes[tensor::format_name(tensor.format)] += tensor.bytes.size();
  const auto most =
      std::max_element(bytes.begin(), bytes.end(), [](auto& a, auto& b) { return a.second < b.second; });
  return most == bytes.end() ? "none" : std::string(most->first);
}

/// The format that most bytes of all layers' matrices are in.
tensor::Format layer_format(const model::Model& model) {
  std::map<tensor::Format, uint64_t> bytes;
  for (const model::LayerWeights& layer : model.weights().layers) {
    for (const model::Linear* linear : {&layer.query, &layer.output, &layer.ffn.up, &layer.ffn.down})
      bytes[linear->matrix.format()] += linear->matrix.n_bytes();
    for (const model::FeedForwardWeights& expert : layer.experts)
      bytes[expert.up.matrix.format()] += expert.up.matrix.n_bytes();
  }
  return std::ranges::max_element(bytes, {}, [](const auto& row) { return row.second; })->first;
}

/// Matrices that every token is multiplied with: those of all layers.
uint64_t layer_parameters(const model::Model& model) {
  const model::Weights& weights = model.weights();
  const uint64_t table = weights.token_embedding.n_rows() * weights.token_embedding.n_columns();
  return model.n_parameters() - table * (weights.output ? 2 : 1);
}

/// Bytes of weights that one step reads: all but the embedding table, unless it is the head too.
uint64_t step_bytes(const model::Model& model) {
  const model::Weights& weights = model.weights();
  return model.weight_bytes() - (weights.output ? weights.token_embedding.n_bytes() : 0);
}

}  // namespace

Subject::Subject(const std::string& reference, const std::string& quantize_on_load, int n_threads,
                 kv::KvFormat kv_format, const cli::CommonOptions& common)
    : kv_format_(kv_format) {
  std::shared_ptr<const format::ModelFile> file;
  if (is_synthetic(reference)) {
    file = make_synthetic(reference);
    name_ = reference;
  } else {
    const std::filesystem::path path = cli::resolve_model(reference, common);
    file = format::open_model_file(path);
    name_ = path.filename().string();
  }
  ThreadPool pool(n_threads);
  model_ = cli::pack_model(file, name_, pool, common, quantize_on_load);
  type_ = quantize_on_load.empty() ? main_type(*file) : quantize_on_load;
  file_bytes_ = quantize_on_load.empty() ? file->file_bytes() : model_->weight_bytes();
}

std::string Subject::type() const { return type_; }

void Subject::prepare(const SpeedTest& test, ThreadPool& pool) {
  if (pool_ != &pool) {
    pool_ = &pool;
    runner_ = std::make_unique<model::Runner>(model_, pool);
  }
  const uint32_t capacity = static_cast<uint32_t>(test.depth + test.n_prompt + test.n_generated);
  if (model_->hparams().n_context < capacity)
    throw Error(Errc::usage, "{} needs {} tokens of context; the model has {}", test.name(), capacity,
                model_->hparams().n_context);
  caches_.resize(static_cast<size_t>(test.batch));
  for (auto& cache : caches_)
    if (!cache || cache->capacity() < capacity)
      cache = kv::make_contiguous_cache(model_->kv_shape(kv_format_, kv_format_), capacity);
  Random random(1);
  tokens_.resize(kPrefillChunk);
  for (int32_t& token : tokens_) token = static_cast<int32_t>(random.below(model_->hparams().n_vocabulary));
}

void Subject::forward(int n_tokens) {
  std::vector<model::Segment> segments;
  for (auto& cache : caches_)
    segments.push_back({std::span(tokens_).first(static_cast<size_t>(n_tokens)), cache.get()});
  runner_->forward(segments);
}

double Subject::run(const SpeedTest& test, ThreadPool& pool) {
  prepare(test, pool);
  double seconds = 0;
  int n_passes = 0;
  for (; seconds < kLeastSeconds; ++n_passes) seconds += pass(test);
  return n_passes * test.batch * (test.n_prompt + test.n_generated) / seconds;
}

double Subject::pass(const SpeedTest& test) {
  for (auto& cache : caches_) cache->truncate(std::min(cache->n_tokens(), static_cast<uint32_t>(test.depth)));
  while (caches_[0]->n_tokens() < static_cast<uint32_t>(test.depth))
    forward(std::min(kPrefillChunk, test.depth - static_cast<int>(caches_[0]->n_tokens())));
  cli::throw_if_interrupted();
  const auto start = Clock::now();
  for (int done = 0; done < test.n_prompt; done += kPrefillChunk)
    forward(std::min(kPrefillChunk, test.n_prompt - done));
  for (int done = 0; done < test.n_generated; ++done) {
    forward(1);
    cli::throw_if_interrupted();
  }
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double Subject::limit(const SpeedTest& test, const MachineLimits& limits) const {
  const double operations_per_second = limits.operations_per_second(layer_format(*model_));
  if (test.n_prompt > 0)
    return operations_per_second / (2.0 * static_cast<double>(layer_parameters(*model_)));
  const double tokens_before = test.depth + test.n_generated / 2.0;
  const double kv_bytes =
      tokens_before * static_cast<double>(model_->kv_shape(kv_format_, kv_format_).token_bytes());
  const double bytes = static_cast<double>(step_bytes(*model_)) + test.batch * kv_bytes;
  const double by_reading = test.batch * limits.read_bytes_per_second / bytes;
  const double by_products = operations_per_second / (2.0 * static_cast<double>(model_->n_parameters()));
  return std::min(by_reading, by_products);
}

}  // namespace ruvllm::bench
