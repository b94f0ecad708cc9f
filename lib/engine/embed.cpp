#include "engine/embed.h"

#include "base/error.h"
#include "base/finite.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

namespace ruvllm::engine {
namespace {

// Tokens in a pass: as many as keep matrix products busy.
constexpr size_t kPassTokens = 1024;

constexpr std::array<std::pair<std::string_view, Pooling>, 3> kPoolingNames = {
    {{"mean", Pooling::mean}, {"cls", Pooling::cls}, {"last", Pooling::last}}};

void normalise(std::span<float> vector) {
  double squares = 0;
  for (const float value : vector) squares += double{value} * value;
  if (squares == 0) return;
  for (float& value : vector) value = static_cast<float>(value / std::sqrt(squares));
}

}  // namespace

Pooling find_pooling(std::string_view name) {
  for (const auto& [known, pooling] : kPoolingNames)
    if (known == name) return pooling;
  throw Error(Errc::usage, "pooling \"{}\" is unknown; choose mean, cls or last", name);
}

std::string_view pooling_name(Pooling pooling) {
  for (const auto& [name, known] : kPoolingNames)
    if (known == pooling) return name;
  RUVLLM_ASSERT(false);
}

Embedder::Embedder(std::shared_ptr<const model::Model> model,
                   std::shared_ptr<const text::Tokenizer> tokenizer, ThreadPool& pool,
                   const EmbeddingOptions& options)
    : model_(model),
      tokenizer_(std::move(tokenizer)),
      runner_(std::move(model), pool, options.precision),
      options_(options),
      pooling_(options.pooling.value_or(model_->hparams().pooling())) {}

std::vector<Embedding> Embedder::embed(std::span<const std::string> texts) {
  std::vector<std::vector<text::TokenId>> tokens;
  for (const std::string& text : texts) {
    tokens.push_back(tokenizer_->encode(text, {.add_special = true, .parse_special = false}));
    if (tokens.back().empty()) throw Error(Errc::usage, "a text without tokens has no embedding");
    if (tokens.back().size() > model_->hparams().n_context)
      throw Error(Errc::usage, "a text of {} tokens is longer than the model's context of {}",
                  tokens.back().size(), model_->hparams().n_context);
  }
  std::vector<Embedding> all;
  for (size_t first = 0; first < tokens.size();) {
    size_t end = first, n = 0;
    while (end < tokens.size() && (end == first || n + tokens[end].size() <= kPassTokens))
      n += tokens[end++].size();
    std::ranges::move(embed_batch(std::span(tokens).subspan(first, end - first)), std::back_inserter(all));
    first = end;
  }
  return all;
}

std::vector<Embedding> Embedder::embed_batch(std::span<const std::vector<text::TokenId>> texts) {
  std::vector<std::unique_ptr<kv::KvCache>> caches;
  std::vector<model::Segment> segments;
  for (const std::vector<text::TokenId>& tokens : texts) {
    const kv::KvShape shape = model_->kv_shape(kv::KvFormat::f32, kv::KvFormat::f32);
    caches.push_back(kv::make_contiguous_cache(shape, static_cast<uint32_t>(tokens.size())));
    segments.push_back({tokens, caches.back().get(), model::Answers::all});
  }
  std::span<const float> states = runner_.hidden(segments);
  std::vector<Embedding> found;
  for (const std::vector<text::TokenId>& tokens : texts) {
    const size_t n = tokens.size() * model_->hparams().width;
    found.push_back({pool_states(states.first(n)), static_cast<uint32_t>(tokens.size())});
    states = states.subspan(n);
  }
  return found;
}

std::vector<float> Embedder::pool_states(std::span<const float> states) const {
  const size_t width = model_->hparams().width, n = states.size() / width;
  std::vector<float> vector;
  if (pooling_ == Pooling::mean) {
    for (size_t i = 0; i < width; ++i) {
      double sum = 0;
      for (size_t row = 0; row < n; ++row) sum += states[row * width + i];
      vector.push_back(static_cast<float>(sum / static_cast<double>(n)));
    }
  } else {
    const std::span<const float> state = pooling_ == Pooling::cls ? states.first(width) : states.last(width);
    vector.assign(state.begin(), state.end());
  }
  require_finite(vector, fmt::format("the model is broken: the embedding of a text of {} tokens", n));
  if (options_.normalise) normalise(vector);
  return vector;
}

}  // namespace ruvllm::engine
