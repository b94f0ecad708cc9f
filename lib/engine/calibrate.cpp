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

  /// Adds what another saw of the same model.
  void add(const Collector& other) {
    for (auto& [name, sums] : sums_) {
      const Sums& more = other.sums_.at(name);
      for (size_t i = 0; i < sums.squares.size(); ++i) sums.squares[i] += more.squares[i];
      for (size_t i = 0; i < sums.counts.size(); ++i) sums.counts[i] += more.counts[i];
    }
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

/// Keeps some of the inputs that matrices meet, evenly among all.
class Keeper {
 public:
  /// n_tokens inputs will be seen.
  Keeper(const model::Weights& weights, const format::ModelFile& file, uint64_t n_tokens, uint64_t max_bytes)
      : file_(file), n_tokens_(n_tokens) {
    uint64_t n_columns = 0;
    for (const model::NamedMatrix& named : model::name_matrices(weights, file)) {
      names_.insert(named.tensor);
      if (model::first_with_input_of(file, named.tensor) != named.tensor) continue;
      if (named.expert == 0) n_columns += named.matrix->n_columns();
      add(named.matrix, named.tensor, named.expert, named.n_experts);
    }
    if (!weights.output && file.find("token_embd.weight") != nullptr) {  // the head, too
      names_.insert("token_embd.weight");
      n_columns += weights.token_embedding.n_columns();
      add(&weights.token_embedding, "token_embd.weight", 0, 1);
    }
    n_kept_ = std::clamp<uint64_t>(max_bytes / sizeof(float) / std::max<uint64_t>(1, n_columns),
                                   kFewestInputs, kMostInputs);
  }

  void see(const tensor::PackedMatrix& matrix, std::span<const float> x, uint64_t n_rows) {
    const auto found = places_.find(&matrix);
    if (found == places_.end()) return;
    Place& place = found->second;
    quant::HeldInputs& inputs = (*place.inputs)[place.expert];
    inputs.n_columns = matrix.n_columns();
    const uint64_t wanted = std::max<uint64_t>(kFewestInputs, n_kept_ / place.inputs->size());
    for (uint64_t row = 0; row < n_rows; ++row, ++place.n_seen) {
      // Number i of n is kept where i * wanted / n begins a new whole number.
      if (place.n_seen > 0 && place.n_seen * wanted / n_tokens_ == (place.n_seen - 1) * wanted / n_tokens_)
        continue;
      const auto first = x.begin() + static_cast<std::ptrdiff_t>(row * inputs.n_columns);
      inputs.rows.insert(inputs.rows.end(), first, first + static_cast<std::ptrdiff_t>(inputs.n_columns));
    }
  }

  quant::HeldBack take() {
    quant::HeldBack held;
    for (const std::string& name : names_) {
      const auto found = inputs_.find(model::first_with_input_of(file_, name));
      if (found != inputs_.end()) held[name] = found->second;
    }
    return held;
  }

 private:
  static constexpr uint64_t kFewestInputs = 16, kMostInputs = 256;
  struct Place {
    std::vector<quant::HeldInputs>* inputs;
    uint32_t expert;
    uint64_t n_seen = 0;
  };

  void add(const tensor::PackedMatrix* matrix, const std::string& name, uint32_t expert, uint32_t n_experts) {
    auto& inputs = inputs_[name];
    if (inputs == nullptr) inputs = std::make_shared<std::vector<quant::HeldInputs>>(n_experts);
    places_[matrix] = {inputs.get(), expert};
  }

  const format::ModelFile& file_;
  uint64_t n_tokens_, n_kept_ = 0;
  std::set<std::string> names_;
  std::map<std::string, std::shared_ptr<std::vector<quant::HeldInputs>>> inputs_;
  std::unordered_map<const tensor::PackedMatrix*, Place> places_;
};

/// How a text is cut into chunks, and which of them are held back.
struct Chunks {
  std::vector<text::TokenId> tokens;
  size_t step;  // tokens of a chunk
  bool any_held_back;

  bool is_held_back(size_t at) const { return any_held_back && at / step % 4 == 3; }
  uint64_t n_held_back() const {
    uint64_t n = 0;
    for (size_t at = 0; at < tokens.size(); at += step)
      if (is_held_back(at)) n += std::min(step, tokens.size() - at);
    return n;
  }
};

/// Chunks of fewer tokens than this tell little.
constexpr size_t kLeastChunk = 32;

Chunks cut_text(const text::Tokenizer& tokenizer, std::string_view text, const CalibrationOptions& options) {
  RUVLLM_ASSERT(options.context >= 2);
  Chunks chunks{tokenizer.encode(text, {.add_special = false, .parse_special = false}),
                options.context - (tokenizer.bos() ? 1u : 0u), options.held_back_bytes > 0};
  if (chunks.tokens.empty()) throw Error(Errc::usage, "the text to calibrate on has no token");
  if (!chunks.any_held_back) return chunks;
  const size_t quarter = chunks.tokens.size() / 4;
  chunks.any_held_back = quarter >= std::min(kLeastChunk, chunks.step);
  if (chunks.any_held_back) chunks.step = std::min(chunks.step, quarter);
  return chunks;
}

/// Reads the text chunk by chunk, each in an empty cache, less those that begin_chunk (told their first
/// token) does not want; on_states sees what comes before the head. Returns the number of chunks read.
uint64_t read_text(model::Runner& runner, const text::Tokenizer& tokenizer, const Chunks& chunks,
                   const CalibrationOptions& options, const std::function<bool(size_t at)>& begin_chunk,
                   const std::function<void(std::span<const float> states, uint64_t n_rows)>& on_states) {
  const std::vector<text::TokenId>& tokens = chunks.tokens;
  const auto cache = kv::make_contiguous_cache(runner.model().kv_shape(kv::KvFormat::q16, kv::KvFormat::q16),
                                               options.context);
  uint64_t n_chunks = 0;
  for (size_t at = 0; at < tokens.size(); at += chunks.step) {
    if (!begin_chunk(at)) continue;
    ++n_chunks;
    std::vector<text::TokenId> chunk;
    if (tokenizer.bos()) chunk.push_back(*tokenizer.bos());
    const auto part = std::span(tokens).subspan(at, std::min(chunks.step, tokens.size() - at));
    chunk.insert(chunk.end(), part.begin(), part.end());
    cache->truncate(0);
    for (size_t first = 0; first < chunk.size(); first += kPassTokens) {
      const model::Segment segment{
          std::span(chunk).subspan(first, std::min(kPassTokens, chunk.size() - first)), cache.get(),
          model::Answers::all};
      on_states(runner.hidden({&segment, 1}), segment.tokens.size());
    }
    if (options.progress) options.progress(std::min(at + chunks.step, tokens.size()), tokens.size());
  }
  return n_chunks;
}

}  // namespace

Calibration calibrate(const std::shared_ptr<const model::Model>& model, const format::ModelFile& file,
                      const text::Tokenizer& tokenizer, ThreadPool& pool, std::string_view text,
                      const CalibrationOptions& options) {
  const model::Weights& weights = model->weights();
  const Chunks chunks = cut_text(tokenizer, text, options);
  Collector fitted(weights, file), held(weights, file);
  Keeper keeper(weights, file, std::max<uint64_t>(1, chunks.n_held_back()), options.held_back_bytes);
  bool is_held = false;
  uint64_t n_held = 0;
  const auto see = [&](const tensor::PackedMatrix& matrix, std::span<const float> x, uint64_t n_rows) {
    (is_held ? held : fitted).see(matrix, x, n_rows);
    if (is_held) keeper.see(matrix, x, n_rows);
  };
  model::Runner runner(model, pool);
  runner.observe(see);
  Calibration result;
  const uint64_t n_chunks = read_text(
      runner, tokenizer, chunks, options,
      [&](size_t at) {
        is_held = chunks.is_held_back(at);
        n_held += is_held;
        return true;
      },
      [&](std::span<const float> states, uint64_t n_rows) {
        see(weights.output ? weights.output.matrix : weights.token_embedding, states, n_rows);
      });
  result.fitted.chunk_tokens = result.whole.chunk_tokens = options.context;
  result.fitted.n_chunks = n_chunks - n_held;
  result.whole.n_chunks = n_chunks;
  result.fitted.entries = fitted.take();
  fitted.add(held);
  result.whole.entries = fitted.take();
  if (n_held > 0) result.held_back = keeper.take();
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
  const Chunks chunks = cut_text(tokenizer, text, options);
  read_text(
      runner, tokenizer, chunks, options,
      [&](size_t at) { return !options.skip_held_back || !chunks.is_held_back(at); },
      [&](std::span<const float> states, uint64_t n_rows) {
        if (model->weights().output) see(model->weights().output.matrix, states, n_rows);
      });
  for (const auto& [name, hessian] : hessians)
    require_finite(hessian.sums,
                   fmt::format("the model is broken: what {} sees of the text", printable(name)));
  return hessians;
}

}  // namespace ruvllm::engine
