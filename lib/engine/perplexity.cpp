#include "engine/perplexity.h"

#include "base/error.h"
#include "base/finite.h"
#include "engine/logits.h"
#include "model/hparams.h"

#include <algorithm>
#include <cmath>

namespace ruvllm::engine {
namespace {

using text::TokenId;

// Tokens in a pass: enough for the speed of a batch, few enough that their logits stay small.
constexpr size_t kChunkTokens = 64;

/// The tokens of one window, a leading BOS included; all but the first are scored.
using Window = std::vector<TokenId>;

std::vector<Window> cut_into_windows(const text::Tokenizer& tokenizer, std::string_view text,
                                     uint32_t context) {
  if (context < 2) throw Error(Errc::usage, "the context is {}, expected 2 or more", context);
  const std::vector<TokenId> tokens = tokenizer.encode(text, {.add_special = false, .parse_special = false});
  std::vector<Window> windows;
  for (size_t at = 0; at < tokens.size(); at += context - 1) {
    const auto part = std::span(tokens).subspan(at, std::min<size_t>(context - 1, tokens.size() - at));
    Window window;
    if (tokenizer.bos()) window.push_back(*tokenizer.bos());
    window.insert(window.end(), part.begin(), part.end());
    if (window.size() > 1) windows.push_back(std::move(window));
  }
  if (windows.empty()) throw Error(Errc::usage, "the text has no token to score");
  return windows;
}

/// A model that reads windows.
class Reader {
 public:
  Reader(const std::shared_ptr<const model::Model>& model, ThreadPool& pool, const EvaluationOptions& options)
      : runner_(model, pool, options.precision),
        cache_(kv::make_contiguous_cache(model->kv_shape(options.kv_format, options.kv_format),
                                         options.context)) {}

  void restart() { cache_->truncate(0); }
  /// Logits of each token: (tokens, n_vocabulary).
  std::span<const float> read(std::span<const TokenId> tokens) {
    const model::Segment segment{tokens, cache_.get(), model::Answers::all};
    return runner_.forward({&segment, 1});
  }

 private:
  model::Runner runner_;
  std::unique_ptr<kv::KvCache> cache_;
};

/// Natural log of the sum of exponentials of finite logits.
double log_sum(std::span<const float> logits) {
  const float largest = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  return largest + std::log(sum);
}

double kl_divergence(std::span<const float> reference, std::span<const float> logits) {
  const double reference_sum = log_sum(reference), sum = log_sum(logits);
  double kl = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double log_p = reference[i] - reference_sum;
    kl += std::exp(log_p) * (log_p - (logits[i] - sum));
  }
  return std::max(0.0, kl);  // rounding makes nothing slightly less; the logits are finite
}

/// What is known of one token after its predecessor has been read.
struct Prediction {
  double nll = 0;
  double kl = 0;
  bool agrees = false;
  bool is_finite = true;  ///< all logits that it was made of
};

/// Reads all windows with one model, or with two side by side, and calls on_prediction for every scored
/// token.
template <typename OnPrediction>
void read_windows(Reader& reader, Reader* reference, ThreadPool& pool, const std::vector<Window>& windows,
                  const EvaluationOptions& options, const OnPrediction& on_prediction) {
  uint64_t total = 0, done = 0;
  for (const Window& window : windows) total += window.size() - 1;
  std::vector<Prediction> predictions;
  for (const Window& window : windows) {
    reader.restart();
    if (reference) reference->restart();
    const size_t n_scored = window.size() - 1;
    for (size_t at = 0; at < n_scored; at += kChunkTokens) {
      const auto chunk = std::span(window).subspan(at, std::min(kChunkTokens, n_scored - at));
      const std::span<const float> logits = reader.read(chunk);
      const std::span<const float> others = reference ? reference->read(chunk) : std::span<const float>{};
      const size_t n_vocabulary = logits.size() / chunk.size();
      predictions.assign(chunk.size(), {});
      pool.for_each_tile(chunk.size(), [&](size_t i, int) {
        const std::span<const float> row = logits.subspan(i * n_vocabulary, n_vocabulary);
        Prediction& prediction = predictions[i];
        prediction.is_finite = !find_non_finite(row);
        if (!prediction.is_finite) return;
        prediction.nll = log_sum(row) - row[static_cast<size_t>(window[at + i + 1])];
        if (!reference) return;
        const std::span<const float> other = others.subspan(i * n_vocabulary, n_vocabulary);
        prediction.is_finite = !find_non_finite(other);
        if (!prediction.is_finite) return;
        prediction.kl = kl_divergence(other, row);
        prediction.agrees =
            std::ranges::max_element(row) - row.begin() == std::ranges::max_element(other) - other.begin();
      });
      const auto broken = std::ranges::find(predictions, false, &Prediction::is_finite);
      if (broken != predictions.end()) {
        const auto i = static_cast<size_t>(broken - predictions.begin());
        require_finite_logits(logits.subspan(i * n_vocabulary, n_vocabulary), done + i + 1);
        require_finite_logits(others.subspan(i * n_vocabulary, n_vocabulary), done + i + 1, "the reference");
      }
      std::ranges::for_each(predictions, on_prediction);
      done += chunk.size();
      if (options.progress) options.progress(done, total);
    }
  }
}

}  // namespace

double Perplexity::perplexity() const {
  return finite_figure(std::exp(mean_nll), fmt::format("the perplexity, e^{:.6g}", mean_nll));
}

Perplexity measure_perplexity(const std::shared_ptr<const model::Model>& model,
                              const text::Tokenizer& tokenizer, ThreadPool& pool, std::string_view text,
                              const EvaluationOptions& options) {
  const std::vector<Window> windows = cut_into_windows(tokenizer, text, options.context);
  Reader reader(model, pool, options);
  Perplexity result;
  double sum = 0;
  read_windows(reader, nullptr, pool, windows, options, [&](const Prediction& prediction) {
    sum += prediction.nll;
    ++result.n_tokens;
  });
  result.mean_nll = sum / static_cast<double>(result.n_tokens);
  return result;
}

Comparison compare_models(const std::shared_ptr<const model::Model>& model,
                          const std::shared_ptr<const model::Model>& reference,
                          const text::Tokenizer& tokenizer, ThreadPool& pool, std::string_view text,
                          const EvaluationOptions& options) {
  if (model->hparams().n_vocabulary != reference->hparams().n_vocabulary)
    throw Error(Errc::usage,
                "the models have {} and {} tokens; only models with one vocabulary can be compared",
                model->hparams().n_vocabulary, reference->hparams().n_vocabulary);
  const std::vector<Window> windows = cut_into_windows(tokenizer, text, options.context);
  Reader reader(model, pool, options), other(reference, pool, options);
  double nll = 0, kl = 0;
  uint64_t n_agree = 0;
  std::vector<double> kls;
  read_windows(reader, &other, pool, windows, options, [&](const Prediction& prediction) {
    nll += prediction.nll;
    kl += prediction.kl;
    n_agree += prediction.agrees;
    kls.push_back(prediction.kl);
  });
  const auto n = static_cast<double>(kls.size());
  const auto at_99 = kls.begin() + static_cast<std::ptrdiff_t>(0.99 * (n - 1));
  std::nth_element(kls.begin(), at_99, kls.end());
  return {{nll / n, kls.size()}, {kl / n, *at_99, static_cast<double>(n_agree) / n}};
}

}  // namespace ruvllm::engine
