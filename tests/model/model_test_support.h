// What tests of models share: loading reference models, running them, comparing logits.
#pragma once

#include "base/json.h"
#include "base/thread_pool.h"
#include "kv/kv_cache.h"
#include "model/hparams.h"
#include "model/model.h"
#include "test_support.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <memory>
#include <vector>

namespace ruvllm::test {

using Tokens = std::vector<int32_t>;

inline std::shared_ptr<const model::Model> load_model(const std::filesystem::path& path, int n_threads = 2) {
  ThreadPool pool(n_threads);
  return model::Model::load(format::open_model_file(path), pool);
}

inline std::unique_ptr<kv::KvCache> f32_cache(const model::Model& model, uint32_t capacity) {
  return kv::make_contiguous_cache(model.kv_shape(kv::KvFormat::f32, kv::KvFormat::f32), capacity);
}

struct RunOptions {
  int n_threads = 1;
  uint32_t chunk = 1u << 20;
  uint32_t capacity = 0;  ///< 0: as many as there are tokens
  tensor::ActivationPrecision precision = tensor::ActivationPrecision::fast;
};

/// Logits of every position: (tokens, n_vocabulary).
inline std::vector<float> logits_of(const std::shared_ptr<const model::Model>& model, const Tokens& tokens,
                                    const RunOptions& options = {}) {
  ThreadPool pool(options.n_threads);
  model::Runner runner(model, pool, options.precision);
  const auto n = static_cast<uint32_t>(tokens.size());
  const auto cache = f32_cache(*model, options.capacity ? options.capacity : n);
  std::vector<float> all;
  for (uint32_t at = 0; at < n; at += options.chunk) {
    const model::Segment segment{std::span(tokens).subspan(at, std::min(options.chunk, n - at)), cache.get(),
                                 model::Answers::all};
    const std::span<const float> some = runner.forward({&segment, 1});
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

/// The next n tokens by largest logit.
inline Tokens greedy(const std::shared_ptr<const model::Model>& model, Tokens tokens, size_t n,
                     const RunOptions& options = {}) {
  ThreadPool pool(options.n_threads);
  model::Runner runner(model, pool, options.precision);
  const auto cache =
      f32_cache(*model, options.capacity ? options.capacity : static_cast<uint32_t>(tokens.size() + n));
  Tokens generated;
  while (generated.size() < n) {
    const model::Segment segment{tokens, cache.get()};
    const std::span<const float> logits = runner.forward({&segment, 1});
    tokens = {static_cast<int32_t>(std::ranges::max_element(logits) - logits.begin())};
    generated.push_back(tokens[0]);
  }
  return generated;
}

inline double largest_difference(std::span<const float> a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - b[i]);
    largest = std::isnan(difference) ? INFINITY : std::max(largest, difference);
  }
  return largest;
}

inline nlohmann::json read_reference(const std::filesystem::path& path) {
  return nlohmann::json::parse(std::ifstream(path));
}

}  // namespace ruvllm::test
