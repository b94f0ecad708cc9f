#include "engine/calibrate.h"

#include "base/error.h"
#include "base/finite.h"
#include "base/utf8.h"
#include "kv/kv_cache.h"
#include "model/matrix_names.h"
#include "tensor/gemm.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

namespace ruvllm::engine {
namespace {

/// Tokens in a pass.
constexpr size_t kPassTokens = 128;

/// Sums of squares of one tensor's inputs.
struct Sums {
  std::vector<double> squares;  // (n_experts, n_columns)
  std::vector<uint64_t> counts;
};

class Collector {
 public:
  Collector(const model::Weights& weights, const format::ModelFile& file) {
    for (const model::NamedMatrix& named : model::name_matrices(weights, file)) {
      Sums& sums = sums_[named.tensor];
      sums.squares.resize(named.n_experts * named.matrix->n_columns());
      sums.counts.resize(named.n_experts);
      places_[named.matrix] = {&sums, named.expert};
    }
  }

  void see(const tensor::PackedMatrix& matrix, std::span<const float> x, uint64_t n_rows) {
    const auto place = places_.find(&matrix);
    if (place == places_.end()) return;
    const auto [sums, expert] = place->second;
    const uint64_t n_columns = matrix.n_columns();
    double* squares = sums->squares.data() + expert * n_columns;
    for (uint64_t row = 0; row < n_rows; ++row)
      for (uint64_t i = 0; i < n_columns; ++i) {
        const double value = static_cast<double>(x[row * n_columns + i]);
        squares[i] += value * value;
      }
    sums->counts[expert] += n_rows;
  }

  std::map<std::string, format::ImatrixEntry> take() const {
    std::map<std::string, format::ImatrixEntry> entries;
    for (const auto& [name, sums] : sums_) {
      if (std::ranges::all_of(sums.counts, [](uint64_t n) { return n == 0; })) continue;
      format::ImatrixEntry& entry = entries[name] = {{sums.squares.begin(), sums.squares.end()}, sums.counts};
      require_finite(entry.sums,
                     fmt::format("the model is broken: what {} sees of the text", printable(name)));
    }
    return entries;
  }

 private:
  struct Place {
    Sums* sums;
    uint32_t expert;
  };
  std::map<std::string, Sums> sums_;  // addresses of its values stay
  std::unordered_map<const tensor::PackedMatrix*, Place> places_;
};

/// Reads the text chunk by chunk, each in an empty cache; on_states sees what comes before the head. Returns
/// the number of chunks.
uint64_t read_text(model::Runner& runner, const text::Tokenizer& tokenizer, std::string_view text,
                   const CalibrationOptions& options,
                   const std::function<void(std::span<const float> states, uint64_t n_rows)>& on_states) {
  RUVLLM_ASSERT(options.context >= 2);
  const std::vector<text::TokenId> tokens =
      tokenizer.encode(text, {.add_special = false, .parse_special = false});
  if (tokens.empty()) throw Error(Errc::usage, "the text to calibrate on has no token");
  const auto cache = kv::make_contiguous_cache(runner.model().kv_shape(kv::KvFormat::q16, kv::KvFormat::q16),
                                               options.context);
  const size_t step = options.context - (tokenizer.bos() ? 1 : 0);
  uint64_t n_chunks = 0;
  for (size_t at = 0; at < tokens.size(); at += step, ++n_chunks) {
    std::vector<text::TokenId> chunk;
    if (tokenizer.bos()) chunk.push_back(*tokenizer.bos());
    const auto part = std::span(tokens).subspan(at, std::min(step, tokens.size() - at));
    chunk.insert(chunk.end(), part.begin(), part.end());
    cache->truncate(0);
    for (size_t first = 0; first < chunk.size(); first += kPassTokens) {
      const model::Segment segment{
          std::span(chunk).subspan(first, std::min(kPassTokens, chunk.size() - first)), cache.get(),
          model::Answers::all};
      on_states(runner.hidden({&segment, 1}), segment.tokens.size());
    }
    if (options.progress) options.progress(std::min(at + step, tokens.size()), tokens.size());
  }
  return n_chunks;
}

}  // namespace

format::ImatrixFile collect_importance(const std::shared_ptr<const model::Model>& model,
                                       const format::ModelFile& file, const text::Tokenizer& tokenizer,
                                       ThreadPool& pool, std::string_view text,
                                       const CalibrationOptions& options) {
  Collector collector(model->weights(), file);
  model::Runner runner(model, pool);
  runner.observe([&](const tensor::PackedMatrix& matrix, std::span<const float> x, uint64_t n_rows) {
    collector.see(matrix, x, n_rows);
  });
  format::ImatrixFile result;
  result.chunk_tokens = options.context;
  result.n_chunks =
      read_text(runner, tokenizer, text, options, [&](std::span<const float> states, uint64_t n_rows) {
        if (model->weights().output) collector.see(model->weights().output.matrix, states, n_rows);
      });
  result.entries = collector.take();
  return result;
}

std::map<std::string, quant::Hessian> collect_hessians(const std::shared_ptr<const model::Model>& model,
                                                       const format::ModelFile& file,
                                                       const text::Tokenizer& tokenizer, ThreadPool& pool,
                                                       std::string_view text,
                                                       const CalibrationOptions& options,
                                                       const std::set<std::string>& tensors) {
  std::map<std::string, quant::Hessian> hessians;
  std::unordered_map<const tensor::PackedMatrix*, quant::Hessian*> places;
  for (const model::NamedMatrix& named : model::name_matrices(model->weights(), file)) {
    if (named.n_experts > 1 || !tensors.contains(named.tensor)) continue;
    const uint64_t n = named.matrix->n_columns();
    quant::Hessian& hessian = hessians[named.tensor];
    hessian = {n, std::vector<float>(n * n, 0.0f)};
    places[named.matrix] = &hessian;
  }
  tensor::GemmScratch scratch;
  const auto see = [&](const tensor::PackedMatrix& matrix, std::span<const float> x, uint64_t n_rows) {
    const auto place = places.find(&matrix);
    if (place == places.end()) return;
    const uint64_t n = matrix.n_columns();
    tensor::gemm(pool, {n, n, n_rows}, {x.data(), 1, n}, {x.data(), n, 1}, place->second->sums.data(), n,
                 true, scratch);
  };
  model::Runner runner(model, pool);
  runner.observe(see);
  read_text(runner, tokenizer, text, options, [&](std::span<const float> states, uint64_t n_rows) {
    if (model->weights().output) see(model->weights().output.matrix, states, n_rows);
  });
  for (const auto& [name, hessian] : hessians)
    require_finite(hessian.sums,
                   fmt::format("the model is broken: what {} sees of the text", printable(name)));
  return hessians;
}

}  // namespace ruvllm::engine
