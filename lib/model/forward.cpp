// The forward pass: embed -> blocks -> norm -> logits, for a batch of segments of several sequences. Prefill
// in chunks, decode, and batches of both are this one path.
#include "base/error.h"
#include "model/blocks.h"
#include "tensor/ops.h"

#include <algorithm>
#include <cmath>

namespace ruvllm::model {
using tensor::Rope;
using tensor::RopeScaling;

struct Runner::State {
  State(std::shared_ptr<const Model> model_in, ThreadPool& pool, tensor::ActivationPrecision precision)
      : model(std::move(model_in)),
        h(model->hparams()),
        w(model->weights()),
        multiplier(pool, precision),
        attention(pool, precision),
        pass{.h = h, .pool = pool, .multiplier = multiplier, .attention = attention} {
    pass.global_rotation = &global_rotation;
    pass.local_rotation = &local_rotation;
    if (h.arch->positions == Positions::alibi)
      alibi_slopes = tensor::alibi_slopes(h.n_heads, h.max_alibi_bias);
    pass.alibi_slopes = alibi_slopes;
    if (h.local_rope_base != 0) local_rope = Rope(local_rope_parameters(h), h.n_context);
  }

  /// Takes a batch: checks it, makes room in the caches, notes which rows get an answer.
  void begin(std::span<const Segment> segments);
  /// The rotation for a cache of this capacity: context decides with dynamic and longrope.
  const Rope& rope_for(uint32_t context);
  /// Angles of every row.
  void turn(Rotation& rotation, bool local);
  /// x (n_rows, width) = embeddings of the batch's tokens.
  void embed();
  void layer(uint32_t index);
  /// Last norm; returns (answers, width).
  std::span<const float> finish();
  std::span<const float> run(std::span<const Segment> segments);

  std::shared_ptr<const Model> model;
  const HyperParameters& h;
  const Weights& w;
  tensor::Multiplier multiplier;
  tensor::Attention attention;
  Rope local_rope;
  std::vector<std::pair<uint32_t, Rope>> ropes;  // by context
  Rotation global_rotation, local_rotation;
  std::vector<float> alibi_slopes;
  std::vector<uint32_t> answer_rows;
  Scratch stream, normed, branch, second_branch, answers, logits;
  std::span<float> x;  // the residual stream: (n_rows, width); in the last layer shrinks to (answers, width)
  Pass pass;
};

void normalise(Pass& pass, const NormWeights& norm, std::span<const float> x, std::span<float> out) {
  if (pass.h.arch->norm == NormKind::rms)
    tensor::rms_norm(pass.pool, x, norm.weight, pass.h.rms_epsilon, out);
  else
    tensor::layer_norm(pass.pool, x, norm.weight, norm.bias, pass.h.layer_epsilon, out);
}

void gather_rows(std::span<const float> x, std::span<const uint32_t> rows, size_t width,
                 std::span<float> out) {
  for (size_t i = 0; i < rows.size(); ++i)
    if (&x[rows[i] * width] != &out[i * width])  // gathering in place leaves the first rows alone
      std::ranges::copy(x.subspan(rows[i] * width, width), out.subspan(i * width, width).begin());
}

void Runner::State::begin(std::span<const Segment> segments) {
  pass.segments = segments;
  pass.n_rows = 0;
  answer_rows.clear();
  for (const Segment& segment : segments) {
    RUVLLM_ASSERT(!segment.tokens.empty());
    if (!h.causal && segment.cache->n_tokens() != 0)
      throw Error(Errc::usage,
                  "{}.attention.causal is false: a text is read whole, and can't be gone on with",
                  h.arch->name);
    const auto n = static_cast<uint32_t>(segment.tokens.size());
    for (const int32_t token : segment.tokens)
      if (token < 0 || static_cast<uint32_t>(token) >= h.n_vocabulary)
        throw Error(Errc::usage, "token {} is beyond the vocabulary of {} tokens", token, h.n_vocabulary);
    const uint64_t end = uint64_t{segment.cache->n_tokens()} + n;
    if (h.arch->positions == Positions::learned && end > h.n_context)
      throw Error(Errc::usage, "{} tokens are more than the {} positions this model has learned", end,
                  h.n_context);
    segment.cache->reserve(n);
    const uint32_t n_answers = segment.answers == Answers::all ? n : segment.answers == Answers::last ? 1 : 0;
    for (uint32_t i = n - n_answers; i < n; ++i) answer_rows.push_back(pass.n_rows + i);
    pass.n_rows += n;
  }
  pass.answer_rows = answer_rows;
  if (h.has_rotation()) turn(global_rotation, false);
  if (h.local_rope_base != 0) turn(local_rotation, true);
}

const Rope& Runner::State::rope_for(uint32_t context) {
  // Only dynamic scaling looks at the context itself; others ask at most whether it is longer than in
  // training.
  const bool is_long = context > h.original_context;
  const uint32_t key = h.rope_scaling == RopeScaling::dynamic ? context : h.original_context + is_long;
  for (const auto& [known, rope] : ropes)
    if (known == key) return rope;
  return ropes.emplace_back(key, Rope(rope_parameters(h, w.rope_factors, w.rope_long_factors), key)).second;
}

void Runner::State::turn(Rotation& rotation, bool local) {
  size_t row = 0;
  rotation.n_pairs = h.rope_dimensions / 2;
  const size_t n_pairs = rotation.n_pairs;
  const std::span<float> cosines = rotation.cosines.floats(pass.n_rows * n_pairs);
  const std::span<float> sines = rotation.sines.floats(pass.n_rows * n_pairs);
  for (const Segment& segment : pass.segments) {
    const Rope& rope = local ? local_rope : rope_for(segment.cache->capacity());
    for (size_t i = 0; i < segment.tokens.size(); ++i, ++row)
      rope.angles(segment.cache->n_tokens() + static_cast<uint32_t>(i),
                  cosines.subspan(row * n_pairs, n_pairs), sines.subspan(row * n_pairs, n_pairs));
  }
}

void Runner::State::embed() {
  const size_t width = h.width;
  x = stream.floats(pass.n_rows * width);
  size_t row = 0;
  for (const Segment& segment : pass.segments)
    for (size_t i = 0; i < segment.tokens.size(); ++i, ++row) {
      const std::span<float> to = x.subspan(row * width, width);
      w.token_embedding.decode_row(static_cast<uint64_t>(segment.tokens[i]), to);
      const size_t position = segment.cache->n_tokens() + i;
      if (!w.segment_embedding.empty()) tensor::add(to, w.segment_embedding);
      if (!w.position_embedding.empty())
        tensor::add(to, std::span(w.position_embedding).subspan(position * width, width));
    }
  if (h.input_scale() != 1.0f) tensor::scale(x, h.input_scale());
  if (w.embedding_norm) normalise(pass, w.embedding_norm, x, x);
}

void Runner::State::layer(uint32_t index) {
  const LayerWeights& weights = w.layers[index];
  const bool answers_only = index + 1 == h.n_layers;
  const size_t n_out = (answers_only ? answer_rows.size() : pass.n_rows) * h.width;
  const NormPlace place = h.arch->norm_place;
  const bool norm_before = place == NormPlace::before || place == NormPlace::before_and_after;
  const bool norm_branch = place == NormPlace::after || place == NormPlace::before_and_after;
  const bool parallel = norm_before && !weights.ffn_norm;

  // x += f(x), with norms where the architecture wants them.
  const auto join = [&](std::span<float> f, const NormWeights& norm) {
    if (norm_branch) normalise(pass, norm, f, f);
    if (h.residual_scale != 1.0f) tensor::scale(f, h.residual_scale);
    tensor::add(x, f);
    if (place == NormPlace::after_sum) normalise(pass, norm, x, x);
  };
  const auto feed_forward = [&](std::span<const float> input, std::span<float> out) {
    if (weights.experts.empty())
      ffn_block(pass, weights.ffn, input, out);
    else
      moe_block(pass, weights, input, out);
  };

  std::span<float> input = x;
  if (norm_before) {
    input = normed.floats(x.size());
    normalise(pass, weights.attention_norm, x, input);
  }
  const std::span<float> attended = branch.floats(n_out);
  attention_block(pass, index, weights, input, attended, answers_only);
  if (answers_only) {  // nobody looks at the other rows any more
    gather_rows(x, answer_rows, h.width, x);
    x = x.first(n_out);
    if (parallel) gather_rows(input, answer_rows, h.width, input);
  }
  if (n_out == 0) return;
  const std::span<float> fed = second_branch.floats(n_out);
  if (parallel) feed_forward(input.first(n_out), fed);
  join(attended, weights.attention_post_norm);
  if (!parallel) {
    input = x;
    if (norm_before) {
      input = normed.floats(n_out);
      normalise(pass, weights.ffn_norm, x, input);
    }
    feed_forward(input, fed);
  }
  join(fed, weights.ffn_post_norm);
}

std::span<const float> Runner::State::finish() {
  if (w.output_norm && !x.empty()) normalise(pass, w.output_norm, x, x);
  return x;
}

std::span<const float> Runner::State::run(std::span<const Segment> segments) {
  RUVLLM_ASSERT(!segments.empty());
  begin(segments);
  embed();
  for (uint32_t i = 0; i < h.n_layers; ++i) layer(i);
  for (const Segment& segment : segments)
    segment.cache->advance(static_cast<uint32_t>(segment.tokens.size()));
  return finish();
}

Runner::Runner(std::shared_ptr<const Model> model, ThreadPool& pool, tensor::ActivationPrecision precision)
    : state_(std::make_unique<State>(std::move(model), pool, precision)) {}

Runner::~Runner() = default;

const Model& Runner::model() const { return *state_->model; }

void Runner::observe(tensor::Multiplier::Observer observer) {
  state_->multiplier.observe(std::move(observer));
}

std::span<const float> Runner::hidden(std::span<const Segment> segments) { return state_->run(segments); }

std::span<const float> Runner::forward(std::span<const Segment> segments) {
  State& s = *state_;
  if (!s.h.arch->has_head)
    throw Error(Errc::usage, "{} is an encoder: it has no logits, only embeddings", s.h.arch->name);
  const std::span<const float> states = s.run(segments);
  const size_t n = s.answer_rows.size();
  const std::span<float> logits = s.logits.floats(n * s.h.n_vocabulary);
  if (n == 0) return logits;
  s.multiplier.multiply(states, n, {&s.w.head(), logits, s.h.n_vocabulary, s.w.output.bias});
  if (s.h.logit_scale != 1.0f) tensor::scale(logits, 1.0f / s.h.logit_scale);
  if (s.h.final_soft_cap != 0) tensor::soft_cap(s.pass.pool, logits, s.h.final_soft_cap);
  return logits;
}

}  // namespace ruvllm::model
